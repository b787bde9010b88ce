//! Reasons in words: what happened, with its numbers, and what may help.

use hostler_common::placement::MAX_NODES;
use hostler_decide::{
    bottleneck::{Bottleneck, Limit},
    explain::{Blame, Bursts, Evidence, Reason, Verdict, Why},
    polled::PolledWindow,
    window::RunQueueWindow,
};

use crate::{
    render::units::{bytes, compact_count, count, duration, duration_or_none, rate, share},
    report::RttRow,
};

/// A host whose CPUs are busy for at least this much of the time is full.
const FULL_PERCENT: u64 = 90;

/// Waits that are shorter than this on average are what a switch costs, not what is in the way.
const COST_OF_A_SWITCH_NS: u64 = 50_000;

/// How a name is shown: in full, or shortened.
pub(super) type ShowName<'a> = &'a dyn Fn(&str) -> String;

/// What happened.
pub(super) fn sentence(reason: &Reason, evidence: &Evidence, show: ShowName) -> String {
    let cost = duration(reason.cost_ns);
    let part = share(reason.cost_ns, evidence.awake_ns());
    let lost = |how: &str| format!("{how} {cost}, {part} of its time awake");
    let waited = lost("Waited");
    match &reason.why {
        Why::OwnThreads(blame) => format!(
            "{waited}, {}.{}",
            because("its own threads", blame, "each other"),
            wanted(evidence)
        ),
        Why::OtherAgent { cause, blame } => {
            format!("{waited}, {}.", because(&show(cause), blame, "it"))
        }
        Why::ManyAgents {
            agents,
            foremost,
            blame,
        } => {
            let who = format!("{} other agents, {} first,", count(*agents), show(foremost));
            format!("{waited}, {}.", because(&who, blame, "it"))
        }
        Why::KernelThreads(blame) => {
            format!("{waited}, {}.", because("kernel threads", blame, "it"))
        }
        Why::UnattributedThreads(blame) => {
            let who = "threads that belong to no known agent";
            format!("{waited}, {}.", because(who, blame, "it"))
        }
        Why::Interrupts(blame) => format!(
            "{waited}: {} for a CPU that was busy with interrupts.",
            times(blame.waits()),
        ),
        Why::NoThread(blame) => format!(
            "{waited}: {} for a CPU that no thread held. It was slow to leave idleness, or taken \
             by a hypervisor.",
            times(blame.waits()),
        ),
        Why::ShortWaits { waits, .. } => format!(
            "{waited}: {} waits of {} on average, shorter than {}, so that nobody is named.",
            compact_count(*waits),
            duration(reason.cost_ns / (*waits).max(1)),
            duration(evidence.long_wait_ns),
        ),
        Why::Turns => format!(
            "{waited}, for its turn: who took the CPU from it or held it ran too little for that, \
             so others ran in between.{}",
            wanted(evidence)
        ),
        Why::WaitsBeyondWindow => format!(
            "{waited}, in waits that began before this window or outlast it: who caused one is \
             known when both its ends are seen."
        ),
        Why::Throttled => format!(
            "{}: the CPU quota of its group was used up.",
            lost("Throttled for")
        ),
        Why::BlockedOnIo => format!(
            "{}: it waited for reads, writes or swap.",
            lost("Blocked on block I/O for")
        ),
        Why::Blocked => format!(
            "{}: in the kernel, for example on a lock, on NFS or on memory reclaim.",
            lost("Blocked uninterruptibly for")
        ),
    }
}

/// What an agent and one of those that it talked to had to do with each other.
pub(super) fn peer(row: &RttRow) -> String {
    let (window, counts) = (&row.window, &row.window.counts);
    let mut clauses = Vec::new();
    let round_trips = window.round_trip.total();
    if round_trips > 0 {
        clauses.push(format!(
            "{} round trips, p50 {}, p99 {}",
            compact_count(round_trips),
            duration_or_none(window.round_trip.quantile_ns(0.5)),
            duration_or_none(window.round_trip.quantile_ns(0.99)),
        ));
    }
    if counts.sent_bytes + counts.received_bytes > 0 {
        clauses.push(format!(
            "{} sent, {} received",
            bytes(counts.sent_bytes),
            bytes(counts.received_bytes)
        ));
    }
    for (number, what) in [
        (counts.retransmitted, "segments sent again"),
        (counts.dropped, "segments dropped"),
        (counts.not_connected, "connections in vain"),
    ] {
        if number > 0 {
            clauses.push(format!("{} {what}", count(number)));
        }
    }
    if clauses.is_empty() {
        clauses.push("connections came or went".to_owned());
    }
    format!("TCP with {}: {}", row.peer, clauses.join("; "))
}

