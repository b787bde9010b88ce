//! Paths that are slow and lose segments, between network namespaces that the test made.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::{count, listen, report_after_interrupt, row, talk};
use crate::{
    Need, Test,
    host::{Host, start_hostler},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "sockets_in_other_network_namespaces_are_measured_and_known_as_the_host_s",
        needs: &[Need::WritableCgroups, Need::NetworkNamespaces],
        run: sockets_in_other_network_namespaces_are_measured_and_known_as_the_host_s,
    },
    Test {
        name: "a_slow_path_that_loses_segments_is_seen_as_what_it_is",
        needs: &[Need::WritableCgroups, Need::NetworkNamespaces, Need::Netem],
        run: a_slow_path_that_loses_segments_is_seen_as_what_it_is,
    },
];

const NEAR: &str = "10.231.0.1";
const FAR: &str = "10.231.0.2";

/// What the slow path adds to a round trip, in ms, and the segments that it loses, in percent.
const DELAY_MS: u64 = 20;
const LOSS_PERCENT: u64 = 10;

/// A network namespace; it goes with the process that holds it.
struct Namespace(Child);

impl Namespace {
    fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args([
                "--net",
                "sh",
                "-c",
                "ip link set lo up && echo up && exec cat",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare can be started");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("it is a pipe"))
            .read_line(&mut line)
            .expect("it says something");
        assert_eq!(line.trim(), "up");
        Self(holder)
    }

    fn process(&self) -> String {
        self.0.id().to_string()
    }

    /// Runs a command in it, and returns what that printed.
    fn run(&self, command: &str) -> String {
        let output = Command::new("nsenter")
            .args(["--net", "--target", &self.process(), "sh", "-c", command])
            .output()
            .expect("nsenter can be started");
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Segments that were sent again in it.
    fn sent_again(&self) -> u64 {
        let snmp = self.run("cat /proc/net/snmp");
        let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
        let mut fields = names.split(' ').zip(values.split(' '));
        let (_, value) = fields
            .find(|(name, _)| *name == "RetransSegs")
            .expect("the kernel counts them");
        value.parse().expect("a count")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}

/// Two namespaces with a cable between them.
fn pair() -> (Namespace, Namespace) {
    let (near, far) = (Namespace::new(), Namespace::new());
    near.run(&format!(
        "ip link add near type veth peer name far netns {} && ip addr add {NEAR}/24 dev near && \
         ip link set near up",
        far.process()
    ));
    far.run(&format!(
        "ip addr add {FAR}/24 dev far && ip link set far up"
    ));
    (near, far)
}

/// Words that start a command in a namespace of that process.
fn inside(process: &str) -> [&str; 4] {
    ["nsenter", "--net", "--target", process]
}

fn sockets_in_other_network_namespaces_are_measured_and_known_as_the_host_s(host: &Host) {
    let (near, far) = pair();
    let (servers, clients) = (host.cgroup("server"), host.cgroup("client"));
    let (near_process, far_process) = (near.process(), far.process());
    let server = listen(&servers, &inside(&far_process), FAR);
    // One connection is older than Hostler, the other one younger.
    let mut older = talk(&clients, &inside(&near_process), FAR, server.number);
    older.rounds(50, 100);
    let tracer = start_hostler(&["trace", "rtt", "--json"]);
    let mut younger = talk(&clients, &inside(&near_process), FAR, server.number);
    younger.rounds(100, 100);
    older.rounds(100, 100);
    older.end();
    younger.end();
    server.end();
    let report = report_after_interrupt(tracer);
    for name in [&clients.name, &servers.name] {
        let row = row(&report, name, "host");
        let bytes = count(&row, "sent_bytes");
        assert!((20_000..=20_004).contains(&bytes), "{row:#}");
        assert_eq!(count(&row, "closed"), 2, "{row:#}");
    }
}

fn a_slow_path_that_loses_segments_is_seen_as_what_it_is(host: &Host) {
    let (servers, clients) = (host.cgroup("server"), host.cgroup("client"));
    // Before the namespaces: their addresses are not known as the host's yet.
    let tracer = start_hostler(&["trace", "rtt", "--json"]);
    let (near, far) = pair();
    near.run(&format!(
        "tc qdisc add dev near root netem delay {DELAY_MS}ms loss {LOSS_PERCENT}%"
    ));
    let (near_process, far_process) = (near.process(), far.process());
    let server = listen(&servers, &inside(&far_process), FAR);
    let mut client = talk(&clients, &inside(&near_process), FAR, server.number);
    client.rounds(100, 100);
    client.end();
    server.end();
    let (near_again, far_again) = (near.sent_again(), far.sent_again());
    let report = report_after_interrupt(tracer);
    let client = row(&report, &clients.name, "wan");
    let p50_ns = count(&client, "p50_ns");
    let delay_ns = DELAY_MS * 1_000_000;
    // The end of a bucket, which is an eighth wide, and whatever a busy machine adds.
    assert!((delay_ns..2 * delay_ns).contains(&p50_ns), "{client:#}");
    assert!(
        count(&client, "min_rtt_us") >= DELAY_MS * 1_000,
        "{client:#}"
    );
    assert!(near_again > 0, "of 100 and more segments none was lost");
    for (name, truth) in [(&clients.name, near_again), (&servers.name, far_again)] {
        let rows = report["rows"].as_array().expect("a report has rows");
        let of_agent = rows.iter().filter(|row| row["agent"] == name.as_str());
        let counted: u64 = of_agent
            .map(|row| count(row, "retransmitted_segments"))
            .sum();
        assert_eq!(counted, truth, "{name}: {report:#}");
    }
}
