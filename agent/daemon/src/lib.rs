//! The loop that joins Hostler's rooms: signals come from `observe`, windows from `decide`.
//!
//! It is the only room that knows the others. So far it watches: [`watch`] reads at each tick,
//! and hands over a window whenever one is due.

mod watch;

pub use watch::{Schedule, WatchError, watch, watch_closely};
