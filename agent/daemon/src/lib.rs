//! The loop that joins Hostler's rooms: signals come from `observe`, windows from `decide`.
//!
//! It is the only room that knows the others. [`run`] is the daemon, by its [`config`]; [`metrics`] and
//! [`control`] are what it serves, and the [`history`] is what it keeps. [`watch()`] is the loop of a
//! command: it reads the host at each tick and hands over a window whenever one is due; [`recording`] keeps
//! what was read, and [`Replay`] does with it what [`watch()`] does with the host. [`open_changes`] is the way
//! to what was changed on the host, and [`launch()`] starts a command as an agent.

mod changes;
pub mod config;
pub mod control;
pub mod history;
pub mod instants;
mod launch;
pub mod metrics;
mod outgoing;
pub mod recording;
mod replay;
mod reports;
mod service;
#[cfg(test)]
mod simulated;
mod wakeups;
mod watch;

pub use changes::{ChangesError, now_ms, open_changes};
pub use launch::{LaunchError, LaunchOrder, NodeChoice, launch};
pub use replay::{Replay, ReplayError, Start};
pub use reports::Schedule;
pub use service::{ServiceError, Start as ServiceStart, run};
pub use watch::{WatchError, watch};
