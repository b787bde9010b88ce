//! What a cgroup's own files tell: pressure, CPU time, and, with the memory controller, memory.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use hostler_decide::{
    polled::{CpuAmounts, MemoryAmounts, PolledSignal},
    pressure::{Pressure, Stall},
    reclaim::Reclaim,
};
use procfs::{CpuPressure, FromRead as _, IoPressure, MemoryPressure, PressureRecord};

use crate::clock::now_ns;

/// Bytes that are read of one file: the longest, `memory.stat`, has some 2 KiB.
const MOST_BYTES: u64 = 16 << 10;

/// Controllers that cgroups below the root have, and with them the files that are worth opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Controllers {
    /// Without it, `cpu.stat` tells no more than the ledger does, and reading it costs most.
    pub(crate) cpu: bool,
    pub(crate) memory: bool,
}

impl Controllers {
    /// Of the hierarchy at `root`.
    pub(crate) fn of(root: &Path) -> Self {
        let enabled = text(&root.join("cgroup.subtree_control")).unwrap_or_default();
        let has = |wanted| enabled.split_whitespace().any(|name| name == wanted);
        Self {
            cpu: has("cpu"),
            memory: has("memory"),
        }
    }
}

/// Parts of a cgroup's pressure that need not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) memory: Option<Stall>,
    pub(crate) io: Option<Stall>,
}

/// Reads all that is told of the cgroup at `folder`, but for what is known already; `None` if the
/// cgroup is gone.
pub(crate) fn poll(
    folder: &Path,
    controllers: Controllers,
    known: Known,
    at_ns: u64,
) -> Option<PolledSignal> {
    let names = ["cpu.pressure", "memory.pressure", "io.pressure"];
    let pressure = pressure_with(folder, names, known);
    if pressure.is_err() && !folder.exists() {
        return None;
    }
    let statistics = |is_worth: bool, name: &str| {
        let read = || text(&folder.join(name)).ok();
        is_worth.then(read).flatten()
    };
    let cpu = statistics(controllers.cpu, "cpu.stat").unwrap_or_default();
    let memory = statistics(controllers.memory, "memory.stat").map(|statistics| {
        let number = |name: &str| {
            let text = text(&folder.join(name)).unwrap_or_default();
            text.trim().parse().unwrap_or(0)
        };
        let amounts = MemoryAmounts::parse(
            &statistics,
            number("memory.current"),
            number("memory.swap.current"),
        );
        (amounts, Reclaim::parse(&statistics))
    });
    Some(PolledSignal {
        at_ns,
        pressure: pressure.ok(),
        cpu: CpuAmounts::parse(&cpu),
        memory,
    })
}

/// CPU time and pressure of the cgroup at `folder`; `None` if it is gone.
pub fn poll_cgroup(folder: &Path) -> Option<PolledSignal> {
    let controllers = Controllers {
        cpu: true,
        memory: false,
    };
    poll(folder, controllers, Known::default(), now_ns())
}

/// CPU quotas of a cgroup and of those above it, up to the hierarchy's root: the nearest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quotas(Vec<Quota>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Quota {
    cpus: f64,
    periods: u64,
    throttled_periods: u64,
}

impl Quotas {
    /// Of the cgroup at `folder`, in the hierarchy at `root`.
    pub fn of(root: &Path, folder: &Path) -> Self {
        let above = folder.ancestors();
        let above = above.take_while(|folder| folder.starts_with(root));
        Self(above.filter_map(quota_of).collect())
    }

    /// CPUs that they leave it; `None` where there is no quota.
    pub fn cpus(&self) -> Option<f64> {
        self.0.iter().map(|quota| quota.cpus).reduce(f64::min)
    }

    /// The part of the periods since an earlier reading in which one of them was used up, from 0 to 1.
    pub fn used_up_since(&self, earlier: &Self) -> f64 {
        let parts = self.0.iter().zip(&earlier.0).map(|(now, then)| {
            let periods = now.periods.saturating_sub(then.periods);
            let used_up = now.throttled_periods.saturating_sub(then.throttled_periods);
            used_up as f64 / periods.max(1) as f64
        });
        parts.fold(0.0, f64::max).min(1.0)
    }
}

/// Of one cgroup; `None` if it has none.
fn quota_of(folder: &Path) -> Option<Quota> {
    let limit = text(&folder.join("cpu.max")).ok()?;
    let (quota, period) = limit.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    let statistics = text(&folder.join("cpu.stat")).unwrap_or_default();
    let number = |name: &str| {
        let mut lines = statistics.lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        found.unwrap_or(0)
    };
    (period > 0.0).then(|| Quota {
        cpus: quota / period,
        periods: number("nr_periods "),
        throttled_periods: number("nr_throttled "),
    })
}

