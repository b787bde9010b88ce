//! The history: samples of the host, its groups and its agents, kept in a file for days without any other
//! program, in three resolutions. Seconds become minutes and minutes hours as time passes.
//!
//! It is a database (redb), so that what was written stays whole whatever ends the process: each second is
//! a transaction, and whoever reads sees one or the other. A [`Store`] writes, of which there is one at a
//! time; a [`History`] reads, also while it does.
//!
//! A table holds, for each stretch of time, the samples of 256 series together ([`rows`]): one by one they
//! would be many times as large, and all in one would have to be read for one agent. Minutes are made of
//! the seconds that are in the file, not of what is in memory: so a start in between loses none.

mod error;
mod expiry;
mod reader;
mod rollup;
mod rows;
mod series;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod trend;

use std::time::Duration;

pub use self::{
    error::HistoryError,
    reader::{Covered, History},
    series::Series,
    store::{Opened, Store, Written},
    trend::{Point, Trend},
};

mod schema {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::pedantic,
        reason = "made from the schema, which has the docs"
    )]
    include!(concat!(env!("OUT_DIR"), "/hostler.history.v1.rs"));
}

/// Where the file is, if the configuration does not say otherwise.
pub const DEFAULT_FOLDER: &str = "/var/lib/hostler";

/// The file in that folder.
const FILE: &str = "history.redb";

/// How finely time is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// By ticks, which are a second by default.
    Seconds,
    /// By minutes.
    Minutes,
    /// By hours.
    Hours,
}

impl Resolution {
    /// All of them, the finest first.
    pub const ALL: [Self; 3] = [Self::Seconds, Self::Minutes, Self::Hours];

    /// How long a stretch of time is, in ms; of seconds, the shortest.
    pub fn length_ms(self) -> u64 {
        match self {
            Self::Seconds => 1_000,
            Self::Minutes => 60_000,
            Self::Hours => 3_600_000,
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Seconds => 0,
            Self::Minutes => 1,
            Self::Hours => 2,
        }
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// For how long, by resolution.
    pub spans: [Duration; 3],
    /// How large the file may become, in bytes; what is oldest goes first.
    pub size_bytes: u64,
}
