//! The history as it is configured.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{DEFAULT_FILE, RawConfig, RawHistory, read_text, within};
use crate::history::{DEFAULT_FOLDER, Retention};

/// How large its file may become, in MiB.
const SIZES_MIB: RangeInclusive<u64> = 16..=1 << 20;

/// The folder that is written in the default file, without what else that means: names of hosts in it are
/// not looked up. The usual one if there is no such file, or nothing can be made of it.
pub fn history_folder() -> PathBuf {
    let text = read_text(Path::new(DEFAULT_FILE)).unwrap_or_default();
    let raw: RawConfig = toml::from_str(&text).unwrap_or_default();
    match &*raw.history.folder {
        "" => DEFAULT_FOLDER.into(),
        folder => folder.into(),
    }
}

/// The history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryConfig {
    /// Where its file is.
    pub folder: PathBuf,
    /// How much is kept.
    pub retention: Retention,
}

impl HistoryConfig {
    /// What is written of it; `None` if there is to be none, and a key and a sentence if it makes no sense.
    pub(super) fn read(raw: &RawHistory) -> Result<Option<Self>, (String, String)> {
        const DAY: Duration = Duration::from_hours(24);
        let refused =
            |key: &'static str| move |message: String| (format!("history.{key}"), message);
        let seconds = within(raw.seconds, Duration::from_mins(1)..=DAY);
        let minutes = within(raw.minutes, Duration::from_hours(1)..=90 * DAY);
        let hours = within(raw.hours, DAY..=1_000 * DAY);
        let spans = [
            seconds.map_err(refused("seconds"))?,
            minutes.map_err(refused("minutes"))?,
            hours.map_err(refused("hours"))?,
        ];
        if !SIZES_MIB.contains(&raw.size_mib) {
            let (least, most) = (SIZES_MIB.start(), SIZES_MIB.end());
            let message = format!("{} is not from {least} to {most}", raw.size_mib);
            return Err(refused("size_mib")(message));
        }
        if raw.folder.is_empty() {
            return Ok(None);
        }
        let folder = PathBuf::from(&raw.folder);
        if !folder.is_absolute() {
            let message = format!("`{}` is not the whole path of a folder", raw.folder);
            return Err(refused("folder")(message));
        }
        Ok(Some(Self {
            folder,
            retention: Retention {
                spans,
                size_bytes: raw.size_mib << 20,
            },
        }))
    }
}
