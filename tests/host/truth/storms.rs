//! Many that come and go quickly: none is missed, none is mistaken for another.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{
    Slack, assert_agrees, assert_attributed, assert_no_garbage, assert_no_losses, lost_switches,
    rows, scaled, staged::Staged, stolen_ns, trace,
};
use crate::{
    Need, Test,
    attribution::{count, row},
    host::{Host, TestCgroup, hostler, reports, start_hostler},
};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "short_lived_processes_are_counted_each",
        needs: &[Need::WritableCgroups],
        run: short_lived_processes_are_counted_each,
    },
    Test {
        name: "short_lived_cgroups_are_counted_each_and_slots_start_anew",
        needs: &[Need::WritableCgroups],
        run: short_lived_cgroups_are_counted_each_and_slots_start_anew,
    },
    Test {
        name: "what_finds_no_room_is_counted",
        needs: &[Need::WritableCgroups, Need::RealSpeed],
        run: what_finds_no_room_is_counted,
    },
];

/// A shell that makes many processes that compute a little and exit, every tenth of which is
/// another program. It keeps to the protocol of [`Staged`].
const FORKS: &str = "
    echo ready; read go
    i=0
    while [ $i -lt $0 ]; do
        i=$((i + 1))
        if [ $((i % 10)) -eq 0 ]; then
            /bin/true
        else
            ( j=0; while [ $j -lt 50 ]; do j=$((j + 1)); done )
        fi
    done
    echo done; read end; exit 0";

fn short_lived_processes_are_counted_each(host: &Host) {
    const SHELLS: u64 = 4;
    let processes = scaled(10_000, 200);
    let each = (processes / SHELLS).to_string();
    let cgroup = host.cgroup("forks");
    let mut shells: Vec<_> = (0..SHELLS)
        .map(|_| Staged::of(cgroup.start(&["sh", "-c", FORKS, &each])))
        .collect();
    let stolen_before = stolen_ns();
    let (reports, truth_ns) = trace(&["runq"], || {
        let before = cgroup.usage_ns();
        shells.iter_mut().for_each(Staged::go);
        for shell in &mut shells {
            shell.wait_until_done();
        }
        cgroup.usage_ns() - before
    });
    let report = &reports[0];
    let slack = Slack {
        // One forks, and one is forked.
        switches: 2 * processes,
        lost: lost_switches(report),
        stolen_ns: stolen_ns() - stolen_before,
        tail_ns: 0,
    };
    shells.into_iter().for_each(Staged::end);
    let row = row(report, &cgroup.name);
    assert_agrees(count(&row, "on_cpu_ns"), truth_ns, slack);
    // Each is woken once to begin with.
    assert!(
        count(&row, "waits_woken") + slack.lost >= processes,
        "{row:#}"
    );
    assert_no_garbage(report);
    assert_no_losses(report);
    assert_attributed(report);
}

/// A cgroup that was there, and what the kernel says of it.
struct Gone {
    name: String,
    usage_ns: u64,
}

fn short_lived_cgroups_are_counted_each_and_slots_start_anew(host: &Host) {
    let cgroups = scaled(2_000, 30);
    let mut tracer = start_hostler(&["trace", "runq", "--json"]);
    let stolen_before = stolen_ns();
    let mut gone: Vec<Gone> = (0..cgroups).map(|_| burn(host)).collect();
    let again = scaled(200, 0);
    if again > 0 {
        exhaust_slots(host);
        gone.extend((0..again).map(|_| burn(host)));
    }
    tracer.send(Signal::SIGINT);
    let report = reports(&tracer.wait()).remove(0);
    let slack = Slack {
        // Each is woken once.
        switches: super::FROM_IDLENESS * gone.len() as u64,
        lost: lost_switches(&report),
        stolen_ns: stolen_ns() - stolen_before,
        // A process that was waited for may still be on its way out.
        tail_ns: 100_000 * gone.len() as u64,
    };
    let mut leases = BTreeSet::new();
    let (mut sum_ns, mut truth_ns, mut missed) = (0, 0, 0);
    for Gone { name, usage_ns } in &gone {
        let row = row(&report, name);
        let on_cpu_ns = count(&row, "on_cpu_ns");
        // Of a single one little is sure while a hypervisor can take the CPU at any moment.
        missed += u64::from(2 * on_cpu_ns < *usage_ns);
        leases.insert((count(&row, "slot"), count(&row, "generation")));
        sum_ns += on_cpu_ns;
        truth_ns += usage_ns;
    }
    assert!(
        missed <= slack.lost,
        "{missed} were missed, {} lost",
        slack.lost
    );
    assert_eq!(leases.len(), gone.len(), "no lease is two agents'");
    let slots: BTreeSet<u64> = leases.iter().map(|lease| lease.0).collect();
    assert_eq!(
        slots.len() < leases.len(),
        again > 0,
        "slots were given again"
    );
    assert_agrees(sum_ns, truth_ns, slack);
    assert_no_garbage(&report);
    assert_no_losses(&report);
    assert_attributed(&report);
    assert_none_left(&gone);
}

