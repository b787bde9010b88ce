//! The guest's console log: where it goes, and what is kept of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result};

use super::cache;

/// How much of a dead guest's console is shown.
const SHOWN_LINES: usize = 30;

/// How much of that is what came before the kernel's report of damage.
const LINES_BEFORE_REPORT: usize = 10;

const REPORTS: [&str; 4] = ["Kernel panic - ", "BUG: ", "Oops: ", "WARNING: CPU: "];

/// The whole log at `path`.
pub(super) fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The telling lines of a log, indented: those around the kernel's first report of damage, since
/// what follows that is mostly stack traces; without one, the last lines.
pub(super) fn excerpt(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.len().saturating_sub(SHOWN_LINES);
    let first = lines.iter().position(is_damage).map_or(last, |report| {
        report.saturating_sub(LINES_BEFORE_REPORT).min(last)
    });
    let shown = lines[first..].iter().take(SHOWN_LINES);
    shown
        .flat_map(|line| ["  | ", line.trim_end(), "\n"])
        .collect()
}

/// The lines of a log by which the kernel reports damage, also such that it survives.
pub(super) fn damage(log: &str) -> Vec<String> {
    let lines = log.lines().filter(is_damage);
    lines.map(|line| line.trim_end().to_owned()).collect()
}

fn is_damage(line: &&str) -> bool {
    REPORTS.iter().any(|report| line.contains(report))
}

/// Copies the log at `path` to where it outlives this run.
pub(super) fn keep(path: &Path, attempt: usize) -> Result<PathBuf> {
    let directory = cache::root()?.join("consoles");
    fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    let kept = directory.join(format!("{}-{attempt}.log", process::id()));
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
    fn a_panic_is_shown_with_what_came_before_it() {
        let log = numbered(20) + "Kernel panic - not syncing\n" + &numbered(40);
        let shown = excerpt(&log);
        assert_eq!(shown.lines().next(), Some("  | line 11"));
        assert_eq!(
            shown.lines().nth(10),
            Some("  | Kernel panic - not syncing")
        );
        assert_eq!(shown.lines().count(), SHOWN_LINES);
    }

    #[test]
    fn a_warning_is_damage_and_a_lower_word_is_none() {
        let log = "[    0.1] warning: x\r\n[    2.0] WARNING: CPU: 1 PID: 3 at kernel/bpf/x.c\r\n";
        assert_eq!(
            damage(log),
            ["[    2.0] WARNING: CPU: 1 PID: 3 at kernel/bpf/x.c"]
        );
    }
}
