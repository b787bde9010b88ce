//! HTTP to others: to whoever is told of alerts, and to collectors.

use std::{error::Error as _, time::Duration};

use reqwest::{Client, redirect};
use tokio_rustls::rustls::crypto::ring;

/// How long connecting may take at the most.
const CONNECT: Duration = Duration::from_secs(5);

/// What sends; each request takes no longer than `timeout`. What is wrong is in words.
pub(crate) fn client(timeout: Duration) -> Result<Client, String> {
    // Somebody else may have installed it already.
    let _was_there = ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("hostler/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .connect_timeout(timeout.min(CONNECT))
        .pool_max_idle_per_host(1)
        // A token is for the address that was written.
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| explained(&error))
}

/// An error with what it comes from: the first sentence alone says little.
pub(crate) fn explained(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
