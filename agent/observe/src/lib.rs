//! Kernel to signals: loads Hostler's programs, keeps track of who is who, and reads what was
//! measured.
//!
//! [`Observer`] is the way in. It only observes: loading and attaching programs is all it does to
//! the host, nothing is pinned, and all of it goes when the process goes.

mod agents;
mod alarms;
mod capabilities;
mod cgroup_files;
mod cgroups;
mod claims;
mod clock;
mod cost;
mod cpu_times;
mod doctor;
mod error;
mod free_memory;
mod identities;
mod mapped;
mod names;
mod numa_maps;
mod observer;
mod offsets;
mod owners;
mod pools;
mod preflight;
mod probes;
mod process_files;
mod processes;
mod programs;
mod reading;
mod run_queue_clock;
mod slots;
mod snapshot;
mod sockets;
mod topology;
mod verifier;

pub use agents::{AgentPlace, AgentProcess, AgentProcesses};
pub use capabilities::{Capabilities, CapsError, give_up_all, keep_for_acting};
pub use cgroup_files::{Quotas, poll_cgroup};
pub use cgroups::cgroup_root;
pub use clock::now_ns as monotonic_ns;
pub use cost::{MapCost, ProgramCost, RunTimeStatistics};
pub use cpu_times::{CpuTimes, cpu_times, free_bytes_of_node};
pub use doctor::{Effect, SignalSource, blind_spots, effects, host_facts};
pub use error::ObserveError;
pub use free_memory::give_back_free_memory;
pub use observer::{LONG_WAIT_NS, Observer, Options};
pub use offsets::Available;
pub use owners::owners;
pub use preflight::{host_name, release as kernel_release};
pub use run_queue_clock::ProbeClock;
pub use snapshot::ThreadSource;
pub use sockets::networks::{MOST_NAMED_PEERS, NamedPeer, Network};
pub use topology::{has_several_nodes, topology};
pub use verifier::{ProgramBill, program_bills};
