//! What Hostler concludes from its signals, as pure functions.
//!
//! There is no clock in here, no I/O, no environment, no randomness and no unsafe code: whatever a
//! conclusion depends on comes in as an argument, so that a recording replays into the same
//! conclusions. The lint table of this folder holds that.
//!
//! [`signal`] is what `observe` reads, [`window`] what happened between two readings, and
//! [`durations`] the histograms in both, [`block_io`] the bytes, [`faults`] the page faults,
//! [`peers`] who sockets talk to, [`polled`] what is read of cgroups from time to time ([`pressure`],
//! [`reclaim`]), and [`host`] the host as a whole. [`scene`] is what is known of a host beside that.
//! [`topology`] is its shape, [`node_memory`] where memory lies, [`placement`] where threads run,
//! [`wakes`] who wakes whom, and [`pairs`] who made whom wait. [`identity`] says which process belongs
//! to which agent, [`agent_pattern`] which agents somebody means, and [`explain`] what kept an agent
//! from running. [`plan`] says what had better be changed. [`samples`] are windows in a few numbers, for the past and for alerts, [`measures`] what is
//! asked of them, and [`alerts`] what somebody wants to be told of.
#![forbid(unsafe_code)]

pub mod agent_pattern;
pub mod alerts;
pub mod block_io;
pub mod bottleneck;
pub mod durations;
pub mod explain;
pub mod faults;
pub mod host;
pub mod identity;
pub mod measures;
pub mod node_memory;
pub mod pairs;
pub mod peers;
pub mod placement;
pub mod plan;
pub mod polled;
pub mod pool;
pub mod pressure;
pub mod reclaim;
pub mod samples;
pub mod scene;
pub mod signal;
pub mod topology;
pub mod wakes;
pub mod window;
