//! How many threads a pool is worth, and on which node an agent had better begin.
//!
//! A pool of as many threads as the host has CPUs is what runtimes choose by themselves, and thousands of
//! agents that all do so wait for each other. So a pool begins with what is idle around it, grows while its
//! threads are all busy and CPUs idle, and shrinks where its threads wait for CPUs or use up their quota.
//! Threads that sleep harm nobody: a pool that does little keeps its size.

/// A pool grows while its agent keeps at least this part of it busy.
const BUSY: f64 = 0.9;

/// A pool shrinks while a thread of it waits for a CPU for more than this part of the time: as the kernel's
/// own `cpu.pressure` has it.
const STARVED: f64 = 0.1;

/// The same for the part of its periods in which its group has used up its quota.
const THROTTLED: f64 = 0.05;

/// A pool grows by a part of itself, so that a large one doesn't take hours, and a small one doesn't jump.
const GROWTH: f64 = 0.25;

/// Nodes with this part of the most idle CPUs of any node are as good as that one. Agents that begin at one
/// moment should not all go to the same node.
const AS_GOOD: f64 = 0.75;

/// What a pool may use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Room {
    /// CPUs on which its agent may run.
    pub cpus: u32,
    /// CPUs that quotas of its group and those above leave it; `None` for all.
    pub quota: Option<f64>,
    /// How many of these CPUs nobody uses, on average.
    pub idle: f64,
}

/// What the agent of a pool did lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// CPUs that it kept busy, on average.
    pub used: f64,
    /// The part of the time in which a thread of its waited for a CPU.
    pub starved: f64,
    /// The part of the quota's periods in which it was used up.
    pub throttled: f64,
}

/// A node on which an agent might begin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct NodeRoom {
    /// Its number.
    pub node: u32,
    /// CPUs of it that nobody uses, on average.
    pub idle: f64,
    /// Its free memory, in bytes.
    pub free_bytes: u64,
}

impl Room {
    /// More threads than that can't run at once.
    pub fn most(&self) -> u32 {
        let quota = self.quota.map_or(u32::MAX, |quota| whole(quota.ceil()));
        self.cpus.min(quota).max(1)
    }
}

/// With how many threads a pool begins of which nothing is known.
pub fn first_size(room: &Room) -> u32 {
    whole(room.idle.round()).clamp(1, room.most())
}

/// What size a pool of `size` threads should have.
pub fn next_size(size: u32, load: &Load, room: &Room) -> u32 {
    let size = size.clamp(1, room.most());
    let needed = whole(load.used.ceil()).max(1);
    if load.throttled > THROTTLED {
        // As many as it has whole CPUs of the quota can't use it up.
        let least = room.quota.map_or(1, whole).max(1);
        return needed.max(least).min(size);
    }
    if load.starved > STARVED && room.idle < 1.0 {
        return needed.min(size.saturating_sub(1)).max(1);
    }
    if load.used >= BUSY * f64::from(size) && room.idle >= 1.0 {
        let more = whole((GROWTH * f64::from(size)).ceil()).min(whole(room.idle));
        return size.saturating_add(more).min(room.most());
    }
    size
}

