//! Whether the daemon of this host does for a command: it measures all that is asked for already, or the
//! command loads probes of its own.

use std::{path::Path, time::Duration};

use hostler_daemon::{
    Schedule,
    control::{Client, ControlError, Watched},
};
use hostler_decide::scene::{Availability, CpuView, HostFacts};
use hostler_observe::{Options, has_several_nodes};

use super::Need;
use crate::args::GlobalArgs;

/// The daemon, if there is one that does.
pub(super) fn watch(
    need: Need,
    schedule: Schedule,
    global: &GlobalArgs,
    options: &Options,
) -> Option<Watched> {
    if global.own_probes || global.says_how_to_measure() || !options.peers.is_empty() {
        return None;
    }
    let watched = match connect(&global.socket) {
        Ok(watched) => watched?,
        Err(error) => {
            tracing::warn!("{error}; probes of its own are loaded");
            return None;
        }
    };
    let missing = missing(need, options, watched.facts())
        .map(|what| format!("the daemon does not tell of {what}"))
        .or_else(|| misfit(schedule, watched.tick()));
    match missing {
        None => {
            tracing::info!(socket = %global.socket.display(), "the daemon is asked");
            Some(watched)
        }
        Some(reason) => {
            tracing::info!("{reason}; probes of its own are loaded");
            None
        }
    }
}

fn connect(socket: &Path) -> Result<Option<Watched>, ControlError> {
    Client::connect(socket)?.map(Client::watch).transpose()
}

/// What is asked for and not among what the daemon tells. What the kernel refused to it, it would refuse
/// to a command as well.
fn missing(need: Need, options: &Options, facts: &HostFacts) -> Option<&'static str> {
    let signals = &facts.signals;
    let is_refused_to_all = |signal: &Availability| *signal != Availability::Unwanted;
    if let Some((what, _)) = need.missing(facts) {
        return Some(what);
    }
    [
        (
            "waits by CPU",
            options.cpu_view == CpuView::Off || options.cpu_view == signals.cpus,
        ),
        (
            "waits of that length",
            !options.pairs || signals.long_wait_ns == Some(options.long_wait_ns),
        ),
        ("who wakes whom", !options.wakes || signals.wakes),
        (
            "where threads run",
            !options.placement || signals.placement || !has_several_nodes(),
        ),
        ("single waits", !options.wait_events || signals.wait_events),
        (
            "how long page faults take",
            !options.fault_latency || is_refused_to_all(&signals.fault_latency),
        ),
        (
            "TCP sockets",
            !options.sockets || is_refused_to_all(&signals.sockets),
        ),
        ("pressure", !options.pressure || signals.pressure),
    ]
    .into_iter()
    .find_map(|(what, is_there)| (!is_there).then_some(what))
}

/// Why reports can't be made of readings that are `tick` apart.
fn misfit(schedule: Schedule, tick: Duration) -> Option<String> {
    let is_whole = |interval: Duration| interval.as_nanos().is_multiple_of(tick.as_nanos().max(1));
    let fits = schedule.interval.is_none_or(is_whole)
        && schedule.duration.is_none_or(|duration| duration >= tick);
    (!fits).then(|| format!("the daemon reads each {}", humantime::format_duration(tick)))
}

#[cfg(test)]
mod tests {
    use hostler_decide::scene::Signals;
    use hostler_observe::LONG_WAIT_NS;

    use super::*;

    /// As the daemon measures by default, on a host with one node.
    fn of_daemon() -> HostFacts {
        HostFacts {
            signals: Signals {
                pressure: true,
                sockets: Availability::Measured,
                long_wait_ns: Some(LONG_WAIT_NS),
                ..Signals::default()
            },
            ..HostFacts::default()
        }
    }

    #[test]
    fn the_daemon_does_for_a_command_that_asks_for_no_more_than_it_measures() {
        let facts = of_daemon();
        let all = Options {
            sockets: true,
            pressure: true,
            pairs: true,
            ..Options::default()
        };
        assert_eq!(missing(Need::Sockets, &all, &facts), None);
        assert_eq!(missing(Need::Nothing, &Options::default(), &facts), None);
    }

    #[test]
    fn what_it_does_not_measure_is_told_by_name() {
        let facts = of_daemon();
        let waits = Options {
            pairs: true,
            long_wait_ns: LONG_WAIT_NS / 2,
            ..Options::default()
        };
        let wanted = missing(Need::Causes, &waits, &facts);
        assert_eq!(wanted, Some("waits of that length"));
        let cpus = Options {
            cpu_view: CpuView::All,
            ..Options::default()
        };
        assert_eq!(missing(Need::Nothing, &cpus, &facts), Some("waits by CPU"));
        let wakes = Options {
            wakes: true,
            ..Options::default()
        };
        assert_eq!(missing(Need::Wakes, &wakes, &facts), Some("who wakes whom"));
    }

    #[test]
    fn what_the_kernel_refuses_to_the_daemon_is_not_asked_for_again() {
        let mut facts = of_daemon();
        facts.signals.sockets = Availability::Refused("no".to_owned());
        let options = Options {
            sockets: true,
            ..Options::default()
        };
        assert_eq!(missing(Need::Nothing, &options, &facts), None);
    }

    #[test]
    fn reports_must_be_due_when_the_daemon_reads() {
        let schedule = |interval: Option<u64>, duration: Option<u64>| Schedule {
            interval: interval.map(Duration::from_millis),
            duration: duration.map(Duration::from_millis),
            on_alarm: false,
        };
        let tick = Duration::from_secs(1);
        for (interval, duration) in [(None, None), (Some(3000), None), (None, Some(1500))] {
            assert_eq!(misfit(schedule(interval, duration), tick), None);
        }
        for (interval, duration) in [(Some(500), None), (Some(1500), None), (None, Some(500))] {
            assert!(misfit(schedule(interval, duration), tick).is_some());
        }
    }
}
