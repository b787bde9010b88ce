//! One screen about one agent: where its time went, and the reasons that cost most of it.

mod bar;
mod json;
mod words;

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests;

use hostler_decide::explain::{KeptWaiting, MOST_REASONS, Verdict};

use crate::report::ExplainReport;

use super::{
    Screen,
    foreign::{cut, printable, shortened},
    losses::clauses,
    paint::Paint,
    units::{bytes, compact_count, count, duration, duration_or_none},
    wrap::{phrases, wrapped},
};

pub(crate) use json::explain_json;

/// Lines longer than this are hard to read, however wide the terminal is.
const COMFORTABLE: usize = 100;

/// Peers that are shown of those that it talked to.
const PEERS_NAMED: usize = 3;

/// Agents that are named of those that had to wait.
const WAITERS_NAMED: usize = 2;

/// The report as text, its last line's end included. Where there are too few lines, what may help
/// is said of the first reasons only, and less of what is not exact; at last no bottleneck is named, since
/// reasons say that as well.
pub(crate) fn explain_text(report: &ExplainReport, screen: Screen) -> String {
    let page = Page {
        width: screen.columns.min(COMFORTABLE),
        paint: Paint::new(screen.color),
        names_bottleneck: true,
    };
    // The last line is the prompt's.
    let room = screen.rows.saturating_sub(1);
    let lines = (0..=MOST_REASONS)
        .rev()
        .map(|remedies| page.lines(report, remedies))
        .find(|lines| lines.len() <= room)
        .unwrap_or_else(|| page.without_bottleneck().lines(report, 0));
    lines.join("\n") + "\n"
}

/// What lines are laid out for.
#[derive(Clone, Copy)]
struct Page {
    width: usize,
    paint: Paint,
    names_bottleneck: bool,
}

impl Page {
    fn without_bottleneck(self) -> Self {
        Self {
            names_bottleneck: false,
            ..self
        }
    }

    fn lines(self, report: &ExplainReport, remedies: usize) -> Vec<String> {
        let mut lines = self.heading(report);
        lines.push(String::new());
        let ledger = &report.evidence.window.ledger;
        let bar = bar::lines(ledger, self.width, self.paint);
        if !bar.is_empty() {
            lines.extend(bar);
            lines.push(String::new());
            lines.extend(self.waits(report));
            lines.extend(self.storage_and_memory(report));
            lines.extend(self.network(report));
        }
        lines.extend(self.reasons(report, remedies));
        lines.extend(self.end(report, if remedies > 0 { 2 } else { 1 }));
        lines
    }

    /// A sentence, escaped, on lines that fit.
    fn sentence(self, text: &str) -> Vec<String> {
        let text = printable(text);
        wrapped(phrases(&text), " ", self.width)
    }

    /// A name as it is shown in a sentence.
    fn name(self, name: &str) -> String {
        shortened(&printable(name), (self.width / 2).max(16)).into_owned()
    }

    fn heading(self, report: &ExplainReport) -> Vec<String> {
        let (agent, evidence) = (&report.agent, &report.evidence);
        let name = self.name(&agent.name);
        let place = format!("{}  {}", agent.source.as_str(), printable(&agent.place));
        let room = self.width.saturating_sub(name.chars().count() + 2);
        let threads = evidence.window.ledger.threads;
        let facts = format!(
            "{} {} in {}: {} in all, {} awake; host: {} CPUs, {} busy",
            count(threads),
            if threads == 1 { "thread" } else { "threads" },
            duration(evidence.length_ns),
            duration(evidence.window.ledger.total_ns()),
            duration(evidence.awake_ns()),
            evidence.host.cpus,
            words::busy(evidence),
        );
        let title = format!(
            "{}  {}",
            self.paint.strong(&name),
            self.paint.faint(shortened(&place, room))
        );
        std::iter::once(title.trim_end().to_owned())
            .chain(self.sentence(&facts))
            .collect()
    }

    /// The waits for a CPU in numbers, and whether a few are much longer than most.
    fn waits(self, report: &ExplainReport) -> Vec<String> {
        let window = &report.evidence.window;
        let waits = window.waits();
        if waits.is_empty() {
            return Vec::new();
        }
        let quantile = |q| duration_or_none(waits.quantile_ns(q));
        let numbers = format!(
            "{} {} for a CPU: p50 {}, p99 {}, max {}; {} in all",
            compact_count(waits.total()),
            if waits.total() == 1 { "wait" } else { "waits" },
            quantile(0.5),
            quantile(0.99),
            duration_or_none(waits.max_ns()),
            duration(window.wait_ns()),
        );
        let mut lines = self.sentence(&numbers);
        if let Some(bursts) = report.explanation.bursts {
            lines.extend(self.sentence(&words::bursts(bursts)));
        }
        lines.push(String::new());
        lines
    }

