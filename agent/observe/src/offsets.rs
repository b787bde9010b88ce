//! Where the running kernel keeps the fields that the programs read, from its BTF.
//!
//! Rust for BPF emits no CO-RE relocations, so each offset travels as a read-only global of the
//! object (see `ebpf/src/offsets.rs`). Guessing would be silently wrong on the next kernel.

use libbpf_rs::btf::{
    Btf,
    types::{MemberAttr, Struct},
};

use crate::ObserveError;

/// Global of the object, C struct, member.
const FIELDS: [(&str, &str, &str); 10] = [
    ("TASK_PID", "task_struct", "pid"),
    ("TASK_FLAGS", "task_struct", "flags"),
    ("TASK_STATE", "task_struct", "__state"),
    ("TASK_CGROUPS", "task_struct", "cgroups"),
    ("CSS_SET_DFL_CGRP", "css_set", "dfl_cgrp"),
    ("CGROUP_DOM_CGRP", "cgroup", "dom_cgrp"),
    ("CGROUP_KN", "cgroup", "kn"),
    ("CGROUP_ROOT", "cgroup", "root"),
    ("CGROUP_ROOT_HIERARCHY_ID", "cgroup_root", "hierarchy_id"),
    ("KERNFS_NODE_ID", "kernfs_node", "id"),
];

/// The name of each global with the offset, in bytes, that it is to hold.
pub(crate) fn resolve() -> Result<Vec<(&'static str, u32)>, ObserveError> {
    let btf = Btf::from_vmlinux().map_err(|source| ObserveError::BtfUnreadable { source })?;
    FIELDS
        .into_iter()
        .map(|(global, type_name, field)| {
            let offset = btf
                .type_by_name::<Struct<'_>>(type_name)
                .and_then(|structure| offset_bits(&btf, structure, field))
                .ok_or(ObserveError::NoField { type_name, field })?;
            Ok((global, offset / 8))
        })
        .collect()
}

/// The offset of a member in bits, also of one in an unnamed struct (which is how a kernel with
/// randomised layouts wraps the members of `task_struct`).
fn offset_bits(btf: &Btf<'_>, structure: Struct<'_>, field: &str) -> Option<u32> {
    structure.iter().find_map(|member| {
        let MemberAttr::Normal { offset } = member.attr else {
            return None;
        };
        if let Some(name) = member.name {
            return (name == field).then_some(offset);
        }
        let inner = btf.type_by_id::<Struct<'_>>(member.ty)?;
        Some(offset + offset_bits(btf, inner, field)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_in_the_running_kernel() {
        let offsets = resolve().expect("this kernel has BTF");
        assert_eq!(offsets.len(), FIELDS.len());
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
}
