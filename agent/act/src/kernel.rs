//! This host.
//!
//! A thread's number may be another's a moment later. So a thread is known by when it was started as well,
//! which is looked at before and after: while the thread is there, its number is nobody else's.

mod processes;
pub(crate) mod usual;

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use procfs::{ProcError, process::Process};

use self::usual::Cpusets;
use crate::{Compared, CpuList, Found, Host, HostError, Knob, Members, Thread, Value};

/// Scheduling classes that run before all others: `SCHED_FIFO`, `SCHED_RR` and `SCHED_DEADLINE`.
const REALTIME: [u32; 3] = [1, 2, 6];

/// This host.
#[derive(Debug)]
pub struct Kernel {
    cgroups: PathBuf,
    cpusets: Cpusets,
}

/// What is read of a thread.
struct Stat {
    started: u64,
    is_realtime: bool,
}

impl Kernel {
    /// This host, whose v2 hierarchy is mounted at `cgroups`.
    pub fn new(cgroups: &Path) -> Result<Self, HostError> {
        Ok(Self {
            cgroups: cgroups.to_owned(),
            cpusets: Cpusets::of_host(cgroups)?,
        })
    }

    fn threads_of_cgroup(&self, path: &Path, id: u64) -> Result<Vec<Found>, HostError> {
        let mut found = Vec::new();
        for pid in self.processes_of_cgroup(path, id)? {
            self.threads_of(pid, &mut found)?;
        }
        Ok(found)
    }

    /// The threads of processes that are still there when they have been read: a number may be another's by
    /// then.
    fn threads_of_all(&self, processes: &[Thread]) -> Result<Vec<Found>, HostError> {
        let mut all = Vec::new();
        for process in processes {
            let mut found = Vec::new();
            self.threads_of(process.pid, &mut found)?;
            if processes::is_there(*process)? {
                all.extend(found);
            }
        }
        Ok(all)
    }

    fn processes_of_cgroup(&self, path: &Path, id: u64) -> Result<Vec<u32>, HostError> {
        let below = path
            .components()
            .filter(|part| matches!(part, Component::Normal(_)));
        let folder = self.cgroups.join(below.collect::<PathBuf>());
        let is_same = fs::metadata(&folder).is_ok_and(|folder| folder.ino() == id);
        if !is_same {
            return Ok(Vec::new());
        }
        let file = folder.join("cgroup.procs");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if is_gone(&error) => return Ok(Vec::new()),
            Err(source) => {
                return Err(HostError::File {
                    what: "reading",
                    path: file,
                    source,
                });
            }
        };
        let numbers: Option<Vec<u32>> = text.lines().map(|line| line.parse().ok()).collect();
        numbers.ok_or_else(|| HostError::Content {
            path: file,
            found: text.chars().take(80).collect(),
        })
    }

    fn threads_of(&self, pid: u32, found: &mut Vec<Found>) -> Result<(), HostError> {
        let Some(tids) = tids(pid)? else {
            return Ok(());
        };
        let Some(usual) = self.cpusets.of_process(pid)? else {
            return Ok(());
        };
        for tid in tids {
            let Some(stat) = stat(pid, tid)? else {
                continue;
            };
            let thread = Thread {
                pid,
                tid,
                started: stat.started,
            };
            if let Some(cpus) = affinity(thread)? {
                found.push(Found {
                    thread,
                    cpus,
                    usual: usual.clone(),
                    is_realtime: stat.is_realtime,
                });
            }
        }
        Ok(())
    }
}

impl Host for Kernel {
    fn threads(&mut self, members: &Members) -> Result<Vec<Found>, HostError> {
        match members {
            Members::Cgroup { path, id } => self.threads_of_cgroup(path, *id),
            Members::Processes(processes) => self.threads_of_all(processes),
        }
    }

    fn family(&mut self, members: &Members) -> Result<Vec<Found>, HostError> {
        match members {
            // What leaves a cgroup belongs to another agent from then on.
            Members::Cgroup { path, id } => self.threads_of_cgroup(path, *id),
            Members::Processes(roots) => self.threads_of_all(&processes::with_descendants(roots)?),
        }
    }

    fn processes(&mut self, members: &Members) -> Result<Vec<Thread>, HostError> {
        match members {
            Members::Cgroup { path, id } => {
                let numbers = self.processes_of_cgroup(path, *id)?.into_iter();
                let there = numbers.map(processes::by_number);
                there.filter_map(Result::transpose).collect()
            }
            Members::Processes(all) => processes::those_there(all),
        }
    }

    fn compare(&mut self, knob: &Knob, with: &Value) -> Result<Compared, HostError> {
        let (Knob::Affinity(thread), Value::Cpus(cpus)) = (knob, with);
        // That it is still the same thread need not be asked where nothing differs: that is what costs most.
        match sched_getaffinity(pid_of(*thread)) {
            Ok(set) if set == set_of(*thread, cpus)? => Ok(Compared::Same),
            _ => Ok(Compared::of(self.read(knob)?, with)),
        }
    }

