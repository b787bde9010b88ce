//! What the kernel itself has counted for a process, by the files below `/proc`.

use std::{fs, path::Path, time::Instant};

use crate::host::PATIENCE;

/// Sums over the threads that a process has at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// Time on CPU, by `schedstat`.
    pub(super) on_cpu_ns: u64,
    /// Time waited for a CPU, by `schedstat`.
    pub(super) waited_ns: u64,
    /// How often a thread got a CPU, by `schedstat`.
    pub(super) arrivals: u64,
    /// By `status`.
    pub(super) voluntary: u64,
    /// By `status`.
    pub(super) involuntary: u64,
    /// Time on CPU of the whole process in hundredths of a second, user and system, by `stat`.
    pub(super) ticks: u64,
}

impl Account {
    /// The account of a process once all its threads sleep, so that nothing of it is in flight.
    pub(super) fn when_still(process: u32) -> Self {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let first = Self::if_still(process);
            if first.is_some() && first == Self::if_still(process) {
                return first.unwrap_or_default();
            }
            assert!(Instant::now() < give_up, "process {process} does not rest");
            std::thread::sleep(std::time::Duration::from_micros(500));
        }
    }

    /// What was counted since an earlier account.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            on_cpu_ns: self.on_cpu_ns - earlier.on_cpu_ns,
            waited_ns: self.waited_ns - earlier.waited_ns,
            arrivals: self.arrivals - earlier.arrivals,
            voluntary: self.voluntary - earlier.voluntary,
            involuntary: self.involuntary - earlier.involuntary,
            ticks: self.ticks - earlier.ticks,
        }
    }

    fn if_still(process: u32) -> Option<Self> {
        let folder = Path::new("/proc").join(process.to_string());
        let mut account = Self::default();
        let threads = fs::read_dir(folder.join("task")).expect("the process is there");
        for thread in threads {
            account.add(&thread.expect("it can be listed").path())?;
        }
        let stat = fields_of_stat(&folder);
        let number = |at: usize| stat[at].parse::<u64>().expect("a number");
        // Counted from the state: fields 14 and 15 of the manual are the 12th and 13th.
        account.ticks = number(11) + number(12);
        Some(account)
    }

    /// Adds one thread, if it sleeps.
    fn add(&mut self, thread: &Path) -> Option<()> {
        if fields_of_stat(thread)[0] != "S" {
            return None;
        }
        let read = |name| fs::read_to_string(thread.join(name)).expect("the thread is there");
        let number = |text: &str| text.trim().parse::<u64>().expect("a number");
        let schedstat: Vec<u64> = read("schedstat").split_whitespace().map(number).collect();
        self.on_cpu_ns += schedstat[0];
        self.waited_ns += schedstat[1];
        self.arrivals += schedstat[2];
        for line in read("status").lines() {
            match line.split_once(':') {
                Some(("voluntary_ctxt_switches", switches)) => self.voluntary += number(switches),
                Some(("nonvoluntary_ctxt_switches", switches)) => {
                    self.involuntary += number(switches);
                }
                _ => {}
            }
        }
        Some(())
    }
}

/// The fields of `stat` from the state on: what lies before is a name, which may hold anything.
fn fields_of_stat(folder: &Path) -> Vec<String> {
    let stat = fs::read_to_string(folder.join("stat")).expect("the thread is there");
    let (_name, rest) = stat.rsplit_once(") ").expect("the name stands in brackets");
    rest.split_whitespace().map(str::to_owned).collect()
}
