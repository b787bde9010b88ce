//! Reasons for which an agent waited for a CPU: its waits by who caused them.
//!
//! Long waits have a cause. What is left of the time is that of short waits, as far as these can
//! have taken it, and then that of waits of which the window holds one end only.

use crate::pairs::Who;

use super::{
    evidence::{Blame, Evidence},
    reason::{Reason, Why},
};

/// An agent that cost at least one part in this of what all other agents cost is named by itself.
const STANDS_OUT: u64 = 3;

/// Each nanosecond of the waits in the ledger is in at most one of these reasons.
pub(super) fn by_cause(evidence: &Evidence) -> Vec<Reason> {
    let laid = within_the_ledger(evidence);
    let mut reasons = unblamed(evidence, &laid);
    let blamed = within_what_they_ran(evidence, &laid);
    reasons.extend(in_turns(&laid, &blamed));
    let mut agents = Vec::new();
    for (who, blame) in blamed {
        let why = match who {
            Who::Itself => Why::OwnThreads(blame),
            Who::Kernel => Why::KernelThreads(blame),
            Who::Unattributed => Why::UnattributedThreads(blame),
            Who::Interrupts => Why::Interrupts(blame),
            Who::Nobody => Why::NoThread(blame),
            Who::Agent(cause) => {
                agents.push((cause, blame));
                continue;
            }
        };
        reasons.push(Reason {
            cost_ns: blame.wait_ns(),
            why,
        });
    }
    reasons.extend(by_agent(agents));
    reasons
}

/// The blame, cut to the time in the ledger: a pair counts the whole of a wait, also what lies
/// before the window.
fn within_the_ledger(evidence: &Evidence) -> Vec<(Who, Blame)> {
    let all = |ns: fn(&Blame) -> u64| {
        let each = evidence.waited_for.iter();
        each.map(|(_, blame)| u128::from(ns(blame))).sum::<u128>()
    };
    let (all_taken_ns, all_held_ns) = (all(|blame| blame.taken_ns), all(|blame| blame.held_ns));
    let window = &evidence.window;
    let cut = |(who, blame): &(Who, Blame)| {
        let blame = Blame {
            taken_ns: part(blame.taken_ns, all_taken_ns, window.preempt_wait_ns()),
            held_ns: part(blame.held_ns, all_held_ns, window.wake_wait_ns()),
            ..*blame
        };
        (who.clone(), blame)
    };
    evidence.waited_for.iter().map(cut).collect()
}

/// The blame, cut to what those who are blamed can have caused. A wait is laid to one thread, but
/// others may have run in it too, and longer.
fn within_what_they_ran(evidence: &Evidence, laid: &[(Who, Blame)]) -> Vec<(Who, Blame)> {
    let cut = |(who, blame): &(Who, Blame)| {
        let ran_ns = blame.ran_ns.unwrap_or(u64::MAX);
        let most_ns = ran_ns.saturating_mul(evidence.threads());
        let all_ns = u128::from(blame.taken_ns) + u128::from(blame.held_ns);
        let blame = Blame {
            taken_ns: part(blame.taken_ns, all_ns, most_ns),
            held_ns: part(blame.held_ns, all_ns, most_ns),
            ..*blame
        };
        (who.clone(), blame)
    };
    laid.iter().map(cut).collect()
}

/// What that leaves: time in which somebody else ran than those who are blamed.
fn in_turns(laid: &[(Who, Blame)], blamed: &[(Who, Blame)]) -> Option<Reason> {
    let sum = |all: &[(Who, Blame)]| {
        all.iter()
            .fold(0_u64, |sum, (_, blame)| sum.saturating_add(blame.wait_ns()))
    };
    let cost_ns = sum(laid).saturating_sub(sum(blamed));
    (cost_ns > 0).then_some(Reason {
        cost_ns,
        why: Why::Turns,
    })
}

/// What becomes of `part` when `all` is cut to `most`.
fn part(part: u64, all: u128, most: u64) -> u64 {
    if all <= u128::from(most) {
        return part;
    }
    u64::try_from(u128::from(part) * u128::from(most) / all).unwrap_or(most)
}

/// The time that is laid to nobody.
fn unblamed(evidence: &Evidence, laid: &[(Who, Blame)]) -> Vec<Reason> {
    let window = &evidence.window;
    let mut blame = Blame::default();
    for (_, more) in laid {
        blame.add(more);
    }
    let rest_ns = window.wait_ns().saturating_sub(blame.wait_ns());
    let waits = window.waits();
    let longest_ns = waits
        .buckets()
        .filter(|bucket| bucket.start_ns < evidence.long_wait_ns)
        .fold(0_u64, |sum, bucket| {
            let end_ns = bucket.end_ns.min(evidence.long_wait_ns);
            sum.saturating_add(bucket.count.saturating_mul(end_ns))
        });
    let short_ns = rest_ns.min(longest_ns);
    let total = waits.total();
    let short = Why::ShortWaits {
        waits: total.saturating_sub(blame.waits()),
        woken_percent: window.wake_wait.total().saturating_mul(100) / total.max(1),
    };
    [
        (short_ns, short),
        (rest_ns - short_ns, Why::WaitsBeyondWindow),
    ]
    .into_iter()
    .filter(|&(cost_ns, _)| cost_ns > 0)
    .map(|(cost_ns, why)| Reason { cost_ns, why })
    .collect()
}

/// Other agents: those that stand out one by one, the others together.
fn by_agent(agents: Vec<(String, Blame)>) -> Vec<Reason> {
    let all_ns = agents
        .iter()
        .fold(0_u64, |sum, (_, blame)| sum.saturating_add(blame.wait_ns()));
    let (named, mut crowd): (Vec<_>, Vec<_>) = agents
        .into_iter()
        .partition(|(_, blame)| blame.wait_ns() >= all_ns.div_ceil(STANDS_OUT));
    let mut reasons: Vec<Reason> = named.into_iter().map(one_agent).collect();
    crowd.sort_by_key(|(_, blame)| std::cmp::Reverse(blame.wait_ns()));
    if crowd.len() < 2 {
        reasons.extend(crowd.into_iter().map(one_agent));
        return reasons;
    }
    let mut blame = Blame::default();
    for (_, more) in &crowd {
        blame.add(more);
    }
    reasons.push(Reason {
        cost_ns: blame.wait_ns(),
        why: Why::ManyAgents {
            agents: crowd.len() as u64,
            foremost: crowd.swap_remove(0).0,
            blame,
        },
    });
    reasons
}

fn one_agent((cause, blame): (String, Blame)) -> Reason {
    Reason {
        cost_ns: blame.wait_ns(),
        why: Why::OtherAgent { cause, blame },
    }
}
