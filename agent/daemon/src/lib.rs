//! The loop that joins Hostler's rooms: signals come from `observe`, windows from `decide`.
//!
//! It is the only room that knows the others. [`watch()`] reads the host at each tick and hands over a
//! window whenever one is due; [`recording`] keeps what was read, and [`Replay`] does with it what
//! [`watch()`] does with the host.

pub mod recording;
mod replay;
mod reports;
mod watch;

pub use replay::{Replay, ReplayError, Start};
pub use reports::Schedule;
pub use watch::{WatchError, watch};
