//! Sends metrics to a collector, as OTLP over HTTP, for whoever is not asynchronous.

use std::time::Duration;

use reqwest::{Client, Url};
use tokio::runtime::Runtime;

use crate::outgoing::{client, explained};

/// Sends metrics to one collector.
pub struct OtlpSender {
    runtime: Runtime,
    http: Client,
    url: Url,
}

impl OtlpSender {
    /// To the collector at an address such as `http://127.0.0.1:4318`, which may take so long for each
    /// message. What is wrong is in words.
    pub fn new(address: &str, timeout: Duration) -> Result<Self, String> {
        let mut url: Url = address
            .parse()
            .map_err(|error| format!("it is no address: {error}"))?;
        // As the specification of OTLP has it, where no other path is written.
        if url.path() == "/" {
            url.set_path("/v1/metrics");
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let http = client(timeout)?;
        Ok(Self { runtime, http, url })
    }

    /// Sends metrics, and waits until they are taken. What is wrong is in words.
    pub fn send(&self, message: Vec<u8>) -> Result<(), String> {
        // Whoever calls may be on a thread that runs a loop already.
        std::thread::scope(|threads| {
            let sent = threads.spawn(|| self.runtime.block_on(self.post(message)));
            sent.join()
                .unwrap_or_else(|_| Err("sending has failed".to_owned()))
        })
    }

    async fn post(&self, message: Vec<u8>) -> Result<(), String> {
        let request = self.http.post(self.url.clone());
        let request = request.header("content-type", "application/x-protobuf");
        let sent = request.body(message).send().await;
        let response = sent.map_err(|error| explained(&error.without_url()))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        Err(format!("it answered {status}"))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// What a collector hears that answers with `status`.
    fn heard(status: &'static str) -> (String, Result<(), String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let collector = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            let mut heard = Vec::new();
            while !heard.ends_with(b"message") {
                let mut buffer = [0; 1_024];
                let count = stream.read(&mut buffer).expect("it is written");
                heard.extend_from_slice(&buffer[..count]);
            }
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).expect("it is read");
            String::from_utf8(heard).expect("it is text here")
        });
        let sender = OtlpSender::new(&format!("http://{address}"), PATIENCE).expect("an address");
        let sent = sender.send(b"message".to_vec());
        (collector.join().expect("it ends"), sent)
    }

    #[test]
    fn a_collector_hears_metrics_where_it_listens_for_them() {
        let (heard, sent) = heard("200 OK");
        assert_eq!(sent, Ok(()));
        assert!(
            heard.starts_with("POST /v1/metrics HTTP/1.1\r\n"),
            "{heard}"
        );
        assert!(
            heard.contains("content-type: application/x-protobuf\r\n"),
            "{heard}"
        );
        let (_, sent) = self::heard("429 Too Many Requests");
        assert!(sent.is_err_and(|error| error.contains("429")));
    }

    #[test]
    fn an_address_is_refused_that_is_none() {
        assert!(OtlpSender::new("here", PATIENCE).is_err());
    }
}