/// Reads the pressure of a cgroup, or of the host; the files of CPU, memory and I/O.
pub(crate) fn pressure(folder: &Path, names: [&str; 3]) -> io::Result<Pressure> {
    pressure_with(folder, names, Known::default())
}

fn pressure_with(folder: &Path, names: [&str; 3], known: Known) -> io::Result<Pressure> {
    let [cpu, memory, io] = names.map(|name| folder.join(name));
    let unfit = |error: procfs::ProcError| io::Error::other(error);
    let stall = |some: &PressureRecord, full: &PressureRecord| Stall {
        some_us: some.total,
        full_us: full.total,
    };
    let cpu = CpuPressure::from_read(text(&cpu)?.as_bytes()).map_err(unfit)?;
    let memory = known.memory.map_or_else(
        || {
            let memory = MemoryPressure::from_read(text(&memory)?.as_bytes()).map_err(unfit)?;
            Ok::<_, io::Error>(stall(&memory.some, &memory.full))
        },
        Ok,
    )?;
    let io = known.io.map_or_else(
        || {
            let io = IoPressure::from_read(text(&io)?.as_bytes()).map_err(unfit)?;
            Ok::<_, io::Error>(stall(&io.some, &io.full))
        },
        Ok,
    )?;
    Ok(Pressure {
        cpu: stall(&cpu.some, &cpu.full),
        memory,
        io,
    })
}

/// A file's text, read within bounds.
pub(crate) fn text(path: &Path) -> io::Result<String> {
    let mut text = String::with_capacity(512);
    File::open(path)?
        .take(MOST_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_smallest_quota_on_the_way_up_counts_and_that_which_is_used_up_most() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join("group/agent");
        fs::create_dir_all(&folder).expect("there is room");
        let write = |path: &str, file: &str, text: &str| {
            fs::write(root.path().join(path).join(file), text).expect("there is room");
        };
        let quotas = || Quotas::of(root.path(), &folder);
        assert_eq!(quotas().cpus(), None);
        write("group/agent", "cpu.max", "max 100000\n");
        assert_eq!(quotas().cpus(), None);
        write("group", "cpu.max", "250000 100000\n");
        write("group", "cpu.stat", "nr_periods 10\nnr_throttled 2\n");
        assert_eq!(quotas().cpus(), Some(2.5));
        write("group/agent", "cpu.max", "4000 1000\n");
        let before = quotas();
        assert_eq!(before.cpus(), Some(2.5));
        write(
            "group",
            "cpu.stat",
            "nr_periods 20\nnr_throttled 7\nthrottled_usec 9\n",
        );
        assert!((quotas().used_up_since(&before) - 0.5).abs() < 1e-9);
        write("group/agent", "cpu.max", "nonsense\n");
        assert_eq!(quotas().cpus(), Some(2.5));
    }

    #[test]
    fn a_cgroup_without_controllers_has_pressure_and_cpu_time_only() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let line = |kind: &str, total: u64| {
            format!("{kind} avg10=0.00 avg60=0.10 avg300=0.00 total={total}\n")
        };
        for (name, some) in [("cpu", 5), ("memory", 7), ("io", 9)] {
            let text = line("some", some) + &line("full", 1);
            fs::write(folder.path().join(format!("{name}.pressure")), text).expect("there is room");
        }
        fs::write(folder.path().join("cpu.stat"), "usage_usec 12\n").expect("there is room");
        let controllers = Controllers {
            cpu: true,
            memory: true,
        };
        let polled = poll(folder.path(), controllers, Known::default(), 3).expect("it is there");
        assert_eq!(polled.cpu.usage_us, 12);
        assert_eq!(polled.memory, None);
        let pressure = polled.pressure.expect("it has pressure");
        assert_eq!(pressure.memory.some_us, 7);
        assert_eq!(pressure.io.full_us, 1);
    }

    #[test]
    fn what_is_known_already_is_not_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
        fs::write(folder.path().join("cpu.pressure"), text).expect("there is room");
        let stall = |some_us| Stall {
            some_us,
            full_us: 0,
        };
        let known = Known {
            memory: Some(stall(7)),
            io: Some(stall(9)),
        };
        let polled = poll(folder.path(), Controllers::default(), known, 3).expect("it is there");
        let pressure = polled.pressure.expect("it has pressure");
        assert_eq!(pressure.cpu.some_us, 5);
        assert_eq!((pressure.memory, pressure.io), (stall(7), stall(9)));
    }

    #[test]
    fn a_cgroup_that_is_gone_tells_nothing() {
        assert_eq!(
            poll(
                Path::new("/nowhere"),
                Controllers::default(),
                Known::default(),
                3
            ),
            None
        );
    }
}
