//! On which NUMA nodes an agent's memory lies.

use hostler_common::placement::MAX_NODES;

/// Amounts of memory by node, in bytes. Nodes from [`MAX_NODES`] on count as the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeBytes {
    /// Anonymous memory.
    pub anon: [u64; MAX_NODES],
    /// What is mapped of files; pages that several processes map count for each.
    pub file: [u64; MAX_NODES],
}

impl NodeBytes {
    /// Adds those of another process.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [(&mut self.anon, &other.anon), (&mut self.file, &other.file)] {
            for (sum, more) in sum.iter_mut().zip(more) {
                *sum = sum.saturating_add(*more);
            }
        }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        let all = self.anon.iter().chain(&self.file);
        all.fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// Anonymous memory of all nodes.
    pub fn anon_total(&self) -> u64 {
        self.anon
            .iter()
            .fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// Where an agent's memory lay when it was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeMemory {
    /// When that was, in ns of the monotonic clock.
    pub at_ns: u64,
    /// How much of it was where.
    pub bytes: NodeBytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_of_an_agent_add_up_and_never_wrap() {
        let mut one = NodeBytes::default();
        one.anon[1] = 4096;
        one.file[0] = u64::MAX;
        let mut sum = one;
        sum.add(&one);
        assert_eq!((sum.anon[1], sum.anon_total()), (8192, 8192));
        assert_eq!(sum.total(), u64::MAX);
    }
}
