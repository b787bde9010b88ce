//! Planning as it is configured.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use hostler_decide::plan::Policy;

use super::{
    DEFAULT_FILE, RawConfig,
    raw::{PlanMode, RawPlan},
    read_text, within,
};

/// Planning.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanConfig {
    /// Time between two plans.
    pub interval: Duration,
    /// Who is left alone.
    pub policy: Policy,
    /// Whether plans are carried out.
    pub acts: bool,
}

impl PlanConfig {
    /// What is written of it; `None` if nothing is to be planned, and a key and a sentence if it makes no
    /// sense.
    pub(super) fn read(raw: &RawConfig) -> Result<Option<Self>, (String, String)> {
        let RawPlan {
            mode,
            interval,
            leave,
            journal: _,
        } = &raw.plan;
        let refused = |key: &'static str| move |message: String| (format!("plan.{key}"), message);
        let interval = within(*interval, Duration::from_secs(10)..=Duration::from_hours(1));
        let interval = interval.map_err(refused("interval"))?;
        let opted_out: Result<_, String> = leave.iter().map(|pattern| pattern.parse()).collect();
        let opted_out = opted_out.map_err(refused("leave"))?;
        match mode {
            PlanMode::Observe => Ok(None),
            PlanMode::Advise | PlanMode::Act if !raw.signals.placement => {
                let message = "plans have nothing to go by without `signals.placement`";
                Err(refused("mode")(message.to_owned()))
            }
            PlanMode::Advise | PlanMode::Act => Ok(Some(Self {
                interval,
                policy: Policy {
                    opted_out,
                    ..Policy::default()
                },
                acts: *mode == PlanMode::Act,
            })),
        }
    }
}

/// Where the journal of changes is; a key and a sentence if it makes no sense.
pub(super) fn read_journal(raw: &RawPlan) -> Result<PathBuf, (String, String)> {
    let journal = PathBuf::from(&raw.journal);
    if !journal.is_absolute() || journal.file_name().is_none() {
        let message = format!("`{}` is not the whole path of a file", raw.journal);
        return Err(("plan.journal".to_owned(), message));
    }
    Ok(journal)
}

/// The journal that is written in the default file, without what else that means. The usual one if there is
/// no such file, or nothing can be made of it.
pub fn journal_file() -> PathBuf {
    let text = read_text(Path::new(DEFAULT_FILE)).unwrap_or_default();
    let raw: RawConfig = toml::from_str(&text).unwrap_or_default();
    raw.plan.journal.into()
}
