//! Where threads run, where memory lies, and who wakes whom across nodes, held against what the kernel
//! itself tells of it.

use std::{fs, thread, time::Duration};

use serde_json::Value;

use crate::{
    Test,
    guest::{Guest, Running, hostler},
    holder::{Holder, number_in},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "the_shape_of_a_guest_is_that_of_its_sysfs",
        the_shape_of_a_guest_is_that_of_its_sysfs,
    ),
    (
        "an_agent_s_time_is_on_the_node_where_the_kernel_says_that_its_threads_are",
        an_agent_s_time_is_on_the_node_where_the_kernel_says_that_its_threads_are,
    ),
    (
        "moves_between_nodes_are_those_that_were_made",
        moves_between_nodes_are_those_that_were_made,
    ),
    (
        "memory_lies_where_the_kernel_s_own_list_of_mappings_says",
        memory_lies_where_the_kernel_s_own_list_of_mappings_says,
    ),
    (
        "explain_says_that_memory_lies_elsewhere_than_threads_run",
        explain_says_that_memory_lies_elsewhere_than_threads_run,
    ),
    (
        "wake_ups_from_another_node_are_told_from_those_of_the_same",
        wake_ups_from_another_node_are_told_from_those_of_the_same,
    ),
];

/// A page of a guest.
const PAGE_BYTES: u64 = 4096;

/// Pages that a holder holds: 8 MiB.
pub(crate) const PAGES: usize = 2_048;

fn the_shape_of_a_guest_is_that_of_its_sysfs(guest: &Guest) {
    let report = &hostler(&["topology", "--json"])[0];
    for (node, cpus) in guest.nodes.iter().enumerate() {
        let told = &report["nodes"][node];
        assert_eq!(told["node"], node, "{told}");
        let path = format!("/sys/devices/system/node/node{node}");
        let distances = fs::read_to_string(format!("{path}/distance")).expect("it is there");
        for (other, distance) in distances.split_whitespace().enumerate() {
            let distance: u64 = distance.parse().expect("a number");
            assert_eq!(told["distances"][other.to_string()], distance, "{told}");
        }
        let meminfo = fs::read_to_string(format!("{path}/meminfo")).expect("it is there");
        let total = meminfo.lines().find_map(|line| {
            let (_, amount) = line.split_once("MemTotal:")?;
            amount.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        });
        assert_eq!(told["memory_bytes"].as_u64(), total.map(|kib| kib << 10));
        for &cpu in cpus {
            let told = &report["cpus"][cpu];
            assert_eq!((&told["cpu"], &told["node"]), (&cpu.into(), &node.into()));
            let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id");
            let package = fs::read_to_string(path).expect("it is there");
            assert_eq!(told["package"].to_string(), package.trim());
        }
    }
}

/// What is told of the agent with this name.
fn agent<'a>(report: &'a Value, name: &str) -> &'a Value {
    let agents = report["agents"].as_array().expect("a list");
    let found = agents.iter().find(|agent| agent["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {report}"))
}

/// A number by node of what is told of an agent.
pub(crate) fn by_node(guest: &Guest, agent: &Value, what: &str) -> Vec<u64> {
    let of_node = |node: usize| agent[what][node.to_string()].as_u64();
    (0..guest.nodes.len())
        .map(|node| of_node(node).unwrap_or_else(|| panic!("{what} of {agent}")))
        .collect()
}

/// The CPU on which the kernel says that a thread ran last.
fn cpu_of(process: u32, thread: &str) -> usize {
    let path = format!("/proc/{process}/task/{thread}/stat");
    let stat = fs::read_to_string(path).expect("it runs");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    // The 39th field, of which two come before the state.
    let field = fields.split(' ').nth(36).expect("it is there");
    field.parse().expect("a number")
}

/// Time on CPUs of a process's first thread, in ns, by the kernel.
fn on_cpu_ns(process: u32) -> u64 {
    let path = format!("/proc/{process}/schedstat");
    let text = fs::read_to_string(path).expect("guests have it");
    let first = text.split(' ').next().expect("three numbers");
    first.parse().expect("a number")
}

