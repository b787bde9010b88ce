//! Debian packages from the machine's own apt sources, without touching the machine's apt.
//!
//! A throw-away configuration names other suites of the same archive, with the same keys; apt
//! verifies the signatures as ever. Packages are unpacked, never installed.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::sources::{Machine, Source};

/// Debian's archive with the lists of the suites asked for.
pub(super) struct Apt {
    scratch: TempDir,
}

impl Apt {
    /// Finds Debian's archive among the machine's sources and fetches the lists of `suites`.
    /// Everything is kept in a scratch directory below `cache`.
    pub(super) fn open(cache: &Path, suites: &[String]) -> Result<Self> {
        let machine = Machine::read()?;
        let mut reasons = Vec::new();
        for source in &machine.archives {
            let apt = Self {
                scratch: super::cache::scratch_dir(cache)?,
            };
            apt.write_configuration(&machine, source, suites)?;
            match apt.update() {
                Ok(()) => return Ok(apt),
                Err(error) => reasons.push(format!("{}: {error:#}", source.uri)),
            }
        }
        ensure!(
            !reasons.is_empty(),
            "this machine has no apt sources that could be Debian's (component main)"
        );
        bail!(
            "none of the machine's apt sources gave Debian's lists: {}",
            reasons.join("; ")
        )
    }

    /// The packages of an archive whose name satisfies `wanted`, newest last.
    pub(super) fn packages(&self, prefix: &str, wanted: fn(&str) -> bool) -> Result<Vec<String>> {
        let output = self.run("apt-cache", &["pkgnames", prefix])?;
        let names = String::from_utf8_lossy(&output.stdout);
        let mut names: Vec<String> = names
            .lines()
            .filter(|name| wanted(name))
            .map(str::to_owned)
            .collect();
        names.sort_by(|left, right| compare_versions(left, right));
        Ok(names)
    }

    /// Unpacks `package` alone below `into`.
    pub(super) fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        let archives = self.archives()?;
        self.run("apt-get", &["download", package])?;
        unpack_all(&archives, into)
    }

    /// Unpacks `packages` and whatever they depend on that this machine lacks, preferring `suite`.
    pub(super) fn unpack_runnable(
        &self,
        packages: &[&str],
        suite: &str,
        into: &Path,
    ) -> Result<()> {
        let archives = self.archives()?;
        let options = [
            "install",
            "--download-only",
            "--reinstall",
            "--no-install-recommends",
        ];
        let arguments = [
            &options[..],
            &["--yes", "--target-release", suite],
            packages,
        ]
        .concat();
        self.run("apt-get", &arguments)?;
        unpack_all(&archives, into)
    }

    fn update(&self) -> Result<()> {
        let output = self.run("apt-get", &["update"]);
        // One missing suite fails the update; the others' lists are there all the same.
        let debian = fs::read_dir(self.path("lists"))?
            .filter_map(Result::ok)
            .any(|list| {
                list.file_name().to_string_lossy().ends_with("_InRelease")
                    && fs::read_to_string(list.path())
                        .is_ok_and(|release| release.lines().any(|line| line == "Origin: Debian"))
            });
        if debian {
            return Ok(());
        }
        let output = output?;
        bail!("no signed release of Debian came{}", messages(&output));
    }

    /// The directory apt downloads to, emptied.
    fn archives(&self) -> Result<PathBuf> {
        let archives = self.path("cache/archives");
        if archives.exists() {
            fs::remove_dir_all(&archives).context("emptying apt's download directory")?;
        }
        fs::create_dir_all(archives.join("partial")).context("making apt's download directory")?;
        Ok(archives)
    }

    fn write_configuration(
        &self,
        machine: &Machine,
        source: &Source,
        suites: &[String],
    ) -> Result<()> {
        for directory in ["lists/partial", "sources", "cache/archives/partial"] {
            fs::create_dir_all(self.path(directory))
                .with_context(|| format!("making {directory} for apt"))?;
        }
        let stanzas: String = suites
            .iter()
            .map(|suite| source.stanza_for(suite))
            .collect();
        fs::write(self.path("sources/archive.sources"), stanzas)
            .context("writing apt's sources")?;
        fs::write(self.path("apt.conf"), self.configuration(machine))
            .context("writing apt's configuration")
    }

    /// The machine's settings for downloads (proxies and the like) and none of its pins and
    /// hooks. The sandbox user is off because it could not reach a directory of ours; signatures
    /// are verified all the same.
    fn configuration(&self, machine: &Machine) -> String {
        let scratch = self.scratch.path().display();
        format!(
            "{}\
             Dir::Etc::main \"/dev/null\";\n\
             Dir::Etc::parts \"/dev/null\";\n\
             Dir::Etc::sourcelist \"/dev/null\";\n\
             Dir::Etc::sourceparts \"{scratch}/sources\";\n\
             Dir::Etc::preferences \"/dev/null\";\n\
             Dir::Etc::preferencesparts \"/dev/null\";\n\
             Dir::State::lists \"{scratch}/lists\";\n\
             Dir::Cache \"{scratch}/cache\";\n\
             APT::Sandbox::User \"root\";\n\
             APT::Get::List-Cleanup \"false\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Acquire::http::Timeout \"30\";\n\
             Debug::NoLocking \"true\";\n",
            machine.download_settings
        )
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("APT_CONFIG", self.path("apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .current_dir(self.path("cache/archives"));
        run(&mut command)
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.scratch.path().join(relative)
    }
}

fn unpack_all(archives: &Path, into: &Path) -> Result<()> {
    let mut unpacked = 0;
    for entry in fs::read_dir(archives).context("reading apt's download directory")? {
        let package = entry?.path();
        if package
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            run(Command::new("dpkg").arg("-x").arg(&package).arg(into))?;
            fs::remove_file(&package).with_context(|| format!("removing {}", package.display()))?;
            unpacked += 1;
        }
    }
    ensure!(unpacked > 0, "apt downloaded no package");
    Ok(())
}

/// Runs one of apt's programs; an error has what it said.
pub(super) fn run(command: &mut Command) -> Result<Output> {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .with_context(|| format!("starting {shown}"))?;
    ensure!(
        output.status.success(),
        "{shown} failed{}",
        messages(&output)
    );
    Ok(output)
}

/// What apt had to say, for an error message.
fn messages(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().flat_map(|line| ["\n  ", line]).collect()
}

/// Orders names as versions are: runs of digits by their value.
fn compare_versions(left: &str, right: &str) -> Ordering {
    version_key(left).cmp(&version_key(right))
}

fn version_key(name: &str) -> Vec<(u64, String)> {
    let mut key = vec![(0, String::new())];
    for character in name.chars() {
        let (number, text) = key.last_mut().expect("the key is never empty");
        match character.to_digit(10) {
            Some(digit) if text.is_empty() => *number = *number * 10 + u64::from(digit),
            Some(digit) => key.push((u64::from(digit), String::new())),
            None => text.push(character),
        }
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_the_value_of_their_numbers() {
        let mut names = [
            "linux-image-6.12.90+deb12.1-amd64",
            "linux-image-6.12.9+deb12-amd64",
            "linux-image-6.12.90+deb12-amd64",
            "linux-image-6.12.100+deb12-amd64",
        ];
        names.sort_by(|left, right| compare_versions(left, right));
        let expected = [
            "linux-image-6.12.9+deb12-amd64",
            "linux-image-6.12.90+deb12-amd64",
            "linux-image-6.12.90+deb12.1-amd64",
            "linux-image-6.12.100+deb12-amd64",
        ];
        assert_eq!(names, expected);
    }
}