    fn read(&mut self, knob: &Knob) -> Result<Option<Value>, HostError> {
        let Knob::Affinity(thread) = knob;
        Ok(affinity(*thread)?.map(Value::Cpus))
    }

    fn write(&mut self, knob: &Knob, value: &Value) -> Result<bool, HostError> {
        let (Knob::Affinity(thread), Value::Cpus(cpus)) = (knob, value);
        if !is_there(*thread)? {
            return Ok(false);
        }
        match sched_setaffinity(pid_of(*thread), &set_of(*thread, cpus)?) {
            Ok(()) => is_there(*thread),
            Err(Errno::ESRCH) => Ok(false),
            Err(error) => Err(refused("setting", *thread, error.into())),
        }
    }
}

/// The CPUs on which a thread may run; `None` if it is gone.
fn affinity(thread: Thread) -> Result<Option<CpuList>, HostError> {
    let set = match sched_getaffinity(pid_of(thread)) {
        Ok(set) => set,
        Err(Errno::ESRCH) => return Ok(None),
        Err(error) => return Err(refused("reading", thread, error.into())),
    };
    if !is_there(thread)? {
        return Ok(None);
    }
    let cpus = (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false));
    Ok(Some(
        cpus.filter_map(|cpu| u32::try_from(cpu).ok()).collect(),
    ))
}

fn set_of(thread: Thread, cpus: &CpuList) -> Result<CpuSet, HostError> {
    let mut set = CpuSet::new();
    for cpu in cpus.iter() {
        set.set(cpu as usize)
            .map_err(|error| refused("setting", thread, error.into()))?;
    }
    Ok(set)
}

fn refused(what: &'static str, thread: Thread, source: io::Error) -> HostError {
    HostError::Affinity {
        what,
        thread,
        source,
    }
}

fn pid_of(thread: Thread) -> Pid {
    Pid::from_raw(thread.tid.cast_signed())
}

/// When a process was started, in clock ticks since the host was; `None` if it is gone.
pub fn started(pid: u32) -> Result<Option<u64>, HostError> {
    Ok(stat(pid, pid)?.map(|stat| stat.started))
}

pub(crate) fn is_there(thread: Thread) -> Result<bool, HostError> {
    let stat = stat(thread.pid, thread.tid)?;
    Ok(stat.is_some_and(|stat| stat.started == thread.started))
}

/// `None` if the thread is gone.
fn stat(pid: u32, tid: u32) -> Result<Option<Stat>, HostError> {
    let task = Process::new(pid.cast_signed())
        .and_then(|process| process.task_from_tid(tid.cast_signed()))
        .and_then(|task| task.stat());
    let stat = there(task, &format!("/proc/{pid}/task/{tid}/stat"))?;
    // One that is dead already is only waited for.
    let stat = stat.filter(|stat| !matches!(stat.state, 'X' | 'Z'));
    Ok(stat.map(|stat| Stat {
        started: stat.starttime,
        is_realtime: stat.policy.is_some_and(|policy| REALTIME.contains(&policy)),
    }))
}

/// The numbers of a process's threads; `None` if it is gone.
fn tids(pid: u32) -> Result<Option<Vec<u32>>, HostError> {
    let path = format!("/proc/{pid}/task");
    let tasks = there(
        Process::new(pid.cast_signed()).and_then(|process| process.tasks()),
        &path,
    )?;
    let Some(tasks) = tasks else { return Ok(None) };
    let mut tids = Vec::new();
    for task in tasks {
        if let Some(task) = there(task, &path)? {
            tids.push(task.tid.cast_unsigned());
        }
    }
    Ok(Some(tids))
}

/// What is there of a process, or of a thread; `None` if it is gone.
pub(crate) fn there<T>(read: Result<T, ProcError>, path: &str) -> Result<Option<T>, HostError> {
    let source = match read {
        Ok(value) => return Ok(Some(value)),
        Err(ProcError::NotFound(_)) => return Ok(None),
        Err(ProcError::Io(error, _)) if is_gone(&error) => return Ok(None),
        Err(error) => error,
    };
    Err(HostError::File {
        what: "reading",
        path: PathBuf::from(path),
        source: io::Error::other(source),
    })
}

