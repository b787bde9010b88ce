//! The kernel's task iterator.

use std::{
    io::Read,
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
};

use libbpf_rs::{ErrorExt as _, Iter, Link, Object, ObjectBuilder, OpenObject};

use crate::{
    ObserveError,
    probes::Probes,
    processes::{ROW_BYTES, ThreadRow},
    verifier::{LOG_REASON, LOG_STATISTICS, ProgramBill, bill_from},
};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/threads.o"));

/// Maps that the iterator shares with the scheduler programs.
const SHARED: [&str; 6] = [
    "THREADS",
    "CGROUP_SLOTS",
    "PROCESS_SLOTS",
    "AGENTS",
    "CLOCK",
    "LOSSES",
];

/// The iterator's two programs, attached: each read of one visits all threads.
pub(crate) struct TaskIterator {
    threads: Link,
    processes: Link,
    /// Keeps the programs loaded.
    _object: Object,
}

impl TaskIterator {
    /// Loads the programs. With `all_processes`, those outside the root cgroup, whose id is
    /// `root_id`, are listed too.
    pub(crate) fn load(
        probes: &Probes,
        root_id: u64,
        all_processes: bool,
    ) -> Result<Self, ObserveError> {
        log_libbpf();
        let open = open_object(probes, root_id, all_processes)?;
        let object = open.load().map_err(refused)?;
        let attach = |name: &str| {
            object
                .progs_mut()
                .find(|program| program.name() == name)
                .ok_or_else(|| ObserveError::refused(name, "the object does not hold it"))?
                .attach()
                .map_err(refused)
        };
        let (threads, processes) = (attach("visit_threads")?, attach("visit_processes")?);
        Ok(Self {
            threads,
            processes,
            _object: object,
        })
    }

    pub(crate) fn threads(&mut self) -> Result<Vec<ThreadRow>, ObserveError> {
        rows(&self.threads)
    }

    pub(crate) fn processes(&mut self) -> Result<Vec<ThreadRow>, ObserveError> {
        rows(&self.processes)
    }
}

/// What the verifier makes of the two programs.
pub(crate) fn bills(probes: &Probes) -> Result<Vec<ProgramBill>, ObserveError> {
    let (object, log) = load_with_log(probes, LOG_STATISTICS)?;
    let object = match object {
        Ok(object) => object,
        Err(error) => {
            // Once more, for the way to the refusal.
            let (_, log) = load_with_log(probes, LOG_STATISTICS | LOG_REASON)?;
            return Err(ObserveError::Unverified {
                program: "the task iterator".to_owned(),
                reason: std::io::Error::other(format!("{error:#}")),
                log,
            });
        }
    };
    let bill = |program: libbpf_rs::Program<'_>| {
        let name = program.name().to_string_lossy().into_owned();
        let begin = format!("prog '{name}': -- BEGIN PROG LOAD LOG --");
        let log = log.split(&begin).nth(1).unwrap_or_default();
        let log = log.split("-- END PROG LOAD LOG --").next();
        bill_from(&name, log.unwrap_or_default(), &program)
    };
    object.progs().map(bill).collect()
}

/// Loads the object, and returns what came of it with all that libbpf wrote meanwhile.
fn load_with_log(
    probes: &Probes,
    log_level: u32,
) -> Result<(libbpf_rs::Result<Object>, String), ObserveError> {
    let mut open = open_object(probes, 0, true)?;
    for mut program in open.progs_mut() {
        program.set_log_level(log_level);
    }
    keep_libbpf_log();
    let object = open.load();
    let log = std::mem::take(&mut *KEPT_LOG.lock().unwrap_or_else(PoisonError::into_inner));
    log_libbpf();
    Ok((object, log))
}

/// The object with its settings and the maps that it shares, ready to be loaded.
fn open_object(
    probes: &Probes,
    root_id: u64,
    all_processes: bool,
) -> Result<OpenObject, ObserveError> {
    let mut open = ObjectBuilder::default()
        .open_memory(OBJECT)
        .map_err(refused)?;
    share_maps(&mut open, probes)?;
    set(&mut open, [root_id, u64::from(all_processes)]).map_err(refused)?;
    Ok(open)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` wants it")]
fn refused(error: libbpf_rs::Error) -> ObserveError {
    ObserveError::refused("the task iterator", format!("{error:#}"))
}

fn share_maps(open: &mut OpenObject, probes: &Probes) -> Result<(), ObserveError> {
    for mut map in open.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if SHARED.contains(&name.as_str()) {
            map.reuse_fd(probes.descriptor(&name)?.as_fd())
                .map_err(|error| ObserveError::refused(format!("sharing {name}"), error))?;
        }
    }
    Ok(())
}

/// Writes `settings`, the only read-only global of the object.
fn set(open: &mut OpenObject, settings: [u64; 2]) -> libbpf_rs::Result<()> {
    for mut map in open.maps_mut() {
        if map.name().to_string_lossy().ends_with(".rodata") {
            let bytes: Vec<u8> = settings
                .iter()
                .flat_map(|word| word.to_ne_bytes())
                .collect();
            return map.set_initial_value(&bytes);
        }
    }
    Err(libbpf_rs::Error::from_raw_os_error(
        nix::errno::Errno::ENOENT as i32,
    ))
    .context("the object has no read-only data")
}

fn rows(link: &Link) -> Result<Vec<ThreadRow>, ObserveError> {
    let read = |error| ObserveError::refused("reading the task iterator", error);
    let mut iterator = Iter::new(link)
        .map_err(|error| ObserveError::refused("starting the task iterator", error))?;
    let mut bytes = Vec::new();
    iterator.read_to_end(&mut bytes).map_err(read)?;
    let (rows, _rest) = bytes.as_chunks::<ROW_BYTES>();
    Ok(rows.iter().map(ThreadRow::from_bytes).collect())
}

/// libbpf writes to standard error unless told otherwise.
fn log_libbpf() {
    libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Debug, |level, message| {
        let message = message.trim_end();
        if level == libbpf_rs::PrintLevel::Debug {
            tracing::trace!(message, "libbpf");
        } else {
            // What fails is returned as an error too, which is where the user reads it.
            tracing::debug!(message, "libbpf");
        }
    })));
}

/// What libbpf wrote while [`keep_libbpf_log`] was in force: it takes a plain function for its
/// messages, which can't hold anything itself.
static KEPT_LOG: Mutex<String> = Mutex::new(String::new());

fn keep_libbpf_log() {
    libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Debug, |_, message| {
        let mut log = KEPT_LOG.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&message);
    })));
}