fn an_agent_s_time_is_on_the_node_where_the_kernel_says_that_its_threads_are(guest: &Guest) {
    for (node, cpus) in guest.nodes.iter().enumerate() {
        let mut holder = Holder::start("placed", 1);
        holder.tell(&format!("run-on {}", cpus[1]));
        let running = Running::start(&["topology", "--json", "--duration", "1m"]);
        let pid = holder.pid();
        let before_ns = on_cpu_ns(pid);
        holder.tell("compute 300");
        // Others may have had the CPU for a part of that.
        let spent_then_ns = on_cpu_ns(pid) - before_ns;
        assert_eq!(cpu_of(pid, &pid.to_string()), cpus[1]);
        running.interrupt();
        let report = running.report();
        let agent = agent(&report, &holder.name);
        let spent_ns = by_node(guest, agent, "on_node_ns");
        let elsewhere: u64 = spent_ns.iter().sum::<u64>() - spent_ns[node];
        assert_eq!(elsewhere, 0, "{agent}");
        assert!(
            spent_ns[node] >= spent_then_ns / 10 * 9,
            "{spent_then_ns} ns by the kernel: {agent}"
        );
        assert_eq!(agent["node_migrations"], 0, "{agent}");
    }
}

/// How often the kernel says that a process's first thread was put on another CPU.
fn migrations(process: u32) -> u64 {
    let path = format!("/proc/{process}/sched");
    let text = fs::read_to_string(path).expect("guests have it");
    let line = text.lines().find(|line| line.contains("nr_migrations"));
    let (_, number) = line.and_then(|line| line.split_once(':')).expect("a count");
    number.trim().parse().expect("a number")
}

fn moves_between_nodes_are_those_that_were_made(guest: &Guest) {
    const MOVES: usize = 20;
    let mut holder = Holder::start("moved", 1);
    holder.tell(&format!("run-on {}", guest.nodes[0][0]));
    let running = Running::start(&["topology", "--json", "--duration", "1m"]);
    let before = migrations(holder.pid());
    for number in 1..=MOVES {
        // To the next node, and on each second one to its other CPU, too.
        let node = &guest.nodes[number % guest.nodes.len()];
        holder.tell(&format!("run-on {}", node[0]));
        if number % 2 == 0 {
            holder.tell(&format!("run-on {}", node[1]));
        }
    }
    let made = migrations(holder.pid()) - before;
    running.interrupt();
    let report = running.report();
    let agent = agent(&report, &holder.name);
    assert_eq!(agent["migrations"], made, "{agent}");
    assert_eq!(agent["node_migrations"], MOVES, "{agent}");
    assert_eq!(made, (MOVES + MOVES / 2) as u64);
}

/// Bytes of anonymous memory by node, as the kernel lists a process's mappings.
pub(crate) fn anonymous_bytes(guest: &Guest, process: u32) -> Vec<u64> {
    let path = format!("/proc/{process}/numa_maps");
    let text = fs::read_to_string(path).expect("guests have it");
    let mut bytes = vec![0; guest.nodes.len()];
    for line in text.lines().filter(|line| !line.contains(" file=")) {
        assert!(!line.contains("kernelpagesize_kB=2048"), "{line}");
        for (node, bytes) in bytes.iter_mut().enumerate() {
            let mut words = line.split(' ');
            let pages = words.find_map(|word| word.strip_prefix(&format!("N{node}=")));
            *bytes += pages.map_or(0, |pages| pages.parse::<u64>().expect("a number")) * PAGE_BYTES;
        }
    }
    bytes
}

