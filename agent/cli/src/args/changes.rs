//! The options of `hostler journal` and `hostler undo`: what was changed on this host, and back.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use hostler_daemon::config::journal_file;

const JOURNAL_EXAMPLES: &str = "\
Examples:
  hostler journal                          the last steps, and those in force
  hostler journal --limit 1000
  hostler journal --json | jq 'select(.in_force)'";

pub(super) const JOURNAL_HELP: &str = "\
Show what Hostler has changed on this host, why, and what became of it

A daemon whose `plan.mode` is `act` writes down each step before it takes it, so that it can be taken \
back whatever happens. This reads that file, also while the daemon runs. A step is in force until it is \
taken back, which it is when it does not help, when Hostler ends, and when somebody asks for it.";

const UNDO_EXAMPLES: &str = "\
Examples:
  hostler undo --all                 all that is in force
  hostler undo 17 18                 two steps
  kill -USR1 $(pidof hostler)        all, while the daemon runs";

pub(super) const UNDO_HELP: &str = "\
Take back what Hostler has changed on this host, where no daemon does it

A daemon takes back what it has changed when it ends, and what one that was killed has left when it \
starts. This does the same without one. Whatever somebody else has set meanwhile is left to them. While a \
daemon runs that acts, the journal is its own: SIGUSR1 makes it take all back.";

/// Which journal.
#[derive(Args, Clone, Debug)]
pub(crate) struct JournalFileArgs {
    /// The journal; if not given, that of /etc/hostler/hostler.toml, or /var/lib/hostler/journal
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    journal: Option<PathBuf>,
}

impl JournalFileArgs {
    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.journal.clone().unwrap_or_else(journal_file)
    }
}

/// What of the journal to show.
#[derive(Args, Debug)]
#[command(after_long_help = JOURNAL_EXAMPLES)]
pub(crate) struct JournalArgs {
    /// Which one.
    #[command(flatten)]
    pub(crate) file: JournalFileArgs,
    /// So many of the last steps that were taken back; those in force are shown in any case
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// One JSON object for each step
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to take back.
#[derive(Args, Debug)]
#[command(after_long_help = UNDO_EXAMPLES)]
pub(crate) struct UndoArgs {
    /// Which one.
    #[command(flatten)]
    pub(crate) file: JournalFileArgs,
    /// The numbers of steps
    #[arg(
        value_name = "STEP",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(crate) steps: Vec<u64>,
    /// All that are in force
    #[arg(long)]
    pub(crate) all: bool,
}
