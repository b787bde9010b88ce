//! The least of an HTTP client, which can also do what no client should.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::host::PATIENCE;

/// What was answered.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("it is text")
    }
}

/// A connection that gives up after a while.
pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it can");
    stream.set_write_timeout(Some(PATIENCE)).expect("it can");
    stream
}

/// Asks for a path with further lines of a head, each ended by CR LF.
pub(super) fn get_with(address: SocketAddr, path: &str, lines: &str) -> Answer {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).expect("it is taken");
    read_answer(&mut stream)
}

pub(super) fn get(address: SocketAddr, path: &str) -> Answer {
    get_with(address, path, "")
}

/// Reads up to the end of the connection.
pub(super) fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("it is answered");
    let end = all.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(&all)));
    let head = String::from_utf8_lossy(&all[..end]).to_lowercase();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        body: all[end + 4..].to_vec(),
        head,
    }
}
