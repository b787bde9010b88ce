//! What can keep Hostler from observing.

use std::{fmt, io, path::PathBuf};

/// Why the host can't be observed, with what to do about it in [`ObserveError::hint`].
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The kernel is older than the oldest that the programs are made for.
    #[error("this kernel is {found}, and Hostler needs Linux {needed} or newer")]
    KernelTooOld {
        /// The running kernel's release.
        found: String,
        /// The oldest release that works.
        needed: &'static str,
    },
    /// The process lacks capabilities.
    #[error("Hostler may not load programs into the kernel: it lacks {}", .missing.join(" and "))]
    MissingCapability {
        /// Names of the capabilities that are missing.
        missing: Vec<&'static str>,
    },
    /// The kernel does not describe its types.
    #[error("this kernel offers no BTF at {}", .path.display())]
    NoBtf {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The BTF is there but can't be read.
    #[error("the kernel's BTF can't be read: {source}")]
    BtfUnreadable {
        /// Why.
        source: libbpf_rs::Error,
    },
    /// A kernel type or field that the programs read is not there.
    #[error("this kernel has no field {type_name}.{field}, which the scheduler programs read")]
    NoField {
        /// The C struct.
        type_name: &'static str,
        /// Its member.
        field: &'static str,
    },
    /// No v2 cgroup hierarchy is mounted.
    #[error("no cgroup v2 hierarchy is mounted, so agents can't be told apart")]
    NoCgroupV2,
    /// The kernel refused a program or a map.
    #[error("the kernel refused {what}: {reason}")]
    Refused {
        /// The program, map or attachment.
        what: String,
        /// What the kernel said.
        reason: String,
    },
    /// The verifier refused a program. Shown is the end of its log, where the reason stands.
    #[error("the kernel refused program {program}: {reason}\n{}", end_of(.log))]
    Unverified {
        /// The program.
        program: String,
        /// What the system call came to.
        reason: io::Error,
        /// The verifier's whole log.
        log: String,
    },
    /// A file of the host can't be read.
    #[error("{} can't be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ObserveError {
    /// What the user can do about it, in a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::KernelTooOld { .. } => "Run it on a newer kernel, or try it in a guest.",
            Self::MissingCapability { .. } => {
                "Run it as root, or grant CAP_BPF and CAP_PERFMON; in a container they must be \
                 added to its security context."
            }
            Self::NoBtf { .. } | Self::BtfUnreadable { .. } => {
                "Use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as all current distributions' are."
            }
            Self::NoField { .. } => {
                "This kernel is laid out in an unknown way: please report its release."
            }
            Self::NoCgroupV2 => {
                "Mount it with: mount -t cgroup2 none /sys/fs/cgroup (or boot with \
                 systemd.unified_cgroup_hierarchy=1)."
            }
            Self::Refused { .. } | Self::Unverified { .. } => {
                "If this mentions permissions, the kernel may be locked down or the container \
                 confined; otherwise please report it with the text above."
            }
            Self::Read { .. } => "Check that /proc and /sys are mounted and readable.",
        }
    }

    pub(crate) fn refused(what: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::Refused {
            what: what.into(),
            reason: format!("{reason}"),
        }
    }

    pub(crate) fn read(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Read {
            path: path.into(),
            source,
        }
    }
}

/// Lines of the verifier's log that an error shows.
const LOG_LINES: usize = 12;

fn end_of(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
