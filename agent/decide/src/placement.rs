//! Where an agent's threads run, by NUMA node.

use hostler_common::placement::MAX_NODES;

/// Counts of an agent, cumulative or in a window; what they mean is said at
/// [`hostler_common::placement::PlacementRecord`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Stretches on CPUs of each node that have ended, in ns.
    pub on_cpu_ns: [u64; MAX_NODES],
    /// How often a thread was put on another CPU.
    pub migrations: u64,
    /// Of these, to another node.
    pub node_migrations: u64,
}

impl Placement {
    /// What came to the counts since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.each(earlier, u64::wrapping_sub)
    }

    /// Adds the counts of another window.
    pub fn add(&mut self, other: &Self) {
        *self = self.each(other, u64::wrapping_add);
    }

    fn each(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            on_cpu_ns: std::array::from_fn(|node| {
                combine(self.on_cpu_ns[node], other.on_cpu_ns[node])
            }),
            migrations: combine(self.migrations, other.migrations),
            node_migrations: combine(self.node_migrations, other.node_migrations),
        }
    }

    /// Time on CPUs of all nodes, in ns.
    pub fn total_ns(&self) -> u64 {
        self.on_cpu_ns
            .iter()
            .fold(0, |sum, ns| sum.wrapping_add(*ns))
    }

    /// The node on which most of the time was spent, of those with equal time the first; `None` if
    /// none was.
    pub fn main_node(&self) -> Option<u32> {
        let most = self.on_cpu_ns.iter().copied().max().filter(|&ns| ns > 0)?;
        let node = self.on_cpu_ns.iter().position(|&ns| ns == most)?;
        u32::try_from(node).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts() -> impl Strategy<Value = Placement> {
        (any::<[u64; MAX_NODES]>(), any::<u64>(), any::<u64>()).prop_map(
            |(on_cpu_ns, migrations, node_migrations)| Placement {
                on_cpu_ns,
                migrations,
                node_migrations,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_added_is_what_came_to_it(before in counts(), more in counts()) {
            let mut now = before;
            now.add(&more);
            prop_assert_eq!(now.since(&before), more);
        }
    }

    #[test]
    fn the_main_node_is_where_most_time_was_spent() {
        let mut placement = Placement::default();
        assert_eq!(placement.main_node(), None);
        placement.on_cpu_ns[1] = 5;
        placement.on_cpu_ns[3] = 7;
        assert_eq!(placement.main_node(), Some(3));
        assert_eq!(placement.total_ns(), 12);
    }
}
