//! Colours and other emphasis.

use std::fmt::Display;

use anstyle::{AnsiColor, Color, Style};

/// Adds colours, or leaves text as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    color: bool,
}

/// Waits after a wake-up.
const WOKEN: Color = Color::Ansi(AnsiColor::Cyan);

/// Waits after a preemption.
const PREEMPTED: Color = Color::Ansi(AnsiColor::Yellow);

impl Paint {
    pub(super) const fn new(color: bool) -> Self {
        Self { color }
    }

    pub(super) const fn is_on(self) -> bool {
        self.color
    }

    /// Titles and names.
    pub(super) fn strong(self, text: impl Display) -> String {
        self.styled(Style::new().bold(), text)
    }

    /// What is less important than what is around it.
    pub(super) fn faint(self, text: impl Display) -> String {
        self.styled(Style::new().dimmed(), text)
    }

    /// What the reader should not overlook.
    pub(super) fn warning(self, text: impl Display) -> String {
        self.styled(AnsiColor::Red.on_default(), text)
    }

    /// Waits after a wake-up.
    pub(super) fn woken(self, text: impl Display) -> String {
        self.styled(Style::new().fg_color(Some(WOKEN)), text)
    }

    /// Waits after a preemption.
    pub(super) fn preempted(self, text: impl Display) -> String {
        self.styled(Style::new().fg_color(Some(PREEMPTED)), text)
    }

    /// A block whose left part stands for wake-ups and whose right part for preemptions.
    pub(super) fn boundary(self, block: char) -> String {
        let style = Style::new().fg_color(Some(WOKEN)).bg_color(Some(PREEMPTED));
        self.styled(style, block)
    }

    fn styled(self, style: Style, text: impl Display) -> String {
        let text = text.to_string();
        if self.color && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text
        }
    }
}
