//! Who wakes whom, and the graph that follows from it: agents that wake each other often belong on one
//! node.

use std::collections::BTreeMap;

use hostler_common::wake::WakeKey;

use crate::signal::Reading;

/// Wake-ups along an edge, cumulative or in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WakeSignal {
    /// Wake-ups.
    pub wakes: u64,
    /// Of these, by a CPU of another node than the one where the woken thread ran last.
    pub node_wakes: u64,
}

impl WakeSignal {
    /// What came since an earlier reading. An edge that was forgotten meanwhile began anew.
    fn since(self, earlier: Self) -> Self {
        if self.wakes < earlier.wakes {
            return self;
        }
        Self {
            wakes: self.wakes.wrapping_sub(earlier.wakes),
            node_wakes: self.node_wakes.wrapping_sub(earlier.node_wakes),
        }
    }

    fn add(&mut self, more: Self) {
        self.wakes = self.wakes.wrapping_add(more.wakes);
        self.node_wakes = self.node_wakes.wrapping_add(more.node_wakes);
    }
}

/// Wake-ups between two readings; edges without any are left out.
pub(crate) fn wakes_between(
    earlier: &BTreeMap<WakeKey, WakeSignal>,
    later: &BTreeMap<WakeKey, WakeSignal>,
) -> BTreeMap<WakeKey, WakeSignal> {
    let change = |(key, now): (&WakeKey, &WakeSignal)| {
        let before = earlier.get(key).copied().unwrap_or_default();
        (*key, now.since(before))
    };
    let changes = later.iter().map(change);
    changes.filter(|(_, change)| change.wakes > 0).collect()
}

/// Edges that a sum of windows keeps apart: more than there can be at a time.
const MAX_EDGES_APART: usize = 4 * MAX_EDGES;

/// Appends the wake-ups of the window that follows, as far as there is room: a sum of windows must not
/// grow with every agent that ever was. How many wake-ups found none.
pub(crate) fn append_wakes(
    sum: &mut BTreeMap<WakeKey, WakeSignal>,
    next: BTreeMap<WakeKey, WakeSignal>,
) -> u64 {
    let mut left_out = 0_u64;
    for (key, more) in next {
        if sum.len() >= MAX_EDGES_APART && !sum.contains_key(&key) {
            left_out = left_out.wrapping_add(more.wakes);
            continue;
        }
        sum.entry(key).or_default().add(more);
    }
    left_out
}

/// After so long an edge that is silent has half its weight, in ns. Long against the seconds between an
/// agent's turns, short against the minutes after which moving it pays.
pub const HALF_LIFE_NS: u64 = 30_000_000_000;

/// Edges that the graph holds at the most: as many as the kernel side does.
pub const MAX_EDGES: usize = hostler_common::wake::MAX_WAKES as usize;

/// An edge that has less weight than one wake-up in a quarter of an hour is forgotten.
const LEAST_PER_S: f64 = 1.0 / 900.0;

/// The wake-up graph: who woke whom how often lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WakeGraph {
    /// Rates weighted as if nothing had happened before the beginning.
    edges: BTreeMap<WakeKey, Edge>,
    /// The weight of all time since the beginning, from 0 to 1.
    weight: f64,
    /// The last reading that was followed: its instant, and its totals.
    last: Option<(u64, BTreeMap<WakeKey, WakeSignal>)>,
}

/// What is known of an edge.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Edge {
    /// Wake-ups a second, those of long ago counting less.
    pub per_s: f64,
    /// Of these, from another node.
    pub node_per_s: f64,
}

impl WakeGraph {
    /// Takes in a reading that follows those before it; what came before the first one does not count.
    pub fn follow(&mut self, reading: &Reading) {
        if let Some((at_ns, before)) = self.last.take() {
            let wakes = wakes_between(&before, &reading.wakes);
            self.append(&wakes, reading.at_ns.saturating_sub(at_ns));
        }
        self.last = Some((reading.at_ns, reading.wakes.clone()));
    }

    /// Takes in the wake-ups of a window that follows those before it. Rates are means over all time
    /// since the beginning, weighted by 2^(−age ÷ [`HALF_LIFE_NS`]).
    pub(crate) fn append(&mut self, wakes: &BTreeMap<WakeKey, WakeSignal>, length_ns: u64) {
        if length_ns == 0 {
            return;
        }
        let kept = (-(length_ns as f64) / HALF_LIFE_NS as f64).exp2();
        let seconds = length_ns as f64 / 1e9;
        self.weight = self.weight * kept + (1.0 - kept);
        for edge in self.edges.values_mut() {
            edge.per_s *= kept;
            edge.node_per_s *= kept;
        }
        for (key, more) in wakes {
            let edge = self.edges.entry(*key).or_default();
            edge.per_s += (1.0 - kept) * more.wakes as f64 / seconds;
            edge.node_per_s += (1.0 - kept) * more.node_wakes as f64 / seconds;
        }
        let least = LEAST_PER_S * self.weight;
        self.edges.retain(|_, edge| edge.per_s >= least);
        self.drop_lightest();
    }