/// The memory that it has, and the time that it lost for want of memory and I/O, if that was read.
pub(super) fn memory(polled: &PolledWindow) -> Option<String> {
    if polled.length_ns == 0 {
        return None;
    }
    let mut clauses = Vec::new();
    if let Some((amounts, pages)) = polled.memory {
        clauses.push(format!(
            "{}, {} swapped out; {} pages were needed again soon after they had been taken away",
            bytes(amounts.current_bytes),
            bytes(amounts.swap_bytes),
            count(pages.refaulted()),
        ));
    }
    if let Some(lost) = polled.pressure {
        clauses.push(format!(
            "{} of the time lost for want of memory, {} for want of I/O",
            share(lost.memory.some_us * 1_000, polled.length_ns),
            share(lost.io.some_us * 1_000, polled.length_ns),
        ));
    }
    (!clauses.is_empty()).then(|| format!("memory: {}", clauses.join("; ")))
}

/// On which nodes it ran, and where its memory lies; `None` where there is only one.
pub(super) fn nodes(window: &RunQueueWindow) -> Option<String> {
    let placement = window.placement();
    let memory = window.node_memory.as_deref().map(|memory| memory.bytes);
    let anon = memory.map_or([0; MAX_NODES], |bytes| bytes.anon);
    let all_bytes = memory.map_or(0, |bytes| bytes.anon_total());
    let parts: Vec<String> = (placement.on_cpu_ns.iter().zip(anon).enumerate())
        .filter(|(_, (ns, anon))| **ns > 0 || *anon > 0)
        .map(|(node, (&ns, anon))| {
            let ran = share(ns, placement.total_ns());
            let held = memory.map_or_else(String::new, |_| {
                format!(", {} of its {}", share(anon, all_bytes), bytes(all_bytes))
            });
            format!("node {node}: {ran} of its time{held}")
        })
        .collect();
    let tells = memory.is_some() || parts.len() > 1;
    let moves = match placement.node_migrations {
        0 => String::new(),
        moves => format!("; threads moved between nodes {}×", count(moves)),
    };
    (tells && !parts.is_empty()).then(|| format!("{}{moves}", parts.join("; ")))
}

/// What may help; empty if nothing sound can be said.
pub(super) fn remedy(reason: &Reason, evidence: &Evidence) -> String {
    let busy = busy(evidence);
    let has_room = !is_full(evidence);
    match &reason.why {
        Why::OwnThreads(_) | Why::Turns if has_room => format!(
            "The host was only {busy} busy: let it run on more CPUs (cpuset.cpus, taskset)."
        ),
        Why::OwnThreads(_) | Why::Turns => {
            format!("The host is full ({busy} busy): fewer threads, or more CPUs.")
        }
        Why::OtherAgent { .. } | Why::ManyAgents { .. } if has_room => format!(
            "The host was only {busy} busy: let them run on different CPUs (cpuset.cpus, taskset)."
        ),
        Why::OtherAgent { .. } | Why::ManyAgents { .. } => format!(
            "The host is full ({busy} busy): more weight (cpu.weight), fewer agents, or more CPUs."
        ),
        Why::KernelThreads(_) => "`top -H` names them: ksoftirqd is network, kswapd memory, \
                                  kworker mostly storage."
            .to_owned(),
        Why::Interrupts(_) => "/proc/interrupts and /proc/softirqs count them by CPU: spread them \
                               (smp_affinity), or keep it off that CPU."
            .to_owned(),
        Why::NoThread(_) => "`top` shows what a hypervisor takes as st.".to_owned(),
        Why::ShortWaits {
            waits,
            woken_percent,
        } => short_waits(
            reason.cost_ns / (*waits).max(1),
            *waits,
            *woken_percent,
            evidence,
        ),
        Why::WaitsBeyondWindow => "Watch for longer, with a longer --duration.".to_owned(),
        Why::Throttled => "Raise cpu.max of its cgroup or of one above (in Kubernetes, the CPU \
                           limit), or use fewer threads."
            .to_owned(),
        Why::BlockedOnIo => "`iostat -x 1` shows whether a disk is at its limit.".to_owned(),
        Why::Blocked => "/proc/PID/task/TID/stack of a thread in state D says where.".to_owned(),
        Why::UnattributedThreads(_) => String::new(),
    }
}

