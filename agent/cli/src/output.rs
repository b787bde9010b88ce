//! Standard output: how wide it is, whether it takes colours, and whether anybody still reads it.

use std::io::{self, ErrorKind, IsTerminal, Write};

use terminal_size::{Height, Width, terminal_size};

use crate::{args::ColorWhen, failure::Failure};

/// Columns and lines assumed where there is no terminal to ask.
const UNKNOWN: (u16, u16) = (100, 40);

/// Standard output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stdout {
    /// Whether it is a terminal.
    pub(crate) is_terminal: bool,
    /// Whether to use colours.
    pub(crate) color: bool,
}

impl Stdout {
    pub(crate) fn new(color: ColorWhen) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let no_color = std::env::var_os("NO_COLOR");
        Self {
            is_terminal,
            color: color.applies(is_terminal, no_color.as_deref()),
        }
    }

    /// Columns and lines as they are now: a window may have been resized.
    pub(crate) fn size(self) -> (usize, usize) {
        let size = if self.is_terminal {
            terminal_size()
        } else {
            None
        };
        let (columns, lines) =
            size.map_or(UNKNOWN, |(Width(columns), Height(lines))| (columns, lines));
        (columns.into(), lines.into())
    }
}

/// Writes a report; false if the reader is gone, which is no failure: `head` does that.
pub(crate) fn write(text: &str) -> io::Result<bool> {
    write_bytes(text.as_bytes())
}

/// The same of what is no text.
pub(crate) fn write_bytes(bytes: &[u8]) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        outcome => outcome.map(|()| true),
    }
}

/// Writes the only report of a command.
pub(crate) fn write_only(text: &str) -> Result<(), Failure> {
    write(text)
        .map(|_reader_is_there| ())
        .map_err(|source| Failure::System {
            what: "writing the report",
            source,
        })
}
