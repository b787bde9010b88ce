//! Our terminal while the guest has it.

use std::io;

use nix::sys::termios::{self, SetArg, Termios};

/// Puts the terminal's settings back when it goes; the emulator makes it raw, and a killed
/// emulator leaves it so.
pub(super) struct Terminal(Option<Termios>);

impl Terminal {
    pub(super) fn save() -> Self {
        Self(termios::tcgetattr(io::stdin()).ok())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            let _ = termios::tcsetattr(io::stdin(), SetArg::TCSADRAIN, settings);
        }
    }
}

/// The terminal's size as `stty` takes it, so that the guest's full-screen programs fit.
pub(super) fn size() -> String {
    let output = std::process::Command::new("stty")
        .arg("size")
        .stdin(std::process::Stdio::inherit())
        .output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let numbers: Option<Vec<u16>> = text
        .split_whitespace()
        .map(|word| word.parse().ok())
        .collect();
    match numbers.as_deref() {
        Some([rows, columns]) if *rows > 0 => format!("rows {rows} columns {columns}"),
        _ => "rows 24 columns 80".to_owned(),
    }
}
