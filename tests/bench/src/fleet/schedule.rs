//! When an agent wakes, and what it does then: the same for the same seed, on every machine.
//!
//! Agents are idle most of the time, wake at times that are independent of each other, and do work
//! whose size spans orders of magnitude. So idle times are exponential, sizes are spread evenly over
//! their logarithms.

use fastrand::Rng;
use serde::Serialize;

/// What all agents have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// Idle time between two turns on average, in ns.
    pub(crate) mean_idle_ns: u64,
    /// Pages of an agent's context.
    pub(crate) context_pages: u32,
    /// How many servers there are to talk to.
    pub(crate) servers: u32,
}

/// What an agent does when it wakes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Turn {
    /// When it wakes, in ns since the start.
    pub(crate) at_ns: u64,
    /// CPU time that it computes for, in µs.
    pub(crate) compute_us: u32,
    /// Where in its context it begins to read and write, and how many pages.
    pub(crate) first_page: u32,
    pub(crate) pages: u32,
    /// Whom it asks then.
    pub(crate) request: Option<Request>,
}

/// A question to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Request {
    pub(crate) server: u32,
    pub(crate) sent_bytes: u32,
    pub(crate) received_bytes: u32,
    /// Over a connection of its own, rather than the one that the agent keeps.
    pub(crate) new_connection: bool,
}

/// The turns of one agent, without end.
pub(crate) fn turns(seed: u64, agent: u32, habits: Habits) -> impl Iterator<Item = Turn> {
    // Agents whose seeds are neighbours must not do alike.
    let mut random = Rng::with_seed(Rng::with_seed(seed ^ u64::from(agent) << 32).u64(..));
    let mut at_ns = 0;
    std::iter::repeat_with(move || {
        let idle = -(1.0 - random.f64()).ln() * habits.mean_idle_ns as f64;
        at_ns += whole(idle);
        let compute_us = spread(&mut random, 50, 5_000);
        let pages = spread(&mut random, 1, 64).min(habits.context_pages);
        Turn {
            at_ns,
            compute_us,
            first_page: random.u32(..=habits.context_pages - pages),
            pages,
            request: request(&mut random, habits.servers),
        }
    })
}

/// Two of three turns ask somebody; one request of ten opens a connection.
fn request(random: &mut Rng, servers: u32) -> Option<Request> {
    if servers == 0 || random.u32(..3) == 0 {
        return None;
    }
    Some(Request {
        server: random.u32(..servers),
        sent_bytes: spread(random, 100, 4_000),
        received_bytes: spread(random, 200, 64_000),
        new_connection: random.u32(..10) == 0,
    })
}

/// A whole number whose logarithm is evenly spread.
fn spread(random: &mut Rng, least: u32, most: u32) -> u32 {
    let (least, most) = (f64::from(least).ln(), f64::from(most).ln());
    let value = whole((least + random.f64() * (most - least)).exp());
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "neither idle times in ns nor sizes are negative or near 2⁶⁴"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const HABITS: Habits = Habits {
        mean_idle_ns: 10_000_000_000,
        context_pages: 16,
        servers: 8,
    };

    fn first(seed: u64, agent: u32, count: usize) -> Vec<Turn> {
        turns(seed, agent, HABITS).take(count).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_turns_and_another_agent_others() {
        assert_eq!(first(1, 7, 50), first(1, 7, 50));
        assert_ne!(first(1, 7, 50), first(1, 8, 50));
        assert_ne!(first(1, 7, 50), first(2, 7, 50));
    }

    #[test]
    fn idle_times_are_as_long_as_asked_for_on_average() {
        let last = first(3, 0, 10_000).pop().expect("there are many");
        let mean_s = last.at_ns as f64 / 10_000.0 / 1e9;
        assert!((9.5..10.5).contains(&mean_s), "{mean_s}");
    }

    #[test]
    fn nobody_reaches_beyond_its_context_or_asks_a_server_that_is_not_there() {
        for turn in first(4, 1, 10_000) {
            assert!(turn.pages >= 1 && turn.first_page + turn.pages <= HABITS.context_pages);
            assert!(turn.request.is_none_or(|it| it.server < HABITS.servers));
        }
    }

    #[test]
    fn without_servers_nobody_is_asked() {
        let habits = Habits {
            servers: 0,
            ..HABITS
        };
        assert!(
            turns(1, 1, habits)
                .take(100)
                .all(|turn| turn.request.is_none())
        );
    }
}
