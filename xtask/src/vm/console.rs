//! The guest's console log: where it goes, and what is kept of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

use super::cache;

/// How much of a dead guest's console is shown.
const SHOWN_LINES: usize = 30;

/// How much of that is what came before the kernel's report of damage.
const LINES_BEFORE_REPORT: usize = 10;

/// How the kernel begins to report what it does not survive, or not unharmed.
const SEVERE: [&str; 3] = ["Kernel panic - ", "BUG: ", "Oops: "];

/// The whole log at `path`.
pub(super) fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The telling lines of a log, indented: those around the kernel's first severe report, or else its
/// first warning, since what follows is mostly stack traces; and the last lines.
pub(super) fn excerpt(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines.len().saturating_sub(SHOWN_LINES);
    let report = lines.iter().position(is_severe);
    let Some(report) = report.or_else(|| lines.iter().position(is_warning)) else {
        return indented(&lines[tail..]);
    };
    let first = report.saturating_sub(LINES_BEFORE_REPORT);
    let end = first + SHOWN_LINES;
    if end >= tail {
        return indented(&lines[first.min(tail)..]);
    }
    indented(&lines[first..end]) + &indented(&["…"]) + &indented(&lines[tail..])
}

fn indented(lines: &[&str]) -> String {
    let lines = lines.iter();
    lines
        .flat_map(|line| ["  | ", line.trim_end(), "\n"])
        .collect()
}

/// The lines of a log by which the kernel reports damage, also such that it survives.
pub(super) fn damage(log: &str) -> Vec<String> {
    let lines = log.lines();
    let damage = lines.filter(|line| is_severe(line) || is_warning(line));
    damage.map(|line| line.trim_end().to_owned()).collect()
}

fn is_severe(line: &&str) -> bool {
    SEVERE.iter().any(|report| line.contains(report))
}

/// `WARNING: CPU: 1 PID: …`, from Linux 6.19 on `WARNING: FILE:LINE at FUNCTION, CPU#1: …`.
fn is_warning(line: &&str) -> bool {
    line.contains("WARNING: ") && (line.contains("CPU: ") || line.contains("CPU#"))
}

/// How many logs this run has kept: it may boot several guests.
static KEPT: AtomicUsize = AtomicUsize::new(1);

/// Copies the log at `path` to where it outlives this run.
pub(super) fn keep(path: &Path) -> Result<PathBuf> {
    let directory = cache::root()?.join("consoles");
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let number = KEPT.fetch_add(1, Ordering::Relaxed);
    let kept = directory.join(format!("{}-{number}.log", process::id()));
    fs::copy(path, &kept).with_context(|| format!("keeping {}", path.display()))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(lines: u32) -> String {
        let lines: Vec<String> = (1..=lines).map(|line| format!("line {line}")).collect();
        lines.join("\r\n") + "\r\n"
    }

    #[test]
    fn a_silent_death_shows_the_last_lines() {
        let shown = excerpt(&numbered(40));
        assert_eq!(shown.lines().next(), Some("  | line 11"));
        assert_eq!(shown.lines().count(), SHOWN_LINES);
    }

    #[test]
    fn a_panic_is_shown_with_what_came_before_it_and_the_last_lines() {
        let log = numbered(20) + "Kernel panic - not syncing\n" + &numbered(90);
        let shown = excerpt(&log);
        assert_eq!(shown.lines().next(), Some("  | line 11"));
        assert_eq!(
            shown.lines().nth(10),
            Some("  | Kernel panic - not syncing")
        );
        assert_eq!(shown.lines().nth(SHOWN_LINES), Some("  | …"));
        assert_eq!(shown.lines().last(), Some("  | line 90"));
        assert_eq!(shown.lines().count(), 2 * SHOWN_LINES + 1);
    }

    #[test]
    fn a_panic_is_shown_although_there_was_a_warning_before_it() {
        let log = format!("WARNING: CPU: 0 PID: 1 at x\n{}BUG: y\n", numbered(90));
        let shown = excerpt(&log);
        assert!(
            shown.contains("BUG: y") && !shown.contains("WARNING"),
            "{shown}"
        );
    }

    #[test]
    fn warnings_of_old_and_new_kernels_are_damage_and_a_lower_word_is_none() {
        let old = "[    2.0] WARNING: CPU: 1 PID: 3 at kernel/bpf/x.c";
        let new = "[    3.0] WARNING: kernel/bpf/x.c:7 at f+0x1/0x2, CPU#1: init/1";
        let log = format!("[    0.1] warning: x\r\n{old}\r\n{new}\r\n");
        assert_eq!(damage(&log), [old, new]);
    }
}