    /// The edges, by who is woken.
    pub fn edges(&self) -> impl Iterator<Item = (&WakeKey, Edge)> {
        let whole = |rate: f64| rate / self.weight;
        self.edges.iter().map(move |(key, edge)| {
            let edge = Edge {
                per_s: whole(edge.per_s),
                node_per_s: whole(edge.node_per_s),
            };
            (key, edge)
        })
    }

    fn drop_lightest(&mut self) {
        let Some(too_many) = self
            .edges
            .len()
            .checked_sub(MAX_EDGES)
            .filter(|&many| many > 0)
        else {
            return;
        };
        let mut by_weight: Vec<(WakeKey, f64)> = self
            .edges
            .iter()
            .map(|(key, edge)| (*key, edge.per_s))
            .collect();
        by_weight.sort_by(|left, right| left.1.total_cmp(&right.1).then(left.0.cmp(&right.0)));
        for (key, _) in by_weight.into_iter().take(too_many) {
            self.edges.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use hostler_common::slot::SlotLease;
    use proptest::prelude::*;

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn key(woken: u32, waker: u32) -> WakeKey {
        WakeKey {
            woken: SlotLease {
                slot: woken,
                generation: 1,
            },
            waker,
            reserved: 0,
        }
    }

    fn wakes(key: WakeKey, wakes: u64) -> BTreeMap<WakeKey, WakeSignal> {
        let signal = WakeSignal {
            wakes,
            node_wakes: wakes / 2,
        };
        BTreeMap::from([(key, signal)])
    }

    fn per_s(graph: &WakeGraph, key: WakeKey) -> f64 {
        let mut edges = graph.edges();
        edges
            .find(|(edge, _)| **edge == key)
            .map_or(0.0, |(_, edge)| edge.per_s)
    }

    #[test]
    fn a_window_holds_what_came_to_an_edge_also_to_a_new_one() {
        let earlier = wakes(key(70, 71), 10);
        let mut later = wakes(key(70, 71), 14);
        later.insert(
            key(71, 70),
            WakeSignal {
                wakes: 3,
                node_wakes: 0,
            },
        );
        later.insert(key(72, 70), WakeSignal::default());
        let between = wakes_between(&earlier, &later);
        assert_eq!(between.len(), 2);
        assert_eq!(
            between[&key(70, 71)],
            WakeSignal {
                wakes: 4,
                node_wakes: 2
            }
        );
        assert_eq!(between[&key(71, 70)].wakes, 3);
    }

    #[test]
    fn an_edge_that_was_forgotten_between_two_readings_began_anew() {
        let between = wakes_between(&wakes(key(70, 71), 10), &wakes(key(70, 71), 3));
        assert_eq!(between[&key(70, 71)].wakes, 3);
    }

    #[test]
    fn readings_that_follow_each_other_tell_of_the_time_between_them() {
        let mut graph = WakeGraph::default();
        for number in 0..600 {
            graph.follow(&Reading {
                at_ns: number * SECOND_NS,
                wakes: wakes(key(70, 71), 1_000 + 10 * number),
                ..Reading::default()
            });
        }
        assert!((per_s(&graph, key(70, 71)) - 10.0).abs() < 0.01);
    }

    #[test]
    fn a_silent_edge_loses_half_its_weight_in_a_half_life_and_is_forgotten_at_last() {
        let mut graph = WakeGraph::default();
        for _ in 0..600 {
            graph.append(&wakes(key(70, 71), 10), SECOND_NS);
        }
        assert!((per_s(&graph, key(70, 71)) - 10.0).abs() < 0.01);
        graph.append(&BTreeMap::new(), HALF_LIFE_NS);
        assert!((per_s(&graph, key(70, 71)) - 5.0).abs() < 0.01);
        graph.append(&BTreeMap::new(), 20 * HALF_LIFE_NS);
        assert_eq!(graph.edges().count(), 0);
    }

    #[test]
    fn of_too_many_edges_the_lightest_are_dropped() {
        let mut graph = WakeGraph::default();
        let many = u32::try_from(MAX_EDGES).expect("it fits") + 10;
        let all: BTreeMap<WakeKey, WakeSignal> = (0..many)
            .map(|number| {
                let wakes = 1_000 + u64::from(number);
                (
                    key(number, 1),
                    WakeSignal {
                        wakes,
                        node_wakes: 0,
                    },
                )
            })
            .collect();
        graph.append(&all, SECOND_NS);
        assert_eq!(graph.edges().count(), MAX_EDGES);
        assert!(per_s(&graph, key(9, 1)).abs() < f64::EPSILON);
        assert!(per_s(&graph, key(10, 1)) > 0.0);
    }

    proptest! {
        #[test]
        fn how_long_windows_are_does_not_matter_to_a_steady_edge(
            lengths_s in prop::collection::vec(1_u64..40, 1..60),
            rate in 1_u64..1_000,
        ) {
            let mut graph = WakeGraph::default();
            for &length_s in &lengths_s {
                graph.append(&wakes(key(70, 71), rate * length_s), length_s * SECOND_NS);
            }
            let expected = rate as f64;
            prop_assert!((per_s(&graph, key(70, 71)) - expected).abs() < 1e-6 * expected);
        }
    }
}
