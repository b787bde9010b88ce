//! Where the running kernel keeps what is read of TCP sockets.

use libbpf_rs::btf::Btf;

use super::{ABSENT, field_bits};

/// A member of a struct, and a member of that, and so on.
type Path = &'static [(&'static str, &'static str)];

/// Global of the object, and the way to the field. Without one of them nothing is read of sockets.
pub(super) const NEEDED: [(&str, Path); 14] = [
    ("SKC_FAMILY", &[("sock_common", "skc_family")]),
    ("SKC_STATE", &[("sock_common", "skc_state")]),
    ("SKC_DADDR", &[("sock_common", "skc_daddr")]),
    ("SKC_DPORT", &[("sock_common", "skc_dport")]),
    ("SOCK_DROPS", &[("sock", "sk_drops")]),
    (
        "SOCK_CGROUP",
        &[("sock", "sk_cgrp_data"), ("sock_cgroup_data", "cgroup")],
    ),
    ("SOCKET_SK", &[("socket", "sk")]),
    ("TCP_BYTES_ACKED", &[("tcp_sock", "bytes_acked")]),
    ("TCP_BYTES_RECEIVED", &[("tcp_sock", "bytes_received")]),
    ("TCP_TOTAL_RETRANS", &[("tcp_sock", "total_retrans")]),
    ("TCP_SRTT", &[("tcp_sock", "srtt_us")]),
    (
        "TCP_RTT_MIN",
        // Three samples, the best one first: its time, and its value.
        &[
            ("tcp_sock", "rtt_min"),
            ("minmax", "s"),
            ("minmax_sample", "v"),
        ],
    ),
    (
        "TCP_RACK_RTT",
        &[("tcp_sock", "rack"), ("tcp_rack", "rtt_us")],
    ),
    (
        "TCP_CALLBACK_FLAGS",
        &[("tcp_sock", "bpf_sock_ops_cb_flags")],
    ),
];

/// A kernel without IPv6 has no such field, and no such sockets.
const OPTIONAL: (&str, Path) = ("SKC_V6_DADDR", &[("sock_common", "skc_v6_daddr")]);

/// The name of each global with the offset in bytes.
pub(super) fn resolve(btf: &Btf<'_>) -> impl Iterator<Item = (&'static str, u32)> {
    NEEDED
        .into_iter()
        .chain([OPTIONAL])
        .map(|(global, path)| (global, bytes(btf, path).unwrap_or(ABSENT)))
}

fn bytes(btf: &Btf<'_>, path: Path) -> Option<u32> {
    let bits = path
        .iter()
        .map(|(type_name, field)| field_bits(btf, type_name, field));
    Some(bits.sum::<Option<u32>>()? / 8)
}
