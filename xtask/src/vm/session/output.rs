//! The output of several programs in one boot, told apart again.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A line of output, and when it came, counted from the boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Duration,
    pub(crate) text: String,
}

/// What one program printed, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
    /// `None` if the guest ended first.
    pub(crate) exit_code: Option<u8>,
}

/// Takes the output of one boot apart, and shows each line to `watch` as it comes.
pub(super) struct Session {
    marker: String,
    start: Instant,
    parts: Vec<Part>,
    watch: fn(&str) -> io::Result<()>,
}

impl Session {
    pub(super) fn new(marker: String, watch: fn(&str) -> io::Result<()>) -> Self {
        Self {
            marker,
            start: Instant::now(),
            parts: Vec::new(),
            watch,
        }
    }

    /// What has come so far, a part for each program that has begun.
    pub(super) fn take_parts(&mut self) -> Vec<Part> {
        std::mem::take(&mut self.parts)
    }

    /// Fails if nobody looks any more.
    fn take(&mut self, line: &str) -> io::Result<()> {
        let Some((before, word)) = line.split_once(&self.marker) else {
            return self.keep(line);
        };
        if !before.is_empty() {
            self.keep(before)?;
        }
        match word.trim().split_once(' ') {
            Some(("begin", name)) => self.parts.push(Part {
                name: name.to_owned(),
                ..Part::default()
            }),
            Some(("end", code)) => {
                if let Some(part) = self.parts.last_mut() {
                    part.exit_code = code.parse().ok();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn keep(&mut self, text: &str) -> io::Result<()> {
        let line = Line {
            at: self.start.elapsed(),
            text: text.to_owned(),
        };
        match self.parts.last_mut() {
            Some(part) if part.exit_code.is_none() => part.lines.push(line),
            _ => {}
        }
        (self.watch)(text)
    }
}

/// Hands whole lines to a session that several threads share.
pub(crate) struct Lines {
    session: Arc<Mutex<Session>>,
    pending: Vec<u8>,
}

impl Lines {
    pub(super) fn of(session: &Arc<Mutex<Session>>) -> Self {
        Self {
            session: Arc::clone(session),
            pending: Vec::new(),
        }
    }

    fn hand_over(&mut self, line: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(line);
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.take(text.trim_end_matches(['\n', '\r']))
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            self.hand_over(&line)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() {
            // At the end there is nobody left to tell.
            let _unseen = self.hand_over(&rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_the_guest_did_not_see_the_end_of_has_no_exit_code() {
        let mut session = Session::new("<mark>".to_owned(), |_| Ok(()));
        for line in ["<mark> begin first", "half"] {
            session.take(line).expect("nobody looks");
        }
        assert_eq!(session.take_parts()[0].exit_code, None);
    }
}