/// Where an agent had better begin that needs so much memory: where most CPUs are idle, and if several nodes
/// are as good, one of them by `chance`, from 0 to 1. `None` without nodes.
pub fn best_node(nodes: &[NodeRoom], needs_bytes: u64, chance: f64) -> Option<u32> {
    let roomy = |node: &&NodeRoom| node.free_bytes >= needs_bytes;
    let mut candidates: Vec<&NodeRoom> = nodes.iter().filter(roomy).collect();
    if candidates.is_empty() {
        candidates = nodes
            .iter()
            .max_by_key(|node| node.free_bytes)
            .into_iter()
            .collect();
    }
    let most = candidates.iter().map(|node| node.idle).fold(0.0, f64::max);
    candidates.retain(|node| node.idle >= AS_GOOD * most);
    let last = candidates.len().checked_sub(1)?;
    let chosen = whole((chance.clamp(0.0, 1.0) * candidates.len() as f64).floor()) as usize;
    Some(candidates[chosen.min(last)].node)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nothing here is negative, and `as` saturates at the upper end"
)]
fn whole(value: f64) -> u32 {
    value.max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROOM: Room = Room {
        cpus: 16,
        quota: None,
        idle: 6.4,
    };

    #[test]
    fn a_pool_begins_with_what_is_idle() {
        assert_eq!(first_size(&ROOM), 6);
        assert_eq!(first_size(&Room { idle: 0.0, ..ROOM }), 1);
        let limited = Room {
            quota: Some(2.5),
            ..ROOM
        };
        assert_eq!(first_size(&limited), 3);
    }

    #[test]
    fn a_pool_whose_threads_are_all_busy_grows_where_cpus_are_idle() {
        let busy = Load {
            used: 7.6,
            ..Load::default()
        };
        assert_eq!(next_size(8, &busy, &ROOM), 10);
        assert_eq!(next_size(8, &busy, &Room { idle: 0.4, ..ROOM }), 8);
        let all = Load {
            used: 15.9,
            ..Load::default()
        };
        assert_eq!(next_size(16, &all, &ROOM), 16);
    }

    #[test]
    fn a_pool_whose_threads_wait_for_cpus_shrinks_to_what_it_gets() {
        let starved = Load {
            used: 3.2,
            starved: 0.6,
            throttled: 0.0,
        };
        let full = Room { idle: 0.1, ..ROOM };
        assert_eq!(next_size(16, &starved, &full), 4);
        assert_eq!(next_size(4, &starved, &full), 3);
        // Others leave CPUs idle: its waits are not for want of them.
        assert_eq!(next_size(16, &starved, &ROOM), 16);
    }

    #[test]
    fn a_pool_that_uses_its_quota_up_shrinks_to_its_whole_cpus() {
        let throttled = Load {
            used: 2.4,
            starved: 0.0,
            throttled: 0.5,
        };
        let room = |quota| Room {
            quota: Some(quota),
            ..ROOM
        };
        assert_eq!(next_size(3, &throttled, &room(2.5)), 3);
        let less = Load {
            used: 1.9,
            ..throttled
        };
        assert_eq!(next_size(3, &less, &room(2.5)), 2);
        assert_eq!(next_size(2, &less, &room(2.5)), 2);
        assert_eq!(next_size(1, &less, &room(0.5)), 1);
    }

    #[test]
    fn who_does_little_keeps_its_threads() {
        assert_eq!(next_size(8, &Load::default(), &ROOM), 8);
    }

    #[test]
    fn an_agent_begins_where_most_is_idle_and_its_memory_fits() {
        let node = |node, idle, free_bytes| NodeRoom {
            node,
            idle,
            free_bytes,
        };
        let nodes = [node(0, 1.0, 120), node(1, 8.0, 10), node(2, 7.0, 100)];
        assert_eq!(best_node(&nodes, 50, 0.0), Some(2));
        assert_eq!(best_node(&nodes, 5, 0.0), Some(1));
        assert_eq!(best_node(&nodes, 5, 0.99), Some(2));
        assert_eq!(best_node(&nodes, 1_000, 0.5), Some(0));
        assert_eq!(best_node(&[], 0, 0.5), None);
    }

    proptest! {
        #[test]
        fn a_pool_has_a_thread_and_never_more_than_can_run(
            size in 0_u32..100_000,
            cpus in 0_u32..10_000,
            quota in prop::option::of(0.0_f64..100.0),
            idle in -1.0_f64..10_000.0,
            used in 0.0_f64..10_000.0,
            starved in 0.0_f64..1.0,
            throttled in 0.0_f64..1.0,
        ) {
            let room = Room { cpus, quota, idle };
            let load = Load { used, starved, throttled };
            for size in [first_size(&room), next_size(size, &load, &room)] {
                prop_assert!((1..=room.most()).contains(&size), "{size}: {room:?}");
            }
        }

        #[test]
        fn a_steady_load_ends_at_a_steady_size(
            size in 1_u32..64,
            wanted in 0.0_f64..64.0,
            idle in 0.0_f64..64.0,
            quota in prop::option::of(0.5_f64..64.0),
        ) {
            // It keeps busy what it wants of the threads that it has, of the CPUs that others and its quota
            // leave.
            let mut size = size;
            let mut seen = Vec::new();
            for _ in 0..200 {
                let wants = wanted.min(f64::from(size));
                let used = wants.min(idle).min(quota.unwrap_or(f64::INFINITY));
                let room = Room { cpus: 64, quota, idle: idle - used };
                let is_throttled = quota.is_some_and(|quota| wants > quota && quota < idle);
                let load = Load {
                    used,
                    starved: f64::from(u8::from(wants > idle)),
                    throttled: f64::from(u8::from(is_throttled)),
                };
                size = next_size(size, &load, &room);
                seen.push(size);
            }
            let last = &seen[seen.len() - 20..];
            let spread = last.iter().max().zip(last.iter().min()).map(|(most, least)| most - least);
            prop_assert!(spread <= Some(1), "{last:?}");
        }
    }
}
