//! Where what is reported comes from: this host, or a recording of one.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueHint};
use hostler_daemon::Start;

const AT_LONG_HELP: &str = "\
Begin at this time of the recording, as +90s after its beginning or as 2026-11-26T14:03:00Z

A time of day is in UTC; '2026-11-26 14:03' is one, too. What is reported begins with the first reading \
at that time or later, and ends after --duration or with the recording.";

/// Where what is reported comes from.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Recordings")]
pub(crate) struct SourceArgs {
    /// Read a recording instead of this host
    #[arg(long, value_name = "RECORDING", value_hint = ValueHint::FilePath)]
    pub(crate) from: Option<PathBuf>,
    /// Where to begin in it.
    #[command(flatten)]
    pub(crate) part: PartArgs,
    /// Also write all that is read into a new recording
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "from")]
    pub(crate) record: Option<PathBuf>,
}

/// Which part of a recording is read, and how.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PartArgs {
    /// Begin at this time of the recording, as +90s after its beginning or as 2026-11-26T14:03:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_start, long_help = AT_LONG_HELP,
          allow_hyphen_values = true)]
    pub(crate) at: Option<Start>,
    /// Read a recording that was cut or damaged up to there
    #[arg(long)]
    pub(crate) lenient: bool,
}

impl SourceArgs {
    /// What is typed but belongs to recordings only, or to this host only.
    pub(super) fn contradiction(&self, of_host: &[(&str, bool)]) -> Option<String> {
        if self.from.is_some() {
            let typed = of_host.iter().find(|(_, is_typed)| *is_typed);
            return typed.map(|(option, _)| {
                format!("'{option}' says how to measure, and a recording was measured already")
            });
        }
        let of_recordings = [
            ("--at", self.part.at.is_some()),
            ("--lenient", self.part.lenient),
        ];
        let typed = of_recordings.iter().find(|(_, is_typed)| *is_typed);
        typed.map(|(option, _)| {
            format!("'{option}' is about a recording: name it with '--from RECORDING'")
        })
    }
}

fn parse_start(text: &str) -> Result<Start, String> {
    let text = text.trim();
    if let Some(after) = text.strip_prefix('+') {
        return match humantime::parse_duration(after) {
            Ok(after) => Ok(Start::After(after)),
            Err(_) => Err("not a time after the beginning; write for example +1m30s".to_owned()),
        };
    }
    let at = time_of_day(text)
        .ok_or("not a time; write for example +90s, 2026-11-26T14:03:00Z or '2026-11-26 14:03'")?;
    Ok(Start::At(at))
}

/// A time of day in UTC, in ms since 1970.
pub(super) fn parse_time_of_day(text: &str) -> Result<u64, String> {
    let refused = "not a time; write for example 2026-11-26T14:03:00Z or '2026-11-26 14:03'";
    time_of_day(text.trim()).ok_or_else(|| refused.to_owned())
}

fn time_of_day(text: &str) -> Option<u64> {
    let (time, zone) = match text.strip_suffix('Z') {
        Some(time) => (time, "Z"),
        None => (text, ""),
    };
    let seconds = if time.matches(':').count() == 1 {
        ":00"
    } else {
        ""
    };
    let time = humantime::parse_rfc3339_weak(&format!("{time}{seconds}{zone}")).ok()?;
    let since_1970 = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since_1970.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_recording_is_a_time_after_its_beginning_or_a_time_of_day() {
        assert_eq!(
            parse_start("+1m30s"),
            Ok(Start::After(Duration::from_secs(90)))
        );
        let of_day = Ok(Start::At(1_764_165_780_000));
        assert_eq!(parse_start("2025-11-26T14:03:00Z"), of_day);
        assert_eq!(parse_start("2025-11-26 14:03"), of_day);
        assert_eq!(parse_start("2025-11-26T14:03Z"), of_day);
        assert_eq!(parse_start(" 2025-11-26 14:03:00 "), of_day);
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_to_write_instead() {
        for text in ["14:03", "90s", "+90", "", "+", "yesterday"] {
            let refusal = parse_start(text).expect_err("it is no time");
            assert!(refusal.contains("write for example +"), "{refusal}");
        }
    }
}
