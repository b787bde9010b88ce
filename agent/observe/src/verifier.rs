//! What the kernel's verifier makes of each program: the work it has with it, and the stack that it
//! finds.
//!
//! A verifier gives up at a million instructions and 512 bytes of stack, each kernel counts in its
//! own way, and a small change of the source can multiply what it has to go through. So the figures
//! of every program on every kernel are kept and compared. The loaders ask for the verifier's log
//! after a refusal only, so the same instructions are handed to it once more here, with the
//! statistics asked for.

#![expect(
    unsafe_code,
    reason = "libbpf's loader takes raw pointers, and no crate hands out the log of a success"
)]

use std::{
    collections::{HashMap, HashSet},
    ffi::{CString, c_char},
    fs,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
    time::Duration,
};

use aya::Btf;
use aya_obj::{Function, Object, ProgramSection, btf::BtfKind};
use hostler_common::run_queue::cpu_view;
use libbpf_rs::libbpf_sys::{
    BPF_CGROUP_SOCK_OPS, BPF_PROG_TYPE_SOCK_OPS, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY,
    BPF_TRACE_FEXIT, BPF_TRACE_ITER, BPF_TRACE_RAW_TP, bpf_attach_type, bpf_prog_get_info_by_fd,
    bpf_prog_info, bpf_prog_load, bpf_prog_load_opts, bpf_prog_type,
};

use crate::{
    Available, ObserveError, ProbeClock,
    observer::LONG_WAIT_NS,
    offsets,
    probes::{OBJECT, Probes, Settings, faults::FUNCTION, sockets::ITERATORS},
    snapshot::iterator_bills,
};

/// `BPF_LOG_STATS` of the kernel's `bpf_verifier.h`: the figures, and of a refusal nothing.
pub(crate) const LOG_STATISTICS: u32 = 4;

/// `BPF_LOG_LEVEL1` of the same: the way to a refusal.
pub(crate) const LOG_REASON: u32 = 1;

/// Room for the log; of one that is longer, kernels from 6.4 on keep the end, where the refusal stands.
const LOG_BYTES: usize = 1 << 20;

/// What one program costs the verifier, and the kernel when it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramBill {
    /// The program's name.
    pub name: String,
    /// Instructions that the verifier went through, on all paths.
    pub instructions: u32,
    /// Stack that the program uses, in bytes, with that of its functions.
    pub stack_bytes: u32,
    /// How long the verifier took.
    pub verification: Duration,
    /// Kernel memory of the program in bytes: whole pages with its instructions, and the machine
    /// code that was made of them.
    pub memory_bytes: u64,
}

/// The bill of every program, with all that can be asked for turned on; by name.
pub fn program_bills() -> Result<Vec<ProgramBill>, ObserveError> {
    // Few guests have the clock that most hosts use; what reads it is to be verified all the same.
    let has_clock = Available::from_fields(&offsets::resolve()?).run_queue_clock;
    let probes = Probes::load(&Settings {
        cpu_view: cpu_view::SELECTED,
        long_wait_ns: LONG_WAIT_NS,
        causes: true,
        wakes: true,
        placement: true,
        wait_events: true,
        has_rules: true,
        fault_latency: true,
        sockets: true,
        named_peers: true,
        root_cgroup_id: 1,
        clock: has_clock.then_some(ProbeClock::RunQueue),
    })?;
    let mut bills = bills_of_probes(&probes)?;
    bills.extend(iterator_bills(&probes)?);
    bills.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(bills)
}

