//! Sends a message over HTTP, once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use reqwest::{StatusCode, Url};
use serde::Serialize;

use super::{Deliveries, telling::Kind};
use crate::{
    config::Target,
    outgoing::{client, explained},
};

/// Threads that look up names of hosts.
pub(super) const LOOKUP_THREADS: usize = 4;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was taken.
    Taken,
    /// It may be taken later.
    Failed,
    /// It is never taken.
    Refused,
}

/// Sends messages to one address.
pub(super) struct Client {
    http: reqwest::Client,
    target: Target,
    kind: Kind,
    counts: Arc<Deliveries>,
    /// Whether it was said what is wrong since it last went well.
    is_said: AtomicBool,
}

impl Client {
    /// What is wrong is in words.
    pub(super) fn new(
        target: &Target,
        kind: Kind,
        counts: Arc<Deliveries>,
    ) -> Result<Self, String> {
        let http = client(target.timeout)?;
        Ok(Self {
            http,
            target: target.clone(),
            kind,
            counts,
            is_said: AtomicBool::new(false),
        })
    }

    /// The address.
    pub(super) fn url(&self) -> &Url {
        &self.target.url
    }

    /// Sends a message as JSON.
    pub(super) async fn send(&self, url: &Url, message: &impl Serialize) -> Outcome {
        let mut request = self.http.post(url.clone()).json(message);
        if let Some(token) = &self.target.token {
            request = request.bearer_auth(token);
        }
        let outcomes = self.kind.outcomes(&self.counts);
        let (outcome, what) = match request.send().await {
            Ok(response) if response.status().is_success() => {
                outcomes.taken.fetch_add(1, Relaxed);
                if self.is_said.swap(false, Relaxed) {
                    let to = self.kind.as_str();
                    tracing::info!(to, at = self.target.origin(), "alerts are taken again");
                }
                return Outcome::Taken;
            }
            Ok(response) => (of_status(response.status()), response.status().to_string()),
            Err(error) => (Outcome::Failed, explained(&error.without_url())),
        };
        outcomes.failed.fetch_add(1, Relaxed);
        if !self.is_said.swap(true, Relaxed) {
            let to = self.kind.as_str();
            tracing::error!(
                to,
                at = self.target.origin(),
                error = what,
                "an alert could not be told"
            );
        }
        outcome
    }

    /// Nobody is told of a message.
    pub(super) fn lose(&self) {
        let outcomes = self.kind.outcomes(&self.counts);
        outcomes.lost.fetch_add(1, Relaxed);
    }
}

/// What is asked for is wrong, or something is not as it should be for a while.
fn of_status(status: StatusCode) -> Outcome {
    let is_for_a_while = status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    if is_for_a_while {
        Outcome::Failed
    } else {
        Outcome::Refused
    }
}
