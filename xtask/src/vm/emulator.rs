//! Which QEMU there is, and how to start it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::store::{installed, library_path};

/// A QEMU that can be started.
#[derive(Debug)]
pub(super) struct Emulator {
    program: PathBuf,
    /// Where an unpacked package is; an installed one finds its parts by itself.
    root: Option<PathBuf>,
    pub(super) major_version: u32,
}

impl Emulator {
    /// QEMU from packages unpacked below `root`.
    pub(super) fn unpacked(root: &Path) -> Result<Self> {
        Self::probe(
            root.join("usr/bin/qemu-system-x86_64"),
            Some(root.to_owned()),
        )
    }

    pub(super) fn on_machine(program: &Path) -> Result<Self> {
        Self::probe(program.to_owned(), None)
    }

    fn probe(program: PathBuf, root: Option<PathBuf>) -> Result<Self> {
        let mut emulator = Self {
            program,
            root,
            major_version: 0,
        };
        let mut version = emulator.command();
        version.arg("--version");
        let output = version
            .output()
            .with_context(|| format!("starting {version:?}"))?;
        let messages = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{version:?} failed: {}",
            messages.trim()
        );
        emulator.major_version = major_version(&String::from_utf8_lossy(&output.stdout))
            .with_context(|| format!("{version:?} told no version"))?;
        Ok(emulator)
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "{} (version {})",
            self.program.display(),
            self.major_version
        )
    }

    /// The program with what it needs to find its parts, but without a machine.
    pub(super) fn command(&self) -> Command {
        // The kernel ends the emulator with us even if we get no chance to do it.
        let mut command = match installed("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command
                    .args(["--pdeathsig", "KILL", "--"])
                    .arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        if let Some(root) = &self.root {
            command.env("LD_LIBRARY_PATH", library_path(root));
            command.env(
                "QEMU_MODULE_DIR",
                root.join("usr/lib/x86_64-linux-gnu/qemu"),
            );
            for firmware in ["usr/share/qemu", "usr/share/seabios"] {
                command.arg("-L").arg(root.join(firmware));
            }
        }
        command
    }
}

fn major_version(text: &str) -> Option<u32> {
    text.split_once("version ")?
        .1
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
impl Emulator {
    /// One that is never started.
    pub(super) fn of_version(major_version: u32) -> Self {
        Self {
            program: PathBuf::from("qemu"),
            root: None,
            major_version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_qemu_prints() {
        let text = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright";
        assert_eq!(major_version(text), Some(10));
    }
}