/// The instructions of `OBJECT` with the maps of `probes`, whose read-only data holds the settings.
fn bills_of_probes(probes: &Probes) -> Result<Vec<ProgramBill>, ObserveError> {
    let unfit = |error: &dyn std::error::Error| ObserveError::refused("the object", error);
    let mut object = Object::parse(OBJECT).map_err(|error| unfit(&error))?;
    let descriptors: HashMap<String, RawFd> = probes
        .maps()
        .into_iter()
        .map(|(name, descriptor)| (name, descriptor.as_raw_fd()))
        .collect();
    let maps = object.maps.clone();
    let maps = maps
        .iter()
        .filter_map(|(name, map)| Some((name.as_str(), *descriptors.get(name)?, map)));
    let text_sections: HashSet<usize> = object.functions.keys().map(|key| key.0).collect();
    object
        .relocate_maps(maps, &text_sections)
        .map_err(|error| unfit(&error))?;
    object
        .relocate_calls(&text_sections)
        .map_err(|error| unfit(&error))?;
    let btf = Btf::from_sys_fs().map_err(|error| ObserveError::refused("the BTF", error))?;
    object
        .programs
        .iter()
        .map(|(name, program)| {
            let function = object.functions.get(&program.function_key());
            let function = function.ok_or_else(|| ObserveError::refused(name, "no function"))?;
            let hook = hook(&btf, name, &program.section)?;
            bill(name, &program.license, function, &hook)
        })
        .collect()
}

/// What a program is for: its type, what it is attached to, and that one's type in the kernel's BTF.
struct Hook {
    program_type: bpf_prog_type,
    attach_type: bpf_attach_type,
    btf_id: u32,
}

fn hook(btf: &Btf, name: &str, section: &ProgramSection) -> Result<Hook, ObserveError> {
    let (program_type, attach_type, of_kernel) = match section {
        ProgramSection::SockOps => (BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, None),
        ProgramSection::Iter { .. } => {
            let kind = ITERATORS.iter().find(|(program, _)| *program == name);
            let (_, kind) =
                kind.ok_or_else(|| ObserveError::refused(name, "an iterator of no known kind"))?;
            let function = (format!("bpf_iter_{kind}"), BtfKind::Func);
            (BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, Some(function))
        }
        ProgramSection::FEntry { .. } => {
            let function = (FUNCTION.to_owned(), BtfKind::Func);
            (BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, Some(function))
        }
        ProgramSection::FExit { .. } => {
            let function = (FUNCTION.to_owned(), BtfKind::Func);
            (BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, Some(function))
        }
        _ => {
            let tracepoint = (format!("btf_trace_{name}"), BtfKind::Typedef);
            (BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, Some(tracepoint))
        }
    };
    let btf_id = of_kernel.map_or(Ok(0), |(of_kernel, kind)| {
        btf.id_by_type_name_kind(&of_kernel, kind)
            .map_err(|error| ObserveError::refused(name, error))
    })?;
    Ok(Hook {
        program_type,
        attach_type,
        btf_id,
    })
}

/// Loads a program for a hook, and unloads it.
fn bill(
    name: &str,
    license: &CString,
    function: &Function,
    hook: &Hook,
) -> Result<ProgramBill, ObserveError> {
    let (descriptor, log) = match load(license, function, hook, LOG_STATISTICS) {
        Ok(loaded) => loaded,
        Err(_) => load(license, function, hook, LOG_STATISTICS | LOG_REASON).map_err(
            |(reason, log)| ObserveError::Unverified {
                program: name.to_owned(),
                reason,
                log,
            },
        )?,
    };
    bill_from(name, &log, &descriptor)
}

type Loaded = Result<(OwnedFd, String), (std::io::Error, String)>;

fn load(license: &CString, function: &Function, hook: &Hook, log_level: u32) -> Loaded {
    let mut log = vec![0_u8; LOG_BYTES];
    let mut options = bpf_prog_load_opts {
        sz: size_of::<bpf_prog_load_opts>() as u64,
        attempts: 1,
        expected_attach_type: hook.attach_type,
        attach_btf_id: hook.btf_id,
        log_level,
        log_size: u32::try_from(LOG_BYTES).unwrap_or(u32::MAX),
        log_buf: log.as_mut_ptr().cast::<c_char>(),
        ..bpf_prog_load_opts::default()
    };
    let instructions = &function.instructions;
    // SAFETY: the pointers lead to a string with its end, to as many instructions as are said, laid
    // out as the kernel's `bpf_insn`, and to options with room for the log, all of which outlive the
    // call.
    let result = unsafe {
        bpf_prog_load(
            hook.program_type,
            std::ptr::null(),
            license.as_ptr(),
            instructions.as_ptr().cast(),
            instructions.len() as u64,
            &raw mut options,
        )
    };
    let length = log.iter().position(|&byte| byte == 0).unwrap_or(LOG_BYTES);
    let log = String::from_utf8_lossy(&log[..length]).into_owned();
    if result < 0 {
        return Err((std::io::Error::from_raw_os_error(-result), log));
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(result) };
    Ok((descriptor, log))
}

