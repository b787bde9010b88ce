//! A work-stealing pool that takes the hints of `hostler exec`: as many of its threads work as are worth it,
//! and the others sleep until they are.
//!
//! `hostler exec -v -- target/debug/examples/resizable_pool 60` runs it for a minute; beside something that
//! takes its CPUs it says how many of its threads work on, and when that changes.
//!
//! What matters stands in [`Pool::work`]: a thread looks between two tasks whether it should go on. One that
//! should not puts its tasks where the others find them, and sleeps without a timeout.

use std::{
    env, fs,
    hint::black_box,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crossbeam_deque::{Injector, Stealer, Worker};

/// How often the hints are read: they change every few seconds at the most.
const LOOK: Duration = Duration::from_secs(1);

/// A task of this example: so many steps of a computation, some ms.
type Task = u64;

struct Pool {
    injector: Injector<Task>,
    stealers: Vec<Stealer<Task>>,
    /// How many threads are to work: those with the smallest numbers.
    size: Mutex<usize>,
    resized: Condvar,
    is_over: AtomicBool,
    done: AtomicU64,
}

impl Pool {
    fn size(&self) -> MutexGuard<'_, usize> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resize(&self, size: usize) {
        *self.size() = size.clamp(1, self.stealers.len());
        self.resized.notify_all();
    }

    fn end(&self) {
        // Whoever is about to sleep looks at both while it holds this.
        let size = self.size();
        self.is_over.store(true, Relaxed);
        drop(size);
        self.resized.notify_all();
    }

    /// What one of its threads does.
    fn work(&self, number: usize, own: &Worker<Task>) {
        while !self.is_over.load(Relaxed) {
            if number >= *self.size() {
                self.rest(number, own);
                continue;
            }
            match own.pop().or_else(|| self.steal(own)) {
                Some(steps) => self.run(steps),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Leaves its tasks to the others and sleeps until it is to work again.
    fn rest(&self, number: usize, own: &Worker<Task>) {
        while let Some(task) = own.pop() {
            self.injector.push(task);
        }
        let has_to_rest = |size: &mut usize| number >= *size && !self.is_over.load(Relaxed);
        let woken = self.resized.wait_while(self.size(), has_to_rest);
        drop(woken.unwrap_or_else(PoisonError::into_inner));
    }

    fn steal(&self, own: &Worker<Task>) -> Option<Task> {
        let from_all = || self.injector.steal_batch_and_pop(own);
        let from_others = || self.stealers.iter().map(Stealer::steal).collect();
        let attempts = std::iter::repeat_with(|| from_all().or_else(from_others));
        attempts
            .take_while(|it| !it.is_empty())
            .find_map(crossbeam_deque::Steal::success)
    }

    fn run(&self, steps: Task) {
        let sum = (0..steps).fold(0_u64, |sum, step| {
            black_box(sum.wrapping_mul(31).wrapping_add(step))
        });
        black_box(sum);
        self.done.fetch_add(1, Relaxed);
    }
}

/// How many threads are worth it; `None` if nobody says.
fn hinted(path: &PathBuf) -> Option<usize> {
    let text = fs::read_to_string(path).ok()?;
    let hints: serde_json::Value = serde_json::from_str(&text).ok()?;
    usize::try_from(hints["threads"].as_u64()?).ok()
}

fn main() {
    let seconds = env::args()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(10);
    let hints = env::var_os("HOSTLER_HINTS").map(PathBuf::from);
    let most = thread::available_parallelism().map_or(1, usize::from);
    let workers: Vec<Worker<Task>> = (0..most).map(|_| Worker::new_fifo()).collect();
    let first = hints.as_ref().and_then(hinted).unwrap_or(most);
    let pool = Arc::new(Pool {
        injector: Injector::new(),
        stealers: workers.iter().map(Worker::stealer).collect(),
        size: Mutex::new(first.clamp(1, most)),
        resized: Condvar::new(),
        is_over: AtomicBool::new(false),
        done: AtomicU64::new(0),
    });
    println!("{} of {most} threads work", *pool.size());
    let threads: Vec<_> = workers
        .into_iter()
        .enumerate()
        .map(|(number, own)| {
            let pool = Arc::clone(&pool);
            thread::spawn(move || pool.work(number, &own))
        })
        .collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut looked = Instant::now();
    while Instant::now() < end {
        while pool.injector.len() < 64 * most {
            pool.injector.push(1_000_000);
        }
        thread::sleep(Duration::from_millis(5));
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if let Some(size) = hints.as_ref().and_then(hinted)
                && size.clamp(1, most) != *pool.size()
            {
                pool.resize(size);
                println!("{} of {most} threads work", *pool.size());
            }
        }
    }
    pool.end();
    for thread in threads {
        thread.join().expect("it ends");
    }
    println!("{} tasks done", pool.done.load(Relaxed));
}
