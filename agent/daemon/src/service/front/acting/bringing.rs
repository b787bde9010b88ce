//! Brings agents' memory after them, a little at a time: moving a page takes CPU time and holds up whoever
//! touches it.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use hostler_act::{MemoryMove, MemoryReceipt, Thread};

/// The smallest page; a huge one counts as so many.
pub(super) const PAGE_BYTES: u64 = 4096;

/// How much is moved at a time, and how far apart: 80 MiB a second at the most, about a hundredth of what a CPU copies.
const PAGES_A_TURN: u64 = 1_024;
pub(super) const TURN: Duration = Duration::from_millis(50);

/// Memory that is on its way.
#[derive(Default)]
pub(super) struct Bringing {
    moves: VecDeque<(Arc<str>, MemoryMove)>,
    last_turn: Option<Instant>,
}

impl Bringing {
    /// An agent's memory is to go to a node, and no longer to any other.
    pub(super) fn begin(&mut self, agent: &Arc<str>, processes: Vec<Thread>, node: u32) {
        self.leave(agent);
        let moved = MemoryMove::new(processes, node);
        self.moves.push_back((Arc::clone(agent), moved));
    }

    /// What of an agent's memory is still elsewhere stays there.
    pub(super) fn leave(&mut self, agent: &Arc<str>) {
        self.moves.retain(|(moving, _)| moving != agent);
    }

    /// Nothing is moved any more.
    pub(super) fn leave_all(&mut self) {
        self.moves.clear();
    }

    /// Whether there is anything left to move.
    pub(super) fn is_under_way(&self) -> bool {
        !self.moves.is_empty()
    }

    /// Goes on if it is time to. How many pages went.
    pub(super) fn go_on(&mut self) -> u64 {
        let is_early = self.last_turn.is_some_and(|last| last.elapsed() < TURN);
        if is_early {
            return 0;
        }
        let Some((agent, mut moved)) = self.moves.pop_front() else {
            return 0;
        };
        self.last_turn = Some(Instant::now());
        let before = moved.receipt().moved;
        let has_more = moved.advance(PAGES_A_TURN);
        let receipt = moved.receipt();
        match has_more {
            Ok(true) => self.moves.push_back((agent, moved)),
            Ok(false) => say(&agent, receipt),
            Err(error) => {
                tracing::warn!(agent = &*agent, %error, "memory stays where it is");
            }
        }
        receipt.moved - before
    }
}

fn say(agent: &str, receipt: MemoryReceipt) {
    let mib = |pages: u64| (pages * PAGE_BYTES) >> 20;
    tracing::info!(
        agent,
        moved_mib = mib(receipt.moved),
        was_there_mib = mib(receipt.there),
        stayed_mib = mib(receipt.stayed),
        "memory has followed"
    );
}
