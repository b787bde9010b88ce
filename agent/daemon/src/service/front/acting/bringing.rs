//! Brings agents' memory after them, a little at a time: moving a page takes CPU time and holds up whoever
//! touches it.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use hostler_act::{Members, MemoryMove, MemoryReceipt, Thread};
use hostler_decide::signal::Agent;

/// The smallest page; a huge one counts as so many.
pub(super) const PAGE_BYTES: u64 = 4096;

/// How much is moved at a time, and how far apart: 80 MiB a second at the most, about a hundredth of what a
/// CPU copies.
const PAGES_A_TURN: u64 = 1_024;
pub(super) const TURN: Duration = Duration::from_millis(50);

/// Memory that is on its way.
#[derive(Default)]
pub(super) struct Bringing {
    moves: VecDeque<Moving>,
    last_turn: Option<Instant>,
}

/// One agent's.
struct Moving {
    agent: Arc<Agent>,
    members: Members,
    memory: MemoryMove,
}

/// What came of going on for a turn.
#[derive(Default)]
pub(super) struct Turn {
    /// Pages that went.
    pub(super) pages: u64,
    /// An agent whose memory has all come, as far as it can, and who that is.
    pub(super) arrived: Option<(Arc<Agent>, Members)>,
}

impl Bringing {
    /// An agent's memory is to go to a node, and no longer to any other.
    pub(super) fn begin(
        &mut self,
        agent: &Arc<Agent>,
        members: &Members,
        processes: Vec<Thread>,
        node: u32,
    ) {
        self.leave(&agent.name);
        self.moves.push_back(Moving {
            agent: Arc::clone(agent),
            members: members.clone(),
            memory: MemoryMove::new(processes, node),
        });
    }

    /// What of an agent's memory is still elsewhere stays there.
    pub(super) fn leave(&mut self, agent: &Arc<str>) {
        self.moves.retain(|moving| moving.agent.name != *agent);
    }

    /// Nothing is moved any more.
    pub(super) fn leave_all(&mut self) {
        self.moves.clear();
    }

    /// Whether there is anything left to move.
    pub(super) fn is_under_way(&self) -> bool {
        !self.moves.is_empty()
    }

    /// Goes on if it is time to.
    pub(super) fn go_on(&mut self) -> Turn {
        let is_early = self.last_turn.is_some_and(|last| last.elapsed() < TURN);
        if is_early {
            return Turn::default();
        }
        let Some(mut moving) = self.moves.pop_front() else {
            return Turn::default();
        };
        self.last_turn = Some(Instant::now());
        let before = moving.memory.receipt().moved;
        let has_more = moving.memory.advance(PAGES_A_TURN);
        let receipt = moving.memory.receipt();
        let mut turn = Turn {
            pages: receipt.moved - before,
            arrived: None,
        };
        match has_more {
            Ok(true) => self.moves.push_back(moving),
            Ok(false) => {
                say(&moving.agent.name, receipt);
                turn.arrived = Some((moving.agent, moving.members));
            }
            Err(error) => {
                tracing::warn!(agent = &*moving.agent.name, %error, "memory stays where it is");
            }
        }
        turn
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