/// What the log and the kernel say of a program that is loaded.
pub(crate) fn bill_from(
    name: &str,
    log: &str,
    descriptor: &impl std::os::fd::AsFd,
) -> Result<ProgramBill, ObserveError> {
    let statistics = Statistics::parse(log).ok_or_else(|| {
        ObserveError::refused(name, format!("the verifier's log has no statistics: {log}"))
    })?;
    Ok(ProgramBill {
        name: name.to_owned(),
        instructions: statistics.instructions,
        stack_bytes: statistics.stack_bytes,
        verification: statistics.verification,
        memory_bytes: memory_bytes(descriptor.as_fd())
            .ok_or_else(|| ObserveError::refused(name, "its memory is not known"))?,
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Statistics {
    instructions: u32,
    stack_bytes: u32,
    verification: Duration,
}

impl Statistics {
    /// `verification time N usec`, `stack depth A+B` (a part for each function; in newer kernels
    /// `stack depth max N`), `processed N insns …`, as `print_verification_stats` of the kernel's
    /// `verifier.c` writes them.
    fn parse(log: &str) -> Option<Self> {
        let after = |word: &str| log.lines().rev().find_map(|line| line.strip_prefix(word));
        let number = |text: &str| text.split(' ').next()?.parse::<u64>().ok();
        let stack = after("stack depth ")?;
        let stack = stack.strip_prefix("max ").unwrap_or(stack);
        Some(Self {
            instructions: u32::try_from(number(after("processed ")?)?).ok()?,
            stack_bytes: stack
                .trim()
                .split('+')
                .map(|part| part.parse::<u32>().ok())
                .sum::<Option<u32>>()?,
            verification: Duration::from_micros(number(after("verification time ")?)?),
        })
    }
}

/// Kernel memory of a program, if the kernel says: its pages, and its machine code.
fn memory_bytes(descriptor: BorrowedFd<'_>) -> Option<u64> {
    let path = format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd());
    let info = fs::read_to_string(path).ok()?;
    let pages = info
        .lines()
        .find_map(|line| line.strip_prefix("memlock:"))?;
    let pages: u64 = pages.trim().parse().ok()?;
    Some(pages + u64::from(code_bytes(descriptor)?))
}

fn code_bytes(descriptor: BorrowedFd<'_>) -> Option<u32> {
    let mut info = bpf_prog_info::default();
    let mut size = u32::try_from(size_of::<bpf_prog_info>()).ok()?;
    // SAFETY: the descriptor is open, and the kernel writes no more than the size that it is told.
    let result =
        unsafe { bpf_prog_get_info_by_fd(descriptor.as_raw_fd(), &raw mut info, &raw mut size) };
    (result == 0).then_some(info.jited_prog_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistics_are_read_from_the_end_of_a_log() {
        let log = "func#0 @0\nverification time 1234 usec\nstack depth 120+16\n\
                   processed 4822 insns (limit 1000000) max_states_per_insn 4 total_states 200 \
                   peak_states 180 mark_read 30\n";
        let expected = Statistics {
            instructions: 4822,
            stack_bytes: 136,
            verification: Duration::from_micros(1234),
        };
        assert_eq!(Statistics::parse(log), Some(expected));
    }

    #[test]
    fn the_statistics_of_linux_7_are_read_too() {
        let log = "verification time 44292 usec\nstack depth max 64\n\
                   subprog 0 (<unknown>) main insns_self 593 insns_total 593 stack 56\n\
                   processed 593 insns (limit 1000000) max_states_per_insn 2 total_states 43\n";
        let statistics = Statistics::parse(log).expect("it has all three");
        assert_eq!((statistics.instructions, statistics.stack_bytes), (593, 64));
    }

    #[test]
    fn a_log_without_statistics_gives_none() {
        assert_eq!(Statistics::parse("0: R1=ctx() R10=fp0\n"), None);
    }
}
