//! What a host allows: signals, effects, and what they cost.

use serde::{Serialize, Serializer};

/// What Hostler can measure and change on this host.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(tag = "report", rename = "doctor")]
pub(crate) struct DoctorReport {
    /// Facts about the host: their names and values.
    #[serde(serialize_with = "facts")]
    pub(crate) host: Vec<(String, String)>,
    /// Each signal and its source.
    pub(crate) signals: Vec<SignalRow>,
    /// What can be changed, and by what.
    pub(crate) effects: Vec<EffectRow>,
    /// Kernel memory.
    pub(crate) maps: Vec<MapRow>,
    /// Programs in the kernel and what they cost.
    pub(crate) programs: Vec<ProgramRow>,
    /// What Hostler can't see or tell apart here: one sentence each.
    pub(crate) limits: Vec<String>,
}

/// A signal and where it comes from.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct SignalRow {
    /// The signal's name.
    pub(crate) signal: String,
    /// The source in use; `None` if the signal can't be had.
    pub(crate) in_use: Option<String>,
    /// Better sources, and why each is not used.
    #[serde(serialize_with = "better_sources")]
    pub(crate) better: Vec<(String, String)>,
    /// What else there is to know; may be empty.
    pub(crate) note: String,
}

/// Something that can be changed, and how that is done.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct EffectRow {
    /// What is changed.
    pub(crate) effect: String,
    /// How; `None` if it is not done here.
    pub(crate) in_use: Option<String>,
    /// Other ways, and why each is not taken.
    #[serde(serialize_with = "better_sources")]
    pub(crate) better: Vec<(String, String)>,
    /// What else there is to know; may be empty.
    pub(crate) note: String,
}

/// A map in the kernel.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct MapRow {
    /// Its name.
    pub(crate) name: String,
    /// Its type, such as `array`.
    pub(crate) kind: String,
    /// How many elements it can hold.
    pub(crate) entries: u64,
    /// The memory it takes; `None` if the kernel does not say.
    pub(crate) bytes: Option<u64>,
}

/// A program in the kernel.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ProgramRow {
    /// Its name.
    pub(crate) name: String,
    /// What makes it run, such as `tp_btf/sched_switch`.
    pub(crate) hook: String,
    /// How often it ran while statistics were on.
    pub(crate) runs: u64,
    /// What one run took on average; `None` if it never ran or the kernel does not say.
    pub(crate) nanoseconds_per_run: Option<f64>,
    /// Instructions that the verifier went through; `None` if the kernel does not say.
    pub(crate) instructions: Option<u32>,
    /// The memory its code takes.
    pub(crate) bytes: u64,
}

/// Facts as one object: the facts' names are its keys.
fn facts<S: Serializer>(facts: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(facts.iter().map(|(name, value)| (name, value)))
}

/// Sources as objects that say what is what.
fn better_sources<S: Serializer>(
    sources: &[(String, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Better<'a> {
        source: &'a str,
        why_not: &'a str,
    }
    serializer.collect_seq(
        sources
            .iter()
            .map(|(source, why_not)| Better { source, why_not }),
    )
}
