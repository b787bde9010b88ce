//! What can keep the kernel programs from being built.

use std::{io, path::PathBuf, process::ExitStatus};

/// Why the kernel programs could not be built, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No compiler of the known kinds is complete.
    #[error(
        "no complete Rust compiler for the BPF target was found:\n{}\nTo mend it, run: {mend}",
        .findings.iter().map(|finding| format!("  - {finding}")).collect::<Vec<_>>().join("\n")
    )]
    NoCompiler {
        /// What was looked at, and what it lacks.
        findings: Vec<String>,
        /// The one command that completes one of them.
        mend: &'static str,
    },
    /// There is a compiler, but nothing to link with.
    #[error("bpf-linker was not found in PATH or in cargo's bin folder. To mend it, run: {mend}")]
    NoLinker {
        /// The one command that installs it.
        mend: &'static str,
    },
    /// A program could not be started.
    #[error("{program} could not be started: {source}")]
    Start {
        /// What was to be run.
        program: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// The compiler ran and failed; its output says why.
    #[error("building the kernel programs failed ({status}) with {toolchain}")]
    Compile {
        /// How cargo ended.
        status: ExitStatus,
        /// The compiler used.
        toolchain: String,
    },
}
