//! Kernel programs: which a process holds, and how long they have run.

use std::{collections::BTreeSet, fs, io};

use anyhow::{Context, Result};
use libbpf_rs::{Link, Object, ObjectBuilder, query::ProgInfoIter};
use serde::Serialize;

static EMPTY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/empty.o"));

/// How often a program ran, and for how long: since the statistics were turned on, or in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ProgramRuns {
    pub(crate) id: u32,
    /// The kernel keeps its first 15 characters.
    pub(crate) name: String,
    pub(crate) runs: u64,
    pub(crate) run_time_ns: u64,
}

impl ProgramRuns {
    /// What it did since `earlier`, a reading of the same program.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            runs: self.runs.saturating_sub(earlier.runs),
            run_time_ns: self.run_time_ns.saturating_sub(earlier.run_time_ns),
            ..self.clone()
        }
    }

    /// `None` if it has not run.
    pub(crate) fn ns_per_run(&self) -> Option<f64> {
        (self.runs > 0).then(|| self.run_time_ns as f64 / self.runs as f64)
    }
}

/// Ids of the programs that a process holds, by its descriptors of programs and links. Unlike what
/// was loaded since the process started, they can't be somebody else's.
pub(crate) fn held_by(pid: &str) -> Result<BTreeSet<u32>> {
    let folder = format!("/proc/{pid}/fdinfo");
    let entries = fs::read_dir(&folder).with_context(|| format!("reading {folder}"))?;
    let mut ids = BTreeSet::new();
    for entry in entries {
        match fs::read_to_string(entry?.path()) {
            Ok(text) => ids.extend(program_id(&text)),
            // The process closes and opens others as it pleases.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("reading {folder}")),
        }
    }
    Ok(ids)
}

fn program_id(fdinfo: &str) -> Option<u32> {
    let line = fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("prog_id:"));
    line?.trim().parse().ok()
}

/// The present readings of some programs.
pub(crate) fn read(ids: &BTreeSet<u32>) -> Vec<ProgramRuns> {
    ProgInfoIter::default()
        .filter(|info| ids.contains(&info.id))
        .map(|info| ProgramRuns {
            id: info.id,
            name: info.name.to_string_lossy().into_owned(),
            runs: info.run_cnt,
            run_time_ns: info.run_time_ns,
        })
        .collect()
}

/// A program that does nothing at a switch. Dropping it unloads it.
pub(crate) struct Empty {
    ids: BTreeSet<u32>,
    _link: Link,
    _object: Object,
}

impl Empty {
    pub(crate) fn attach() -> Result<Self> {
        let object = ObjectBuilder::default()
            .open_memory(EMPTY)?
            .load()
            .context("loading the empty program")?;
        let program = object.progs_mut().next().context("the object is empty")?;
        let link = program.attach().context("attaching the empty program")?;
        Ok(Self {
            // This process holds no other.
            ids: held_by("self")?,
            _link: link,
            _object: object,
        })
    }

    pub(crate) fn read(&self) -> Result<ProgramRuns> {
        let read = read(&self.ids).pop();
        read.context("the empty program is gone")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_of_programs_and_links_name_the_program() {
        let link = "pos:\t0\nflags:\t02\nlink_type:\tperf\nprog_tag:\tab12\nprog_id:\t28\n";
        assert_eq!(program_id(link), Some(28));
        assert_eq!(program_id("pos:\t0\nmap_id:\t3\n"), None);
    }

    #[test]
    fn a_window_is_the_difference_of_two_readings() {
        let reading = |runs, run_time_ns| ProgramRuns {
            id: 1,
            name: "sched_switch".to_owned(),
            runs,
            run_time_ns,
        };
        let window = reading(30, 5_000).since(&reading(10, 1_000));
        assert_eq!(window, reading(20, 4_000));
        assert_eq!(window.ns_per_run(), Some(200.0));
        assert_eq!(reading(0, 0).ns_per_run(), None);
    }
}
