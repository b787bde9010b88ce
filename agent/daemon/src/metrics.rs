//! What `/metrics` shows: totals over the daemon's life, and how they are written.
//!
//! The tables of [`catalogue`] say what there is: each metric with its name, type, labels and meaning, and
//! how its samples come from what was added up. The text, the reference page and the tests are all made
//! of these. Which agents have series of their own is a policy ([`Policy`]).

mod catalogue;
mod counts;
mod families;
mod otlp;
mod own_cost;
mod ranking;
mod reference;
mod sink;
#[cfg(test)]
#[allow(clippy::float_cmp, reason = "counts of whole things are exact")]
mod tests;
mod text;
mod totals;

pub(crate) use self::text::shortened;
pub use self::{
    families::{Family, FamilyKind, Labelled, Value},
    otlp::{OtlpSender, OtlpTimes, otlp},
    own_cost::{ActCost, HistoryCost, OwnCost, Paces, PlanCost, ProcessCost},
    ranking::Policy,
    reference::reference,
    text::Format,
    totals::{Totals, Written},
};
