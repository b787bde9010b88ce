//! Sends metrics to a collector, as OTLP over HTTP.

use std::time::Duration;

use hostler_daemon::metrics::OtlpSender;

use crate::failure::Failure;

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A collector.
pub(super) struct Collector {
    sender: OtlpSender,
    address: String,
}

impl Collector {
    pub(super) fn new(address: &str) -> Result<Self, Failure> {
        let sender = OtlpSender::new(address, PATIENCE).map_err(|message| Failure::Usage {
            sentence: format!("{address}: {message}"),
            hint: "write for example http://127.0.0.1:4318".to_owned(),
        })?;
        Ok(Self {
            sender,
            address: address.to_owned(),
        })
    }

    pub(super) fn send(&mut self, bytes: Vec<u8>) -> Result<(), Failure> {
        self.sender
            .send(bytes)
            .map_err(|message| Failure::Collector {
                address: self.address.clone(),
                message,
            })
    }
}
