//! Hostler on a real kernel: the built binary, real processes in real cgroups.
//!
//! These tests load programs into the kernel, so they need root. A test that this machine can't
//! run is skipped with its reason, and the count says so. They touch nothing but cgroups of their
//! own, and end only what they started.

mod attribution;
mod block_io;
mod daemon;
mod ends;
mod exec;
mod explain;
mod faults;
mod host;
mod identity;
mod load;
mod needs;
mod oom;
mod pressure;
mod recording;
mod refusals;
mod sockets;
mod truth;
mod waits;
mod wakes;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

/// A test, and what it needs.
#[derive(Clone, Copy)]
struct Test {
    name: &'static str,
    needs: &'static [Need],
    run: fn(&host::Host),
}

/// What a test needs of the machine.
#[derive(Clone, Copy)]
enum Need {
    /// To put processes into cgroups of its own.
    WritableCgroups,
    /// To be quick: what would take minutes in an emulated guest.
    RealSpeed,
    /// The machine that builds it: what is about files and clients is the same on each kernel.
    OwnMachine,
    /// To say which id the next process gets.
    ChosenProcessIds,
    /// To make mount namespaces, in which something of the host is missing.
    MountNamespaces,
    /// A file or device that can be read and written past the page cache, and that the kernel counts.
    Storage,
    /// A file on storage, whose pages can be dropped from memory.
    FileOnStorage,
    /// To limit the memory of cgroups of its own.
    MemoryLimits,
    /// The kernel's own account of how long each thread waited.
    Schedstat,
    /// CPU quotas for v2 cgroups.
    CpuController,
    /// The peer `runqlat`, of libbpf-tools.
    Runqlat,
    /// What the kernel tells of each socket.
    SocketStatistics,
    /// A kernel that lets sockets be asked about their round trips at any time.
    AskedFromOutside,
    /// To make network namespaces, and cables between them.
    NetworkNamespaces,
    /// To make paths slow and lossy.
    Netem,
    /// The kernel's account of time lost for want of something.
    Pressure,
    /// A kernel in which it can be measured how long page faults take.
    FaultLatency,
    /// A Prometheus, and `promtool`.
    Prometheus,
    /// A machine that is ours alone, whose settings may be changed.
    Guest,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if words.get(1).is_some_and(|word| word == load::WORD) {
        return load::run(&words[2..]);
    }
    let mut arguments = Arguments::from_args();
    // One at a time: they look at what is loaded into the one kernel that they share.
    arguments.test_threads = Some(1);
    let machine = host::Host::find();
    let all = [
        attribution::TESTS,
        block_io::TESTS,
        daemon::TESTS,
        daemon::clients::TESTS,
        daemon::past::TESTS,
        daemon::privileges::TESTS,
        identity::TESTS,
        ends::TESTS,
        exec::TESTS,
        explain::TESTS,
        faults::TESTS,
        oom::TESTS,
        pressure::TESTS,
        recording::TESTS,
        refusals::TESTS,
        sockets::TESTS,
        sockets::PATHS,
        sockets::TURNS,
        waits::TESTS,
        wakes::TESTS,
        &truth::tests(),
    ]
    .concat();
    let mut trials = Vec::new();
    for test in all {
        let lack = match &machine {
            Ok(host) => test.needs.iter().find_map(|need| host.lack(*need)),
            Err(lack) => Some(lack.clone()),
        };
        if let Some(reason) = &lack {
            eprintln!("skipped: {}: {reason}", test.name);
        }
        let host = machine.as_ref().ok().cloned();
        let trial = Trial::test(test.name, move || {
            let host = host.ok_or(Failed::from("this machine can't run it"))?;
            (test.run)(&host);
            Ok(())
        });
        trials.push(trial.with_ignored_flag(lack.is_some()));
    }
    conclude(&libtest_mimic::run(&arguments, trials))
}

fn conclude(conclusion: &Conclusion) -> ExitCode {
    conclusion.exit_code()
}
