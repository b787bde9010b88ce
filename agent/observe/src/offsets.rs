//! Where the running kernel keeps the fields that the programs read, from its BTF.
//!
//! Rust for BPF emits no CO-RE relocations, so each offset travels as a read-only global of the
//! object (see `ebpf/src/offsets.rs`). Guessing would be silently wrong on the next kernel.

mod sockets;

use libbpf_rs::btf::{
    Btf,
    types::{Composite, MemberAttr},
};

use crate::ObserveError;

/// In place of an offset: this kernel has no such field, and does without.
const ABSENT: u32 = u32::MAX;

/// Which of the signals that not every kernel has are counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each tells of one signal")]
pub struct Available {
    /// Bytes read from storage and written to it.
    pub block_io: bool,
    /// Processes that the kernel ended because memory ran out.
    pub oom_kills: bool,
    /// The clock of the run queues.
    pub run_queue_clock: bool,
    /// All that is read of TCP sockets.
    pub sockets: bool,
}

impl Available {
    /// Looks which fields were found; `fields` is what [`resolve`] returned.
    pub(crate) fn from_fields(fields: &[(&'static str, u32)]) -> Self {
        let has = |wanted| {
            fields
                .iter()
                .any(|&(global, offset)| global == wanted && offset != ABSENT)
        };
        Self {
            oom_kills: has("TASK_SIGNAL") && has("SIGNAL_OOM_MM"),
            block_io: has("TASK_READ_BYTES") && has("TASK_WRITTEN_BYTES"),
            run_queue_clock: ["TASK_CFS_RQ", "CFS_RQ_RQ", "RQ_CLOCK"]
                .into_iter()
                .all(has),
            sockets: sockets::NEEDED.into_iter().all(|(global, _)| has(global)),
        }
    }
}

/// Global of the object, C struct, member: fields that every kernel has.
const NEEDED: [(&str, &str, &str); 16] = [
    ("TASK_PID", "task_struct", "pid"),
    ("TASK_COMM", "task_struct", "comm"),
    ("TASK_FLAGS", "task_struct", "flags"),
    ("TASK_STATE", "task_struct", "__state"),
    ("TASK_TGID", "task_struct", "tgid"),
    ("TASK_GROUP_LEADER", "task_struct", "group_leader"),
    ("TASK_START_BOOTTIME", "task_struct", "start_boottime"),
    ("TASK_MIN_FLT", "task_struct", "min_flt"),
    ("TASK_MAJ_FLT", "task_struct", "maj_flt"),
    ("TASK_CGROUPS", "task_struct", "cgroups"),
    ("CSS_SET_DFL_CGRP", "css_set", "dfl_cgrp"),
    ("CGROUP_DOM_CGRP", "cgroup", "dom_cgrp"),
    ("CGROUP_KN", "cgroup", "kn"),
    ("CGROUP_ROOT", "cgroup", "root"),
    ("CGROUP_ROOT_HIERARCHY_ID", "cgroup_root", "hierarchy_id"),
    ("KERNFS_NODE_ID", "kernfs_node", "id"),
];

/// The name of each global with the value that it is to hold: an offset in bytes, or a mask.
pub(crate) fn resolve() -> Result<Vec<(&'static str, u32)>, ObserveError> {
    let btf = Btf::from_vmlinux().map_err(|source| ObserveError::BtfUnreadable { source })?;
    let mut globals = Vec::new();
    for (global, type_name, field) in NEEDED {
        let bits = field_bits(&btf, type_name, field);
        let bits = bits.ok_or(ObserveError::NoField { type_name, field })?;
        globals.push((global, bits / 8));
    }
    let bit = field_bits(&btf, "task_struct", "in_iowait");
    let bit = bit.ok_or(ObserveError::NoField {
        type_name: "task_struct",
        field: "in_iowait",
    })?;
    // A bit is read with the aligned word around it.
    globals.push(("TASK_IOWAIT_WORD", bit / 32 * 4));
    globals.push(("TASK_IOWAIT_MASK", 1 << (bit % 32)));
    let cfs_rq = field_bits(&btf, "task_struct", "se")
        .zip(field_bits(&btf, "sched_entity", "cfs_rq"))
        .map(|(entity, queue)| entity + queue);
    let byte_count = |field| {
        let accounting = field_bits(&btf, "task_struct", "ioac")?;
        Some(accounting + field_bits(&btf, "task_io_accounting", field)?)
    };
    for (global, bits) in [
        ("TASK_SIGNAL", field_bits(&btf, "task_struct", "signal")),
        ("SIGNAL_OOM_MM", field_bits(&btf, "signal_struct", "oom_mm")),
        ("TASK_READ_BYTES", byte_count("read_bytes")),
        ("TASK_WRITTEN_BYTES", byte_count("write_bytes")),
        ("TASK_CFS_RQ", cfs_rq),
        ("CFS_RQ_RQ", field_bits(&btf, "cfs_rq", "rq")),
        ("RQ_CLOCK", field_bits(&btf, "rq", "clock")),
        ("RQ_CPU", field_bits(&btf, "rq", "cpu")),
        (
            "CFS_RQ_THROTTLE_COUNT",
            field_bits(&btf, "cfs_rq", "throttle_count"),
        ),
        ("CFS_RQ_THROTTLED_TIME", throttled_time(&btf)),
        (
            "TASK_THROTTLED",
            field_bits(&btf, "task_struct", "throttled"),
        ),
    ] {
        globals.push((global, bits.map_or(ABSENT, |bits| bits / 8)));
    }
    globals.extend(sockets::resolve(&btf));
    Ok(globals)
}

/// Where a run queue adds up for how long it was throttled, if this kernel throttles run queues. The
/// older of the two fields counts by a clock that slows down with the processor.
fn throttled_time(btf: &Btf<'_>) -> Option<u32> {
    if field_bits(btf, "task_struct", "throttled").is_some() {
        return None;
    }
    // Without these it can't be found, or not told from another CPU's.
    let _queue = field_bits(btf, "cfs_rq", "rq")?;
    let _cpu = field_bits(btf, "rq", "cpu")?;
    ["throttled_clock_self_time", "throttled_clock_pelt_time"]
        .into_iter()
        .find_map(|field| field_bits(btf, "cfs_rq", field))
}

/// The offset of a field in bits.
fn field_bits(btf: &Btf<'_>, type_name: &str, field: &str) -> Option<u32> {
    offset_bits(btf, btf.type_by_name::<Composite<'_>>(type_name)?, field)
}

/// The offset of a member in bits, also of one in an unnamed struct or union (which is how a
/// kernel with randomised layouts wraps the members of `task_struct`).
fn offset_bits(btf: &Btf<'_>, structure: Composite<'_>, field: &str) -> Option<u32> {
    structure.iter().find_map(|member| {
        let (MemberAttr::Normal { offset } | MemberAttr::BitField { offset, .. }) = member.attr;
        if let Some(name) = member.name {
            return (name == field).then_some(offset);
        }
        let inner = btf.type_by_id::<Composite<'_>>(member.ty)?;
        Some(offset + offset_bits(btf, inner, field)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_in_the_running_kernel() {
        let offsets = resolve().expect("this kernel has BTF");
        assert!(offsets.len() > NEEDED.len());
        let offset = |global: &str| {
            offsets
                .iter()
                .find(|(name, _)| *name == global)
                .map(|&(_, offset)| offset)
        };
        // Two fields of one struct can't lie at the same place.
        assert_ne!(offset("TASK_PID"), offset("TASK_FLAGS"));
        assert_ne!(offset("TASK_CGROUPS"), Some(0));
    }

    #[test]
    fn a_signal_whose_field_is_absent_is_not_available() {
        let fields = |written| [("TASK_READ_BYTES", 8), ("TASK_WRITTEN_BYTES", written)];
        assert!(Available::from_fields(&fields(16)).block_io);
        assert!(!Available::from_fields(&fields(ABSENT)).block_io);
        assert!(!Available::from_fields(&[]).block_io);
    }
}
