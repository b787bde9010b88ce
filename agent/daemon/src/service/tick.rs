//! What the loop hands over.

use std::{sync::Arc, time::Duration};

use hostler_decide::{scene::HostFacts, signal::Reading, window::Window};
use hostler_observe::{MapCost, ProgramCost};

/// What happened in a tick, or in several of which the last could not be handed over at once.
pub(super) struct Tick {
    /// What happened since the tick that was handed over before.
    pub(super) window: Window,
    /// What was read at its end.
    pub(super) told: Told,
    /// How long each of the ticks took.
    pub(super) paces: Vec<Pace>,
    /// What the programs have cost so far, if it was just looked at.
    pub(super) cost: Option<ProbeCost>,
}

/// A reading, and when it was taken.
#[derive(Clone, Default)]
pub(super) struct Told {
    pub(super) reading: Arc<Reading>,
    /// The time of day, in ms since 1970, in UTC.
    pub(super) wall_ms: u64,
}

/// How long a tick took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Reading the host.
    pub(super) read: Duration,
    /// Taking the window.
    pub(super) window: Duration,
    /// Whether the tick began half a tick late or more.
    pub(super) is_late: bool,
}

/// What the programs in the kernel cost.
pub(super) struct ProbeCost {
    /// Runs and time of each, as far as they were sampled.
    pub(super) programs: Vec<ProgramCost>,
    /// Memory by map.
    pub(super) maps: Vec<MapCost>,
}

/// What measuring begins with.
#[derive(Default)]
pub(super) struct Beginning {
    pub(super) facts: HostFacts,
    pub(super) told: Told,
    /// Time between two readings.
    pub(super) tick: Duration,
}

/// What is handed over.
pub(super) enum Handed {
    /// Measuring begins, also anew.
    Beginning(Box<Beginning>),
    /// A tick.
    Tick(Box<Tick>),
}

impl Tick {
    /// Adds the tick that follows.
    pub(super) fn append(&mut self, next: Self) {
        self.window.append(next.window);
        self.told = next.told;
        self.paces.extend(next.paces);
        self.cost = next.cost.or(self.cost.take());
    }
}