/// A cgroup with a process that computes for a while, until both are gone. It is moved there while
/// it sleeps: of one that moves itself, the kernel's account puts a tick's time on either side.
fn burn(host: &Host) -> Gone {
    const SCRIPT: &str = "echo ready; read go; i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); done";
    let cgroup = host.cgroup("burn");
    let child = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell can be started");
    let mut shell = Staged::of(child);
    cgroup.admit(shell.pid());
    shell.go();
    shell.end();
    Gone {
        name: cgroup.name.clone(),
        usage_ns: cgroup.usage_ns(),
    }
}

/// Makes and removes so many cgroups that further ones get the slots that were used first.
fn exhaust_slots(host: &Host) {
    /// A batch comes and goes with fewer events than there is room for between two readings; all
    /// batches and what was burnt before are a little more than there are slots.
    const AT_A_TIME: usize = 1_300;
    for _ in 0..5 {
        let at_once: Vec<TestCgroup> = (0..AT_A_TIME).map(|_| host.cgroup("filler")).collect();
        drop(at_once);
        // Slots rest for five seconds: never are more than a few batches at rest.
        thread::sleep(Duration::from_secs(2));
    }
}

fn assert_none_left(gone: &[Gone]) {
    let listed = reports(&hostler(&["agents", "--json"])).remove(0);
    let names: BTreeSet<&str> = listed["agents"]
        .as_array()
        .expect("a list of agents")
        .iter()
        .filter_map(|agent: &Value| agent["name"].as_str())
        .collect();
    assert!(gone.iter().all(|gone| !names.contains(gone.name.as_str())));
}

fn what_finds_no_room_is_counted(host: &Host) {
    const CGROUPS: u64 = 5_000;
    /// Slots that the kernel side has ready, and events that it has room for.
    const ROOM: u64 = 4_096;
    let mut tracer = start_hostler(&["trace", "runq", "--json"]);
    // Nobody reads meanwhile.
    tracer.send(Signal::SIGSTOP);
    let many: Vec<TestCgroup> = (0..CGROUPS).map(|_| host.cgroup("many")).collect();
    drop(many);
    let late = host.cgroup("late");
    let mut load = Staged::start(&late, &["naps", "100"]);
    tracer.send(Signal::SIGCONT);
    // Two readings later it is known.
    thread::sleep(Duration::from_millis(2_500));
    load.work();
    load.end();
    tracer.send(Signal::SIGINT);
    let report = reports(&tracer.wait()).remove(0);
    let losses = &report["losses"];
    assert!(
        count(losses, "agents_without_slot") >= CGROUPS - ROOM,
        "{losses:#}"
    );
    // One when it is made, one when it is removed.
    assert!(
        count(losses, "events_not_sent") >= 2 * CGROUPS - 2 * ROOM,
        "{losses:#}"
    );
    assert!(count(&row(&report, &late.name), "waits_woken") >= 90);
    assert!(rows(&report, "[departed]").is_empty());
    assert_no_garbage(&report);
}
