//! Reports as text, JSON and CSV: pure functions from values to strings. Nothing here prints,
//! asks for the terminal's size, or looks at the environment.

mod agents;
mod all;
mod chart;
mod doctor;
mod explain;
mod export;
mod facts;
mod faults;
mod foreign;
mod histogram;
mod journal;
mod layout;
mod ledger;
mod live;
mod losses;
mod machine;
mod measured;
mod paint;
mod pairs;
mod past;
mod plan;
mod pressure;
mod recording;
mod rtt;
mod runq;
mod runq_csv;
mod runq_json;
mod runq_table;
mod status;
mod table;
mod topology;
mod trend;
mod units;
mod waits;
mod wakes;
mod wrap;

pub(crate) use agents::{agents_csv, agents_json, agents_text};
pub(crate) use all::{all_csv, all_json, all_text};
pub(crate) use doctor::{doctor_json, doctor_text};
pub(crate) use explain::{explain_json, explain_text};
pub(crate) use export::{export_csv, export_json};
pub(crate) use faults::{faults_csv, faults_json, faults_text};
pub(crate) use foreign::printable;
pub(crate) use journal::{journal_json, journal_text, undone_text};
pub(crate) use layout::Layout;
pub(crate) use ledger::{ledger_csv, ledger_json, ledger_text};
pub(crate) use live::{LiveView, Screen, live};
pub(crate) use measured::span as past_span;
pub(crate) use pairs::{pairs_json, pairs_text};
pub(crate) use past::{past_html, past_json, past_text};
pub(crate) use plan::{plan_json, plan_text};
pub(crate) use pressure::{pressure_csv, pressure_json, pressure_text};
pub(crate) use recording::{recorded, recording_now, replayed};
pub(crate) use rtt::{rtt_csv, rtt_json, rtt_text};
pub(crate) use runq::runq_text;
pub(crate) use runq_csv::runq_csv;
pub(crate) use runq_json::runq_json;
pub(crate) use status::{status_json, status_text};
pub(crate) use topology::{topology_json, topology_text};
pub(crate) use trend::{trend_csv, trend_json, trend_text, trend_width};
pub(crate) use waits::{waits_json, waits_text};
pub(crate) use wakes::{wakes_csv, wakes_json, wakes_text};

#[cfg(test)]
mod samples;
