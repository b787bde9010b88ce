//! `cargo xtask vm`: a command in a guest with another kernel and another shape.

mod apt;
mod cache;
mod command;
mod console;
mod cpio;
mod emulator;
mod guest;
mod image;
mod initramfs;
mod interrupt;
mod kernel;
mod modules;
mod qemu;
mod run;
mod sources;
mod store;
mod stream;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};

/// What `timeout` and `env` use for a failure of their own, which no usual command returns.
const GUEST_FAILED: u8 = 125;

const AFTER_HELP: &str = "\
The guest is emulated: it needs neither KVM nor root. It sees the host's files read-only, below a \
writable overlay in RAM that ends with it, and starts the command as root in the same working \
directory, with HOSTLER_GUEST=1 and no network but loopback. It has cgroup v2 with all \
controllers; tracefs and bpffs are not mounted. Processes the command leaves behind are killed.

Kernels, QEMU and busybox come once from Debian through this machine's apt sources, verified and \
never installed, and stay in the user's cache directory (hostler/vm); remove an entry there to \
fetch it anew.

The exit code is the command's. A guest that dies or hangs is started once more, which is reported \
on stderr; 125 says that it died again, or that there was no way to start it.";

/// Run a command in a guest with another kernel and another shape.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct VmArgs {
    /// 6.1 (Debian 12), 6.12 (its backports), or the PATH of a vmlinuz with its modules in
    /// ../lib/modules or /lib/modules, or of a directory with an unpacked kernel package.
    #[arg(long, default_value = "6.1")]
    kernel: kernel::Choice,

    /// NUMA nodes, each with two CPUs and an equal share of the memory.
    #[arg(long, default_value = "1", value_parser = ["1", "2", "4"])]
    nodes: String,

    /// Let guest time be instruction time: two nanoseconds for each instruction. Good for
    /// comparing latencies, which repeat to within a percent. Caches and the distance of NUMA
    /// nodes are not modelled, so times are not those of a real machine, and everything takes
    /// about twice as long.
    #[arg(long)]
    icount: bool,

    /// Give the command the terminal; without a COMMAND, start a shell. There is no time limit
    /// unless one is given.
    #[arg(long)]
    shell: bool,

    /// Keep the console log and print its path.
    #[arg(long)]
    keep: bool,

    /// Memory of all nodes together, in MiB. Half of it is the overlay's limit.
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    memory: u32,

    /// How long boot and command may take before the guest counts as hung [default: 10min].
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,

    /// The command and its arguments.
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "shell")]
    command: Vec<OsString>,
}

impl VmArgs {
    fn machine(&self) -> Result<qemu::Machine> {
        let nodes = self.nodes.parse()?;
        ensure!(self.memory / nodes >= 256, "a node needs 256 MiB of memory");
        ensure!(
            self.memory.is_multiple_of(nodes),
            "the nodes' shares must be whole MiB"
        );
        Ok(qemu::Machine {
            nodes,
            memory_mib: self.memory,
            icount: self.icount,
        })
    }
}

/// Runs the command in a guest. Failures of ours are told apart from the command's by their code.
#[expect(clippy::unnecessary_wraps, reason = "every task has this signature")]
pub(crate) fn run(args: &VmArgs) -> Result<ExitCode> {
    Ok(run::run(args).unwrap_or_else(|error| {
        eprintln!("xtask vm: {error:#}");
        ExitCode::from(GUEST_FAILED)
    }))
}
