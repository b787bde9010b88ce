//! How long the fleet's requests take, with Hostler and without.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::fleet::{Hostler, Request, TRACE};
use crate::{interrupt::Interrupt, spread::Spread};

/// Between a change and the window after it.
pub(super) const SETTLE: Duration = Duration::from_millis(700);

/// What a start of Hostler takes at the most, for the plan.
pub(super) const MOST_OF_A_START: Duration = Duration::from_millis(1_500);

/// How often the pairs are drawn anew for the interval.
const DRAWS: usize = 10_000;

/// A window with Hostler or without.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timed {
    pair: u32,
    with_hostler: bool,
    from_ns: u64,
    to_ns: u64,
}

/// With and without, compared within each pair.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    /// Requests in windows without Hostler, and with it.
    pub(super) requests: [usize; 2],
    /// Medians of the windows' medians, in µs, without and with.
    pub(super) median_us: [f64; 2],
    /// By how much the median is longer with Hostler, in percent: the middle of all pairs.
    pub(super) longer_percent: f64,
    /// In which interval that lies with a confidence of 95 %: the pairs drawn anew with replacement.
    pub(super) interval_percent: [f64; 2],
    /// Each pair's difference, in percent.
    pub(super) pairs_percent: Vec<f64>,
}

/// Pairs of windows; which one comes first alternates, so that a drift of the machine cancels out.
pub(super) fn windows(pairs: u32, length: Duration, interrupt: &Interrupt) -> Result<Vec<Timed>> {
    let mut windows = Vec::new();
    for pair in 0..pairs {
        eprintln!(
            "requests with Hostler and without, pair {} of {pairs}",
            pair + 1
        );
        let first = pair % 2 == 0;
        for with_hostler in [first, !first] {
            let hostler = with_hostler
                .then(|| Hostler::start(TRACE, interrupt))
                .transpose()?;
            interrupt.sleep(SETTLE)?;
            let from_ns = now_ns()?;
            interrupt.sleep(length)?;
            windows.push(Timed {
                pair,
                with_hostler,
                from_ns,
                to_ns: now_ns()?,
            });
            hostler.map(Hostler::stop).transpose()?;
        }
    }
    Ok(windows)
}

/// Compares the requests that began in the windows.
pub(super) fn compare(windows: &[Timed], requests: &[Request]) -> Result<Latency> {
    let mut requests = requests.to_vec();
    requests.sort_unstable_by_key(|request| request.at_ns);
    let in_window = |window: &Timed| {
        let from = requests.partition_point(|request| request.at_ns < window.from_ns);
        let to = requests.partition_point(|request| request.at_ns < window.to_ns);
        &requests[from..to]
    };
    let median_of = |window: &Timed| {
        let took = in_window(window).iter().map(|it| it.took_ns as f64 / 1e3);
        Some(Spread::of(took)?.median)
    };
    let of = |with_hostler: bool| {
        windows
            .iter()
            .filter(move |it| it.with_hostler == with_hostler)
    };
    let mut pairs_percent = Vec::new();
    for with in of(true) {
        let without = of(false).find(|it| it.pair == with.pair);
        let medians = median_of(with).zip(without.and_then(median_of));
        if let Some((with, without)) = medians {
            pairs_percent.push(100.0 * (with / without - 1.0));
        }
    }
    let middle = |with_hostler: bool| {
        Spread::of(of(with_hostler).filter_map(median_of)).map(|spread| spread.median)
    };
    let none = "the windows hold no requests";
    Ok(Latency {
        requests: [false, true].map(|with| of(with).map(|it| in_window(it).len()).sum()),
        median_us: [middle(false).context(none)?, middle(true).context(none)?],
        longer_percent: Spread::of(pairs_percent.iter().copied())
            .context(none)?
            .median,
        interval_percent: interval(&pairs_percent).context(none)?,
        pairs_percent,
    })
}

/// The interval in which the median of 95 % of all draws lies (percentile bootstrap, Efron 1979).
fn interval(values: &[f64]) -> Option<[f64; 2]> {
    // The same values give the same interval.
    let mut random = fastrand::Rng::with_seed(1);
    let mut medians: Vec<f64> = (0..DRAWS)
        .filter_map(|_| {
            let drawn = values.iter().map(|_| values[random.usize(..values.len())]);
            Some(Spread::of(drawn)?.median)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |part: usize| medians.get(medians.len() * part / 1_000).copied();
    Some([at(25)?, at(975)?])
}

fn now_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).context("reading a clock")?;
    u64::try_from(Duration::from(now).as_nanos()).context("a clock that ran for centuries")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(pair: u32, with_hostler: bool, from_ns: u64) -> Timed {
        Timed {
            pair,
            with_hostler,
            from_ns,
            to_ns: from_ns + 100,
        }
    }

    #[test]
    fn requests_are_compared_within_their_pair() {
        let windows = [
            window(0, true, 0),
            window(0, false, 100),
            window(1, false, 1_000),
            window(1, true, 1_100),
        ];
        let request = |at_ns, took_ns| Request { at_ns, took_ns };
        // The machine gets slower between the pairs, and Hostler adds a tenth.
        let requests = [
            request(1_150, 22_000),
            request(50, 11_000),
            request(150, 10_000),
            request(1_050, 20_000),
            request(5_000, 1),
        ];
        let latency = compare(&windows, &requests).expect("there are requests");
        assert_eq!(latency.requests, [2, 2]);
        assert!((latency.longer_percent - 10.0).abs() < 1e-9);
        assert!((latency.interval_percent[1] - 10.0).abs() < 1e-9);
    }

    #[test]
    fn the_interval_holds_the_median_and_is_narrower_than_the_values() {
        let values: Vec<f64> = (0..40).map(f64::from).collect();
        let [from, to] = interval(&values).expect("there are values");
        assert!(
            0.0 < from && from < 19.5 && 19.5 < to && to < 39.0,
            "{from} to {to}"
        );
    }

    #[test]
    fn windows_without_requests_give_no_figure() {
        compare(&[window(0, true, 0), window(0, false, 100)], &[]).expect_err("there are none");
    }
}
