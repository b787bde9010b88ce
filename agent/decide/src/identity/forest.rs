//! Processes as trees, whatever a snapshot holds.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::ProcessFacts;

/// The processes of a snapshot, each with its parent if that is there too.
pub(super) struct Forest<'facts> {
    processes: BTreeMap<u32, &'facts ProcessFacts>,
    parents: BTreeMap<u32, u32>,
}

impl<'facts> Forest<'facts> {
    /// Makes trees of a snapshot. It need not be consistent, since processes come and go while it
    /// is taken: of two processes with one id the later counts, a parent that is younger than its
    /// child is another process that got the id, and a circle is cut.
    pub(super) fn new(snapshot: impl IntoIterator<Item = &'facts ProcessFacts>) -> Self {
        let mut processes: BTreeMap<u32, &ProcessFacts> = BTreeMap::new();
        for facts in snapshot {
            let latest = processes.entry(facts.pid).or_insert(facts);
            *latest = later(latest, facts);
        }
        let parents = processes
            .values()
            .filter(|child| {
                processes
                    .get(&child.parent)
                    .is_some_and(|parent| parent.started_ns <= child.started_ns)
            })
            .map(|child| (child.pid, child.parent))
            .collect();
        let mut forest = Self { processes, parents };
        forest.cut_circles();
        forest
    }

    /// The parent of a process.
    pub(super) fn parent(&self, pid: u32) -> Option<u32> {
        self.parents.get(&pid).copied()
    }

    /// Every process, each after its parent.
    pub(super) fn parents_first(&self) -> Vec<&'facts ProcessFacts> {
        let mut order = Vec::with_capacity(self.processes.len());
        let mut done = BTreeSet::new();
        for &pid in self.processes.keys() {
            let mut line = Vec::new();
            let mut next = Some(pid);
            while let Some(pid) = next.filter(|pid| done.insert(*pid)) {
                line.push(self.processes[&pid]);
                next = self.parent(pid);
            }
            order.extend(line.into_iter().rev());
        }
        order
    }

    /// Makes the process with the smallest id in each circle a root: the choice must not depend on
    /// the order of the snapshot.
    fn cut_circles(&mut self) {
        let mut done = BTreeSet::new();
        let pids: Vec<u32> = self.parents.keys().copied().collect();
        for pid in pids {
            let mut line = Vec::new();
            let mut next = Some(pid);
            while let Some(pid) = next.filter(|pid| done.insert(*pid)) {
                line.push(pid);
                next = self.parent(pid);
            }
            let circle = next.and_then(|pid| line.iter().position(|&member| member == pid));
            if let Some(root) = circle.and_then(|start| line[start..].iter().min()) {
                self.parents.remove(root);
            }
        }
    }
}

/// The later of two processes with one id; if both started at once, whichever says more, so that
/// the order in the snapshot does not matter.
fn later<'facts>(left: &'facts ProcessFacts, right: &'facts ProcessFacts) -> &'facts ProcessFacts {
    let key = |facts: &'facts ProcessFacts| (facts.started_ns, facts);
    if key(left) >= key(right) { left } else { right }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, started_ns: u64) -> ProcessFacts {
        ProcessFacts {
            pid,
            started_ns,
            parent,
            ..ProcessFacts::default()
        }
    }

    fn order(snapshot: &[ProcessFacts]) -> Vec<u32> {
        let forest = Forest::new(snapshot);
        forest
            .parents_first()
            .iter()
            .map(|facts| facts.pid)
            .collect()
    }

    #[test]
    fn parents_come_before_their_children_also_when_their_ids_are_larger() {
        let snapshot = [process(5, 9, 3), process(9, 7, 2), process(7, 0, 1)];
        assert_eq!(order(&snapshot), [7, 9, 5]);
    }

    #[test]
    fn a_parent_that_is_missing_leaves_a_root() {
        assert_eq!(Forest::new(&[process(5, 4, 1)]).parent(5), None);
    }

    #[test]
    fn a_younger_process_with_the_parent_s_id_is_not_the_parent() {
        let snapshot = [process(5, 4, 1), process(4, 1, 2)];
        assert_eq!(Forest::new(&snapshot).parent(5), None);
    }

    #[test]
    fn a_circle_is_cut_at_its_smallest_id() {
        let snapshot = [
            process(8, 6, 1),
            process(6, 4, 1),
            process(4, 5, 1),
            process(5, 6, 1),
        ];
        let forest = Forest::new(&snapshot);
        assert_eq!(forest.parent(4), None);
        assert_eq!(order(&snapshot), [4, 6, 5, 8]);
    }

    #[test]
    fn a_process_that_is_its_own_parent_is_a_root() {
        assert_eq!(Forest::new(&[process(5, 5, 1)]).parent(5), None);
    }
}