    /// What it read and wrote, its page faults, and whether memory ran out, if any of these.
    fn storage_and_memory(self, report: &ExplainReport) -> Vec<String> {
        let window = &report.evidence.window;
        let mut lines = Vec::new();
        if !window.block_io.is_empty() {
            let (read, written) = (window.block_io.read_bytes, window.block_io.written_bytes);
            let text = format!("storage: {} read, {} written", bytes(read), bytes(written));
            lines.extend(self.sentence(&text));
        }
        if !window.faults.is_empty() {
            let (major, minor) = (count(window.faults.major), count(window.faults.minor));
            lines.extend(self.sentence(&format!("page faults: {major} major, {minor} minor")));
        }
        if let Some(text) = words::nodes(window) {
            lines.extend(self.sentence(&text));
        }
        if let Some(text) = words::memory(&window.polled()) {
            lines.extend(self.sentence(&text));
        }
        if window.oom_kills > 0 {
            let text = format!(
                "memory ran out: the kernel ended {} of its processes",
                count(window.oom_kills)
            );
            lines.extend(self.sentence(&text));
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines
    }

    /// Whom it talked to by TCP, if anybody.
    fn network(self, report: &ExplainReport) -> Vec<String> {
        let mut lines = Vec::new();
        for row in report.peers.iter().take(PEERS_NAMED) {
            lines.extend(self.sentence(&words::peer(row)));
        }
        let more = report.peers.len().saturating_sub(PEERS_NAMED);
        if more > 0 {
            lines.extend(self.sentence(&format!("and {} more peers", count(more as u64))));
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines
    }

    fn reasons(self, report: &ExplainReport, remedies: usize) -> Vec<String> {
        let (evidence, explanation) = (&report.evidence, &report.explanation);
        let bottleneck = explanation.bottleneck.filter(|_| self.names_bottleneck);
        let bottleneck = bottleneck.and_then(words::bottleneck);
        let mut lines = match &bottleneck {
            Some(text) => self.sentence(text),
            None => Vec::new(),
        };
        if explanation.verdict != Verdict::HeldUp && bottleneck.is_none() {
            let text = words::verdict(explanation.verdict, evidence);
            return self.sentence(&text);
        }
        let mut last_help = String::new();
        for (index, reason) in explanation.reasons.iter().enumerate() {
            let show = |name: &str| self.name(name);
            let what = words::sentence(reason, evidence, &show);
            let help = words::remedy(reason, evidence);
            // What helps against one reason often helps against the next.
            let is_news = index < remedies && help != last_help;
            lines.extend(self.reason(index + 1, &what, if is_news { &help } else { "" }));
            last_help = help;
        }
        lines
    }

    /// A number, what happened, and in a fainter tone what may help.
    fn reason(self, number: usize, what: &str, help: &str) -> Vec<String> {
        let indent = format!("{number}. ").len();
        let narrower = Self {
            width: self.width.saturating_sub(indent),
            ..self
        };
        let mut lines = Vec::new();
        for (index, line) in narrower.sentence(what).into_iter().enumerate() {
            let before = if index == 0 {
                self.paint.strong(format!("{number}. "))
            } else {
                " ".repeat(indent)
            };
            lines.push(before + &line);
        }
        for line in narrower
            .sentence(help)
            .into_iter()
            .filter(|l| !l.is_empty())
        {
            lines.push(" ".repeat(indent) + &self.paint.faint(line));
        }
        lines
    }

    /// Who had to wait for the agent, and what is not exact.
    fn end(self, report: &ExplainReport, inexact_lines: usize) -> Vec<String> {
        let mut lines = vec![String::new()];
        let kept = &report.evidence.kept_waiting;
        if !kept.is_empty() {
            lines.extend(self.sentence(&self.kept_waiting(kept)));
        }
        let inexact = clauses(&report.losses);
        if !inexact.is_empty() {
            lines.extend(self.inexact(&inexact, inexact_lines));
        }
        if lines.len() == 1 {
            lines.clear();
        }
        lines
    }

    /// As much as so many lines hold: the full list is below other reports.
    fn inexact(self, clauses: &[String], most: usize) -> Vec<String> {
        let mut lines = self.sentence(&format!("Not exact: {}", clauses.join("; ")));
        if lines.len() > most {
            let rest = lines.split_off(most - 1).join(" ");
            lines.push(cut(&rest, self.width).into_owned());
        }
        lines.iter().map(|line| self.paint.faint(line)).collect()
    }

    fn kept_waiting(self, kept: &[KeptWaiting]) -> String {
        let mut clauses: Vec<String> = kept
            .iter()
            .take(WAITERS_NAMED)
            .map(|waiter| format!("{} {}", self.name(&waiter.name), duration(waiter.wait_ns)))
            .collect();
        let others = &kept[clauses.len()..];
        if !others.is_empty() {
            let wait_ns = others.iter().map(|waiter| waiter.wait_ns).sum();
            let number = count(others.len() as u64);
            clauses.push(format!("{number} more {}", duration(wait_ns)));
        }
        format!("It made others wait: {}.", clauses.join(", "))
    }
}
