//! What was refused to those who connect.

use std::sync::{Arc, atomic::AtomicU64};

/// Of each way in.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct Refusals {
    /// Metrics.
    pub(in crate::service) http: Arc<Refused>,
    /// The control API.
    pub(in crate::service) control: Arc<Refused>,
}

/// Of one of them, cumulative.
#[derive(Debug, Default)]
pub(in crate::service) struct Refused {
    /// Connections beyond the limit.
    pub(in crate::service) too_many: AtomicU64,
    /// Connections that were cut off, since nothing moved on them or what was sent made no sense.
    pub(in crate::service) cut_off: AtomicU64,
}
