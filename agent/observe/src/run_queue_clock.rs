//! Which clock the scheduler's programs read; see `hostler_common::clock` for why it matters.

use std::fs;

use crate::ObserveError;

/// A clock for the scheduler's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeClock {
    /// The one that the kernel keeps in each run queue, for the price of a load.
    RunQueue,
    /// The monotonic one, for a call.
    Monotonic,
}

/// The clock in use, and why it is not the better one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChosenClock {
    pub(crate) clock: ProbeClock,
    pub(crate) why_not_better: Option<String>,
}

/// Takes the clock that is asked for, or the best that this host allows. `has_fields` says whether
/// this kernel's run queues have a clock that can be found.
pub(crate) fn choose(
    wanted: Option<ProbeClock>,
    has_fields: bool,
) -> Result<ChosenClock, ObserveError> {
    let no_fields = "this kernel has no field cfs_rq.rq (CONFIG_FAIR_GROUP_SCHED)";
    let why_not = match wanted {
        Some(ProbeClock::Monotonic) => Some("asked for".to_owned()),
        Some(ProbeClock::RunQueue) if !has_fields => {
            return Err(ObserveError::refused("the run queues' clock", no_fields));
        }
        _ if !has_fields => Some(no_fields.to_owned()),
        Some(ProbeClock::RunQueue) => None,
        None => differs_between_cpus(),
    };
    let clock = match why_not {
        None => ProbeClock::RunQueue,
        Some(_) => ProbeClock::Monotonic,
    };
    Ok(ChosenClock {
        clock,
        why_not_better: why_not,
    })
}

/// Why the run queues of two CPUs may show different times; `None` if they show the same.
fn differs_between_cpus() -> Option<String> {
    if cfg!(target_arch = "aarch64") {
        // The architecture's counter is one for all CPUs.
        return None;
    }
    let source = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let processor = read("/proc/cpuinfo");
    x86_differs(source.trim(), &processor)
}

/// The kernel takes the time stamp counter for its scheduler clock as it is where that neither
/// varies nor stops, and drops it as a clock source where it finds it wrong.
fn x86_differs(clock_source: &str, processor: &str) -> Option<String> {
    if clock_source != "tsc" {
        return Some(format!(
            "the kernel's clock source is {}, not tsc: its run queues' clocks may differ from CPU \
             to CPU",
            if clock_source.is_empty() {
                "not known"
            } else {
                clock_source
            }
        ));
    }
    let flags = processor.lines().find(|line| line.starts_with("flags"));
    let has = |wanted| flags.is_some_and(|line| line.split_whitespace().any(|flag| flag == wanted));
    ["constant_tsc", "nonstop_tsc"]
        .into_iter()
        .find(|&flag| !has(flag))
        .map(|flag| {
            format!(
                "the processor has no {flag}: the run queues' clocks may differ from CPU to CPU"
            )
        })
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &str = "processor\t: 0\nflags\t\t: fpu constant_tsc nonstop_tsc\n";

    #[test]
    fn only_a_counter_that_neither_varies_nor_stops_is_the_same_on_all_cpus() {
        assert_eq!(x86_differs("tsc", FLAGS), None);
        for (source, processor, word) in [
            ("hpet", FLAGS, "hpet"),
            ("", FLAGS, "not known"),
            ("tsc", "flags\t: fpu constant_tsc\n", "nonstop_tsc"),
            ("tsc", "", "constant_tsc"),
        ] {
            let reason = x86_differs(source, processor).expect("they may differ");
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn what_is_asked_for_is_taken_if_it_can_be_had() {
        let chosen = choose(Some(ProbeClock::Monotonic), true).expect("always there");
        assert_eq!(chosen.clock, ProbeClock::Monotonic);
        let chosen = choose(Some(ProbeClock::RunQueue), true).expect("it has the fields");
        assert_eq!(chosen.clock, ProbeClock::RunQueue);
        assert!(choose(Some(ProbeClock::RunQueue), false).is_err());
        let chosen = choose(None, false).expect("there is another");
        assert_eq!(chosen.clock, ProbeClock::Monotonic);
    }
}
