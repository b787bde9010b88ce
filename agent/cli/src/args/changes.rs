//! The options of `hostler journal` and `hostler undo`: what was changed on this host, and back.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueHint};
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
  hostler undo 17 18                 two steps, and leave their agents alone
  kill -USR1 $(pidof hostler)        all, also where the daemon answers nobody";

pub(super) const UNDO_HELP: &str = "\
Take back what Hostler has changed on this host

A daemon that runs does it, and changes nothing more after `--all` until `hostler resume`; agents whose \
steps are named are left alone from then on. It takes back what it has changed when it ends, too, and when \
it starts what one that was killed has left. Where none runs, this does the same without one. Whatever \
somebody else has set meanwhile is left to them.";

pub(super) const PAUSE_EXAMPLES: &str = "\
Examples:
  hostler pause && hostler status    what is in force meanwhile";

pub(super) const RESUME_EXAMPLES: &str = "\
Examples:
  hostler resume                     go on as plans want it";

pub(super) const PAUSE_HELP: &str = "\
Make the daemon change nothing more on this host, until it is resumed

What is in force stays in force: `hostler undo` takes it back. A reload of the configuration, or a restart, \
lets changes begin again as `hostler resume` does.";

/// Which journal.
#[derive(Args, Clone, Debug)]
pub(crate) struct JournalFileArgs {
    /// The journal; if not given, that of /etc/hostler/hostler.toml, or /var/lib/hostler/journal
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    journal: Option<PathBuf>,
}

impl JournalFileArgs {
    /// Whether another one is meant than the daemon's.
    pub(crate) fn is_named(&self) -> bool {
        self.journal.is_some()
    }

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
#[command(after_long_help = UNDO_EXAMPLES, group = ArgGroup::new("which").required(true))]
pub(crate) struct UndoArgs {
    /// Which one.
    #[command(flatten)]
    pub(crate) file: JournalFileArgs,
    /// The numbers of steps
    #[arg(value_name = "STEP", group = "which")]
    pub(crate) steps: Vec<u64>,
    /// All that are in force
    #[arg(long, group = "which")]
    pub(crate) all: bool,
}