fn short_waits(mean_ns: u64, waits: u64, woken_percent: u64, evidence: &Evidence) -> String {
    if mean_ns >= COST_OF_A_SWITCH_NS {
        let long_ns = 10_u64.pow(mean_ns.ilog10());
        return format!("--long {} names who caused them.", typed(long_ns));
    }
    let each_second = rate(waits, evidence.length_ns);
    if woken_percent >= 50 {
        format!(
            "That is what a wake-up costs, {each_second} times a second: fewer, larger messages \
             save it."
        )
    } else {
        format!("That is what a switch costs, {each_second} times a second.")
    }
}

/// A power of ten as it is typed in an option.
fn typed(ns: u64) -> String {
    if ns >= 1_000_000 {
        format!("{}ms", ns / 1_000_000)
    } else {
        format!("{}us", (ns / 1_000).max(1))
    }
}

/// All in a sentence, where there is no reason to give.
pub(super) fn verdict(verdict: Verdict, evidence: &Evidence) -> String {
    let window = &evidence.window;
    match verdict {
        Verdict::NoThreads => "It had no threads.".to_owned(),
        Verdict::HeldUp => String::new(),
        Verdict::Asleep => format!(
            "Nothing held it up: it slept {} of the time, by its own will.",
            share(
                window.ledger.total_ns() - evidence.awake_ns(),
                window.ledger.total_ns()
            ),
        ),
        Verdict::Computes => format!(
            "Nothing held it up: it computes, and kept {} CPUs busy. More than that only less \
             work, more threads or faster CPUs can give.",
            cpus(window.on_cpu_ns(), evidence),
        ),
        Verdict::Unhindered => format!(
            "Nothing held it up: of {} awake it was on a CPU for {}.",
            duration(evidence.awake_ns()),
            share(window.on_cpu_ns(), evidence.awake_ns()),
        ),
    }
}

/// What held it up most, if anything did.
pub(super) fn bottleneck(bottleneck: Bottleneck) -> Option<String> {
    let what = match bottleneck.limit {
        Limit::Computing => return None,
        Limit::Cpu => "CPUs that others have",
        Limit::OwnThreads => "its own threads, more than it has CPUs for",
        Limit::Quota => "its group's CPU quota",
        Limit::Memory => "memory that is too small for it",
        Limit::Faults => "page faults",
        Limit::Storage => "storage",
        Limit::Kernel => "locks and devices in the kernel",
        Limit::Network => "the network, packets under way",
    };
    let percent = bottleneck.part * 100.0;
    Some(format!(
        "Bottleneck: {what}; {percent:.0} % of its busy time."
    ))
}

/// That a few wake-ups fare much worse than most.
pub(super) fn bursts(bursts: Bursts) -> String {
    format!(
        "Bursts: half of its wake-ups wait up to {}, 1 in 100 some {} or more.",
        duration(bursts.p50_ns),
        duration(bursts.p99_ns),
    )
}

/// How busy the host's CPUs were.
pub(super) fn busy(evidence: &Evidence) -> String {
    let capacity_ns = evidence.host.capacity_ns(evidence.length_ns);
    share(evidence.host.on_cpu_ns.min(capacity_ns), capacity_ns)
}

fn is_full(evidence: &Evidence) -> bool {
    let capacity_ns = evidence.host.capacity_ns(evidence.length_ns);
    u128::from(evidence.host.on_cpu_ns) * 100 >= u128::from(capacity_ns) * u128::from(FULL_PERCENT)
}

/// How many CPUs the agent's threads wanted, where it is more than one.
fn wanted(evidence: &Evidence) -> String {
    let window = &evidence.window;
    let wanted_ns = window.on_cpu_ns().saturating_add(window.wait_ns());
    if wanted_ns <= evidence.length_ns {
        return String::new();
    }
    format!(
        " They wanted {} CPUs and got {}.",
        cpus(wanted_ns, evidence),
        cpus(window.on_cpu_ns(), evidence)
    )
}

/// What `who` did to make `whom` wait; the times in brackets only where they don't repeat the sum.
fn because(who: &str, blame: &Blame, whom: &str) -> String {
    let woken = if whom == "it" { "it" } else { "another" };
    let taken = format!("took the CPU from {whom} {}", times(blame.taken_waits));
    let held = format!(
        "held the CPU {woken} was woken for {}",
        times(blame.held_waits)
    );
    match (blame.taken_waits, blame.held_waits) {
        (_, 0) => format!("after {who} {taken}"),
        (0, _) => format!("while {who} {held}"),
        _ => format!(
            "after {who} {taken} ({}) or {held} ({})",
            duration(blame.taken_ns),
            duration(blame.held_ns)
        ),
    }
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{} times", count(number)),
    }
}

/// Time per time, as a number of CPUs.
fn cpus(ns: u64, evidence: &Evidence) -> String {
    format!("{:.1}", ns as f64 / evidence.length_ns.max(1) as f64)
}