/// What the kernel says of files of what is gone.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || [Errno::ESRCH, Errno::ENODEV]
            .iter()
            .any(|gone| error.raw_os_error() == Some(*gone as i32))
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Child, Command, Stdio},
        thread,
        time::Duration,
    };

    use super::*;

    /// A process of the test's own; it ends when dropped.
    struct Sleeper(Child);

    impl Sleeper {
        fn start() -> Self {
            let child = Command::new("sleep")
                .arg("600")
                .stdin(Stdio::null())
                .spawn();
            Self(child.expect("sleep can be started"))
        }

        fn thread(&self) -> Thread {
            let pid = self.0.id();
            Thread {
                pid,
                tid: pid,
                started: started(pid).expect("it can be read").expect("it runs"),
            }
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _gone = self.0.kill();
            let _status = self.0.wait();
        }
    }

    fn kernel() -> Kernel {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let root = root.into_iter().map(Path::new).find(|root| root.exists());
        Kernel::new(root.expect("cgroups are mounted")).expect("it can be read")
    }

    #[test]
    fn a_thread_gets_cpus_and_those_back_that_it_had() {
        let sleeper = Sleeper::start();
        let mut kernel = kernel();
        let members = Members::Processes(vec![sleeper.thread()]);
        let found = kernel.threads(&members).expect("it can be read");
        assert_eq!(found.len(), 1);
        let [Found { thread, cpus, .. }] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(*thread, sleeper.thread());
        let knob = Knob::Affinity(*thread);
        let one = Value::Cpus(cpus.iter().take(1).collect());
        assert!(kernel.write(&knob, &one).expect("it can be set"));
        let old = Value::Cpus(cpus.clone());
        let compared =
            |kernel: &mut Kernel, with| kernel.compare(&knob, with).expect("it can be read");
        assert_eq!(compared(&mut kernel, &one), Compared::Same);
        assert_eq!(compared(&mut kernel, &old), Compared::Other(one.clone()));
        assert_eq!(kernel.read(&knob).expect("it can be read"), Some(one));
        assert!(kernel.write(&knob, &old).expect("it can be set"));
        assert_eq!(kernel.read(&knob).expect("it can be read"), Some(old));
    }

    #[test]
    fn a_thread_that_is_gone_is_not_there_and_neither_is_one_with_its_number() {
        let sleeper = Sleeper::start();
        let mut kernel = kernel();
        let thread = sleeper.thread();
        let another = Thread {
            started: thread.started - 1,
            ..thread
        };
        let value = kernel
            .read(&Knob::Affinity(thread))
            .expect("it can be read");
        let value = value.expect("it runs");
        let of_another = Knob::Affinity(another);
        assert_eq!(kernel.read(&of_another).expect("it can be read"), None);
        assert!(!kernel.write(&of_another, &value).expect("it can be tried"));
        drop(sleeper);
        let knob = Knob::Affinity(thread);
        assert_eq!(kernel.read(&knob).expect("it can be read"), None);
        assert!(!kernel.write(&knob, &value).expect("it can be tried"));
        let members = Members::Processes(vec![thread]);
        assert_eq!(kernel.threads(&members).expect("it can be read"), []);
    }

    #[test]
    fn a_cgroup_that_was_made_anew_under_its_name_has_other_members() {
        let mut kernel = kernel();
        let root = fs::metadata(&kernel.cgroups).expect("it is mounted").ino();
        let members = |id| Members::Cgroup {
            path: PathBuf::new(),
            id,
        };
        let own = kernel.threads(&members(root)).expect("it can be read");
        assert!(!own.is_empty(), "kernel threads are in the root cgroup");
        assert_eq!(
            kernel.threads(&members(root + 1)).expect("it can be read"),
            []
        );
    }

    #[test]
    fn children_are_of_the_family_and_no_members_by_themselves() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 600 & echo started; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh can be started");
        let output = shell.stdout.take().expect("a pipe");
        let mut line = String::new();
        io::BufRead::read_line(&mut io::BufReader::new(output), &mut line).expect("it says so");
        let pid = shell.id();
        let started = started(pid).expect("it can be read").expect("it runs");
        let root = Thread {
            pid,
            tid: pid,
            started,
        };
        let members = Members::Processes(vec![root]);
        let alone = kernel().processes(&members).expect("they can be read");
        let found = kernel().family(&members).expect("they can be read");
        let child = found.iter().find(|found| found.thread.pid != pid);
        let child = child.expect("it has a child").thread;
        nix::sys::signal::kill(pid_of(child), nix::sys::signal::Signal::SIGKILL).expect("it runs");
        let _status = shell.wait().expect("it ends with its child");
        assert_eq!(alone, [root]);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn threads_of_this_process_are_told_from_its_first_one() {
        let handle = thread::spawn(|| thread::sleep(Duration::from_secs(2)));
        let pid = std::process::id();
        let mut found = Vec::new();
        kernel()
            .threads_of(pid, &mut found)
            .expect("it can be read");
        assert!(found.len() >= 2, "{found:?}");
        assert!(found.iter().all(|found| !found.usual.is_empty()));
        handle.join().expect("it ends");
    }
}