fn memory_lies_where_the_kernel_s_own_list_of_mappings_says(guest: &Guest) {
    let last = guest.nodes.len() - 1;
    let mut holders: Vec<Holder> = [0, last]
        .into_iter()
        .map(|node| {
            let mut holder = Holder::start(&format!("memory-{node}"), PAGES);
            holder.tell(&format!("run-on {}", guest.nodes[node][0]));
            holder.tell("touch");
            holder
        })
        .collect();
    // Its threads go elsewhere, and its memory stays: where threads run says nothing of memory.
    holders[1].tell(&format!("run-on {}", guest.nodes[0][1]));
    holders[1].tell("compute 20");
    let report = &hostler(&["topology", "--json", "--duration", "2s"])[0];
    for (holder, node) in holders.iter().zip([0, last]) {
        let agent = agent(report, &holder.name);
        let told = by_node(guest, agent, "anon_bytes");
        assert_eq!(told, anonymous_bytes(guest, holder.pid()), "{agent}");
        let held = PAGES as u64 * PAGE_BYTES;
        assert!(told[node] >= held && told[node] < 2 * held, "{agent}");
    }
}

fn explain_says_that_memory_lies_elsewhere_than_threads_run(guest: &Guest) {
    let mut holder = Holder::start("explained", PAGES);
    holder.tell(&format!("run-on {}", guest.nodes[1][0]));
    holder.tell("touch");
    holder.tell(&format!("run-on {}", guest.nodes[0][0]));
    let words = [
        "explain",
        &holder.name.clone(),
        "--json",
        "--duration",
        "1m",
    ];
    let running = Running::start(&words);
    holder.tell("compute 100");
    // A second later its memory was looked at, if it was not before.
    thread::sleep(Duration::from_millis(1_200));
    running.interrupt();
    let report = running.report();
    assert!(
        report["on_node_ns"]["0"].as_u64() > Some(50_000_000),
        "{report}"
    );
    assert_eq!(report["on_node_ns"]["1"], Value::Null, "{report}");
    let held = PAGES as u64 * PAGE_BYTES;
    assert!(report["anon_bytes"]["1"].as_u64() >= Some(held), "{report}");
}

fn wake_ups_from_another_node_are_told_from_those_of_the_same(guest: &Guest) {
    const LINES: u64 = 200;
    let mut holder = Holder::start("woken", 1);
    let mut told = Vec::new();
    for node in [0, 1] {
        holder.tell(&format!("run-on {}", guest.nodes[node][1]));
        let running = Running::start(&["trace", "wakes", "--json"]);
        let pid = holder.pid();
        let sleeps = |pid| {
            let path = format!("/proc/{pid}/status");
            let status = fs::read_to_string(path).expect("it runs");
            number_in(&status.replace(":\t", " "), "voluntary_ctxt_switches")
        };
        // Where this test's thread runs is where it wakes from.
        let asks = guest.nodes[0][0];
        let before = sleeps(pid);
        thread::scope(|scope| {
            scope.spawn(|| {
                crate::holder::run_on(asks);
                for _ in 0..LINES {
                    holder.tell("compute 0");
                    // It sleeps again before the next line comes.
                    thread::sleep(Duration::from_millis(1));
                }
            });
        });
        let slept = sleeps(pid) - before;
        running.interrupt();
        let report = running.report();
        let edges = report["wakes"].as_array().expect("a list");
        let own: Vec<&Value> = edges
            .iter()
            .filter(|edge| edge["woken"] == holder.name)
            .collect();
        let sum = |what: &str| -> u64 { own.iter().filter_map(|edge| edge[what].as_u64()).sum() };
        let (wakes, from_others) = (sum("wakes"), sum("node_wakes"));
        // Who waits for a line sleeps once for it, and is woken once.
        assert!(
            wakes >= LINES && wakes.abs_diff(slept) <= 2,
            "{slept} sleeps: {own:?}"
        );
        told.push((wakes, from_others));
    }
    let [(_, near), (all, far)] = told[..] else {
        unreachable!("both were measured");
    };
    assert!(near <= 2, "{near} of the same node's are told as another's");
    assert!(far + 2 >= all, "{far} of {all} are told as another node's");
}
