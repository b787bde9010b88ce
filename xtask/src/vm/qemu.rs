//! The command line of QEMU: the guest's hardware and its connections to us.

use std::os::fd::RawFd;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::emulator::Emulator;
use super::kernel::Kernel;

/// The guest's hardware.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) nodes: u32,
    pub(crate) memory_mib: u32,
    pub(crate) icount: bool,
}

impl Machine {
    /// The machine, if each of its nodes can get an equal share of the memory.
    pub(crate) fn new(nodes: u32, memory_mib: u32, icount: bool) -> Result<Self> {
        ensure!(
            memory_mib / nodes >= 256,
            "a node needs 256 MiB of memory: {nodes} nodes have {memory_mib} MiB together"
        );
        ensure!(
            memory_mib.is_multiple_of(nodes),
            "the nodes' shares must be whole MiB"
        );
        Ok(Self {
            nodes,
            memory_mib,
            icount,
        })
    }
}

/// CPUs of each NUMA node.
const CPUS_PER_NODE: u32 = 2;

/// Where the guest's streams end on our side: sockets the emulator inherits.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ports {
    /// The command's streams, and the control port.
    Streams {
        control: RawFd,
        stdout: RawFd,
        stderr: RawFd,
    },
    /// The command has our terminal; only the control port is a socket.
    Terminal { control: RawFd },
}

/// The guest's kernel ends it at the first sign of damage (the emulator then exits, because of
/// `-no-reboot`). Emulated CPUs stand still now and then, so stall and lock-up detectors would
/// cry wolf, and the clock needs no watchdog either.
const KERNEL_PARAMETERS: &str = "console=ttyS0 panic=-1 oops=panic nowatchdog nosoftlockup \
     rcupdate.rcu_cpu_stall_suppress=1 workqueue.watchdog_thresh=0 tsc=reliable audit=0 \
     loglevel=7";

impl Emulator {
    /// The command that boots `kernel`; the kernel's messages go to the file `console`.
    pub(super) fn boot(
        &self,
        kernel: &Kernel,
        initramfs: &Path,
        console: &Path,
        machine: Machine,
        ports: Ports,
    ) -> Command {
        let mut command = self.command();
        command.args(self.machine_arguments(machine));
        command.arg("-kernel").arg(&kernel.image);
        command.arg("-initrd").arg(initramfs);
        command.args(["-append", KERNEL_PARAMETERS]);
        command.arg("-chardev").arg(format!(
            "file,id=console,append=on,path={}",
            escape_comma(&console.display().to_string())
        ));
        command.args(["-serial", "chardev:console"]);
        command.args(HOST_FILES);
        command.args(port_arguments(ports));
        command
    }

    fn machine_arguments(&self, machine: Machine) -> Vec<String> {
        // QEMU 7.2 emulates cmpxchg16b wrongly now and then, and multi-threaded TCG crashes.
        let cpu = if self.major_version < 8 {
            "max,-cx16"
        } else {
            "max"
        };
        let cpus = machine.nodes * CPUS_PER_NODE;
        let smp = format!(
            "{cpus},sockets={},cores={CPUS_PER_NODE},threads=1",
            machine.nodes
        );
        let memory = format!("{}M", machine.memory_mib);
        let fixed = [
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ];
        let shape = [
            "-nic",
            "none",
            "-M",
            "q35",
            "-accel",
            "tcg,thread=single",
            "-cpu",
            cpu,
        ];
        let size = ["-smp", &smp, "-m", &memory];
        let fixed = fixed.iter().chain(&shape).chain(&size);
        let mut arguments: Vec<String> = fixed.map(|&argument| argument.to_owned()).collect();
        arguments.extend(numa_arguments(machine));
        if machine.icount {
            arguments.extend(["-icount".to_owned(), "shift=1,sleep=on".to_owned()]);
        }
        arguments
    }
}

/// The host's root, read-only. Inode numbers of its mounts are kept apart.
const HOST_FILES: [&str; 4] = [
    "-fsdev",
    "local,id=hostroot,path=/,security_model=none,readonly=on,multidevs=remap",
    "-device",
    "virtio-9p-pci,fsdev=hostroot,mount_tag=hostroot",
];

/// Memory and CPUs of each node, and the usual distance of a neighbour between any two.
fn numa_arguments(machine: Machine) -> Vec<String> {
    let node_memory = machine.memory_mib / machine.nodes;
    let mut arguments = Vec::new();
    let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
    for node in 0..machine.nodes {
        let first = node * CPUS_PER_NODE;
        let last = first + CPUS_PER_NODE - 1;
        add(
            "-object",
            format!("memory-backend-ram,id=node{node},size={node_memory}M"),
        );
        add(
            "-numa",
            format!("node,nodeid={node},memdev=node{node},cpus={first}-{last}"),
        );
    }
    for from in 0..machine.nodes {
        for to in from + 1..machine.nodes {
            add("-numa", format!("dist,src={from},dst={to},val=20"));
        }
    }
    arguments
}

/// Virtio ports carry any bytes and are faster than serial lines. The guest finds them by
/// their names. Port 0 is reserved for a console.
fn port_arguments(ports: Ports) -> Vec<String> {
    let mut arguments = vec!["-device".to_owned(), "virtio-serial-pci".to_owned()];
    let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
    let sockets = match ports {
        Ports::Streams {
            control,
            stdout,
            stderr,
        } => {
            vec![
                ("control", 1, control),
                ("stdout", 2, stdout),
                ("stderr", 3, stderr),
            ]
        }
        Ports::Terminal { control } => {
            add("-chardev", "stdio,id=terminal,signal=off".to_owned());
            add("-device", "virtconsole,chardev=terminal,nr=0".to_owned());
            vec![("control", 1, control)]
        }
    };
    for (name, number, fd) in sockets {
        add("-chardev", format!("socket,id={name},fd={fd}"));
        add(
            "-device",
            format!("virtserialport,chardev={name},name={name},nr={number}"),
        );
    }
    arguments
}

/// QEMU's option lists end a value at a comma, unless it is doubled.
fn escape_comma(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(nodes: u32) -> Machine {
        Machine {
            nodes,
            memory_mib: 2048,
            icount: false,
        }
    }

    #[test]
    fn every_node_has_its_share_of_memory_and_two_cpus() {
        let arguments = numa_arguments(machine(2)).join(" ");
        let expected = "-object memory-backend-ram,id=node0,size=1024M \
                        -numa node,nodeid=0,memdev=node0,cpus=0-1 \
                        -object memory-backend-ram,id=node1,size=1024M \
                        -numa node,nodeid=1,memdev=node1,cpus=2-3 \
                        -numa dist,src=0,dst=1,val=20";
        assert_eq!(arguments, expected);
    }

    #[test]
    fn four_nodes_are_all_equally_far_from_each_other() {
        let arguments = numa_arguments(machine(4));
        assert_eq!(
            arguments
                .iter()
                .filter(|it| it.starts_with("dist,"))
                .count(),
            6
        );
    }

    #[test]
    fn an_old_emulator_goes_without_the_instruction_it_gets_wrong() {
        let cpu = |major_version| {
            Emulator::of_version(major_version)
                .machine_arguments(machine(1))
                .join(" ")
        };
        assert!(cpu(7).contains("-cpu max,-cx16 "));
        assert!(cpu(10).contains("-cpu max "));
    }
}
