//! The control API of a running daemon: gRPC over a Unix socket, so that commands need no programs of
//! their own where a daemon measures already, and other programs can ask as well.
//!
//! The schema is `agent/daemon/proto/control.proto`. Readings are told in the messages of recordings, so
//! that whatever can be reported of a recording can be reported of a daemon. [`Client`] is the side that
//! asks; the side that answers is a part of the daemon's front.

mod client;
mod error;
mod watched;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::large_enum_variant,
    clippy::allow_attributes_without_reason,
    reason = "generated; the schema documents it"
)]
pub(crate) mod schema {
    include!(concat!(env!("OUT_DIR"), "/hostler.control.v1.rs"));
}

pub use self::{
    client::{AgentPlaces, Client, UndoneStep},
    error::ControlError,
    schema::{FiringAlert, StatusResponse as Status},
    watched::{Watched, WatchedError},
};

/// Where the daemon listens, and commands ask, if nothing else is said.
pub const DEFAULT_SOCKET: &str = "/run/hostler/control.sock";
