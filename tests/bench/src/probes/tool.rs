//! The tools that are compared, and how each is started so that it prints nothing meanwhile.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use super::programs::ProgramRuns;

/// Longer than any measurement, in seconds: reports come when the tool is stopped.
const LONG: &str = "600";

/// Places beside `PATH` where distributions put tools for root.
const ROOTS_FOLDERS: [&str; 2] = ["/usr/sbin", "/sbin"];

/// A tool, in one way of running it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tool {
    /// `hostler trace runq --group-by cpu`: all that is always counted, and the view per CPU
    HostlerCpus,
    /// `hostler trace runq --by preemptor`: all that is always counted, and who made whom wait
    HostlerPairs,
    /// runqlat of libbpf-tools
    Runqlat,
    /// runqlat of libbpf-tools, a histogram for each process
    RunqlatPids,
    /// cpudist of libbpf-tools
    Cpudist,
    /// bpftrace's runqlat.bt
    Bpftrace,
}

impl Tool {
    pub(crate) const ALL: [Self; 6] = [
        Self::HostlerCpus,
        Self::HostlerPairs,
        Self::Runqlat,
        Self::RunqlatPids,
        Self::Cpudist,
        Self::Bpftrace,
    ];

    /// What all others are compared with.
    pub(crate) const REFERENCE: Self = Self::Runqlat;

    /// What a report calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::HostlerCpus => "hostler --group-by cpu",
            Self::HostlerPairs => "hostler --by preemptor",
            Self::Runqlat => "runqlat",
            Self::RunqlatPids => "runqlat -P",
            Self::Cpudist => "cpudist",
            Self::Bpftrace => "bpftrace runqlat.bt",
        }
    }

    pub(crate) fn is_hostler(self) -> bool {
        matches!(self, Self::HostlerCpus | Self::HostlerPairs)
    }

    /// Whether a program counts: Hostler also follows threads and cgroups, which costs nothing at a
    /// switch; all of the peers' programs are there for the scheduler.
    pub(crate) fn counts(self, program: &ProgramRuns) -> bool {
        !self.is_hostler() || program.name.starts_with("sched_")
    }
}

/// Where the tools are.
pub(crate) struct Tools {
    hostler: PathBuf,
}

impl Tools {
    /// Takes `hostler` from where it is said to be, or from beside this program.
    pub(crate) fn find(hostler: Option<PathBuf>) -> Result<Self> {
        let beside = || Ok::<_, std::io::Error>(env::current_exe()?.with_file_name("hostler"));
        let hostler = hostler.map_or_else(beside, Ok)?;
        ensure!(
            hostler.is_file(),
            "{} is not there; `cargo xtask bench` builds it",
            hostler.display()
        );
        Ok(Self { hostler })
    }

    /// The command that starts a tool, or why that can't be.
    pub(crate) fn words(&self, tool: Tool) -> Result<Vec<String>> {
        let duration = format!("{LONG}s");
        let hostler = self.hostler.display().to_string();
        let runq = [&hostler, "trace", "runq", "--duration", &duration];
        Ok(match tool {
            Tool::HostlerPairs => owned(&[&runq[..], &["--by", "preemptor"]].concat()),
            Tool::HostlerCpus => owned(&[&runq[..], &["--group-by", "cpu"]].concat()),
            Tool::Runqlat => owned(&[&libbpf_tool("runqlat")?, LONG, "1"]),
            Tool::RunqlatPids => owned(&[&libbpf_tool("runqlat")?, "-P", LONG, "1"]),
            Tool::Cpudist => owned(&[&libbpf_tool("cpudist")?, LONG, "1"]),
            Tool::Bpftrace => bpftrace()?,
        })
    }
}

/// A tool of libbpf-tools, under Debian's or Fedora's name.
fn libbpf_tool(name: &str) -> Result<String> {
    installed(name)
        .or_else(|| installed(&format!("bpf-{name}")))
        .with_context(|| format!("{name} of libbpf-tools is not installed; {INSTALL}"))
}

const INSTALL: &str = "to install it, run: scripts/setup --bench";

/// Mounts tracefs, and becomes the command that follows.
const MOUNT: &str = r#"mount -t tracefs tracefs /sys/kernel/tracing && exec "$@""#;

fn bpftrace() -> Result<Vec<String>> {
    let program =
        installed("bpftrace").with_context(|| format!("bpftrace is not installed; {INSTALL}"))?;
    let script = installed("runqlat.bt").context("bpftrace came without its runqlat.bt")?;
    let text = fs::read_to_string(&script).with_context(|| format!("reading {script}"))?;
    let bpftrace = [program, "-e".to_owned(), without_headers(&text)];
    if Path::new("/sys/kernel/tracing/events/sched").exists() {
        return Ok(bpftrace.to_vec());
    }
    // It reads the tracepoints' formats. They are mounted where nobody else sees it.
    let mut words = owned(&["unshare", "--mount", "sh", "-c", MOUNT, "sh"]);
    words.extend(bpftrace);
    Ok(words)
}

/// Older versions of the script take one constant from the kernel's headers, which are rarely
/// installed, and which newer versions do without.
fn without_headers(script: &str) -> String {
    const HEADER: &str = "#include <linux/sched.h>";
    if script.contains("BPFTRACE_HAVE_BTF") {
        return script.to_owned();
    }
    script.replace(HEADER, "#define TASK_RUNNING 0")
}

fn installed(name: &str) -> Option<String> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(ROOTS_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .map(|file| file.display().to_string())
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str) -> ProgramRuns {
        ProgramRuns {
            id: 1,
            name: name.to_owned(),
            runs: 1,
            run_time_ns: 1,
        }
    }

    #[test]
    fn all_of_a_peers_programs_count_and_hostlers_on_the_scheduler() {
        assert!(Tool::HostlerPairs.counts(&program("sched_wakeup_ne")));
        assert!(!Tool::HostlerPairs.counts(&program("task_newtask")));
        assert!(Tool::Runqlat.counts(&program("handle_switch")));
    }

    #[test]
    fn a_script_that_wants_kernel_headers_is_given_the_constant_instead() {
        let old = "#include <linux/sched.h>\nBEGIN {}";
        assert_eq!(without_headers(old), "#define TASK_RUNNING 0\nBEGIN {}");
        let new = "#ifndef BPFTRACE_HAVE_BTF\n#include <linux/sched.h>\n#endif";
        assert_eq!(without_headers(new), new);
    }
}
