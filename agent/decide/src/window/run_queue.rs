//! What an agent, or the threads on a CPU, did during a window.

use std::sync::Arc;

use hostler_common::ledger::state;

use super::ledger::LedgerWindow;
use crate::{
    block_io::BlockIoWindow,
    durations::Durations,
    faults::{FaultLatencyWindow, FaultWindow},
    node_memory::NodeMemory,
    placement::Placement,
    polled::PolledWindow,
    signal::{CpuReading, RunQueueSignal},
};

/// Waits for a CPU, stretches on it, switches, where the time went, and what else was counted, during
/// a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQueueWindow {
    /// Where the threads' time went. Of a CPU, only the time on it and the waits that ended on it
    /// are known.
    pub ledger: LedgerWindow,
    /// Switches by which a thread gave the CPU up.
    pub voluntary_switches: u64,
    /// Switches by which a thread lost the CPU.
    pub involuntary_switches: u64,
    /// Waits after a wake-up that ended in the window.
    pub wake_wait: Durations,
    /// Waits after a preemption or a yield that ended in the window.
    pub preempt_wait: Durations,
    /// Stretches on a CPU that ended in the window.
    pub on_cpu: Durations,
    /// What was read and written; nothing is known of a CPU.
    pub block_io: BlockIoWindow,
    /// Page faults; nothing is known of a CPU.
    pub faults: FaultWindow,
    /// How long they took, where that is measured; nothing is known of a CPU.
    pub fault_latency: FaultLatencyWindow,
    /// Processes that the kernel ended because memory ran out; nothing is known of a CPU.
    pub oom_kills: u64,
    /// Where its threads ran, where that is counted; nothing is known of a CPU.
    pub placement: Option<Box<Placement>>,
    /// Where its memory lay when it was last looked at, if it was.
    pub node_memory: Option<Arc<NodeMemory>>,
    /// What was read of its cgroup from time to time, if it was read; nothing is known of a CPU.
    pub polled: Option<Box<PolledWindow>>,
}

impl RunQueueWindow {
    pub(super) fn between(
        ledger: LedgerWindow,
        earlier: &Arc<RunQueueSignal>,
        later: &Arc<RunQueueSignal>,
    ) -> Self {
        if Arc::ptr_eq(earlier, later) {
            return Self {
                ledger,
                ..Self::default()
            };
        }
        let on_cpu = later.on_cpu.since(&earlier.on_cpu);
        let involuntary_switches = later
            .involuntary_switches
            .wrapping_sub(earlier.involuntary_switches);
        let unmeasured = later
            .unmeasured_stretches
            .wrapping_sub(earlier.unmeasured_stretches);
        Self {
            ledger,
            // Each switch ended a stretch; one that is being counted may be in its bucket already.
            voluntary_switches: on_cpu
                .total()
                .wrapping_add(unmeasured)
                .saturating_sub(involuntary_switches),
            involuntary_switches,
            wake_wait: later.wake_wait.since(&earlier.wake_wait),
            preempt_wait: later.preempt_wait.since(&earlier.preempt_wait),
            on_cpu,
            block_io: BlockIoWindow::default(),
            faults: FaultWindow::default(),
            fault_latency: FaultLatencyWindow::default(),
            oom_kills: 0,
            placement: None,
            node_memory: None,
            polled: None,
        }
    }

    pub(super) fn of_cpu(earlier: Option<&CpuReading>, later: &CpuReading) -> Self {
        let nothing = CpuReading {
            cpu: later.cpu,
            wake_wait_ns: 0,
            preempt_wait_ns: 0,
            on_cpu_ns: 0,
            run_queue: Arc::default(),
        };
        let earlier = earlier.unwrap_or(&nothing);
        let mut ledger = LedgerWindow::default();
        for (state, before, now) in [
            (
                state::WAITING_WOKEN,
                earlier.wake_wait_ns,
                later.wake_wait_ns,
            ),
            (
                state::WAITING_PREEMPTED,
                earlier.preempt_wait_ns,
                later.preempt_wait_ns,
            ),
            (state::ON_CPU, earlier.on_cpu_ns, later.on_cpu_ns),
        ] {
            ledger.ns[state as usize] = now.wrapping_sub(before).cast_signed();
        }
        Self::between(ledger, &earlier.run_queue, &later.run_queue)
    }

    /// Adds what happened in another window. Of the sum over several agents, amounts of memory are
    /// those of the last one.
    pub fn add(&mut self, other: &Self) {
        self.ledger.add(&other.ledger);
        for (sum, more) in [
            (&mut self.voluntary_switches, other.voluntary_switches),
            (&mut self.involuntary_switches, other.involuntary_switches),
            (&mut self.oom_kills, other.oom_kills),
        ] {
            *sum = sum.wrapping_add(more);
        }
        self.wake_wait.add(&other.wake_wait);
        self.preempt_wait.add(&other.preempt_wait);
        self.on_cpu.add(&other.on_cpu);
        self.block_io.add(&other.block_io);
        self.faults.add(&other.faults);
        self.fault_latency.add(&other.fault_latency);
        if let Some(more) = &other.placement {
            self.placement.get_or_insert_default().add(more);
        }
        if let Some(newer) = &other.node_memory {
            self.node_memory = Some(Arc::clone(newer));
        }
        if let Some(more) = &other.polled {
            self.polled.get_or_insert_default().append(more);
        }
    }

    /// Where its threads ran; nothing if that is not counted.
    pub fn placement(&self) -> Placement {
        self.placement.as_deref().copied().unwrap_or_default()
    }

    /// What was read of its cgroup; a window without length if nothing was.
    pub fn polled(&self) -> PolledWindow {
        self.polled.as_deref().copied().unwrap_or_default()
    }

    /// Waits of both kinds that ended in the window.
    pub fn waits(&self) -> Durations {
        let mut waits = self.wake_wait.clone();
        waits.add(&self.preempt_wait);
        waits
    }

    /// Time spent waiting for a CPU after a wake-up, in ns.
    pub fn wake_wait_ns(&self) -> u64 {
        self.ledger.spent_ns(state::WAITING_WOKEN)
    }

    /// Time spent waiting for a CPU after a preemption or a yield, in ns.
    pub fn preempt_wait_ns(&self) -> u64 {
        self.ledger.spent_ns(state::WAITING_PREEMPTED)
    }

    /// Time spent waiting for a CPU, in ns.
    pub fn wait_ns(&self) -> u64 {
        self.wake_wait_ns() + self.preempt_wait_ns()
    }

    /// Time spent on CPUs, in ns.
    pub fn on_cpu_ns(&self) -> u64 {
        self.ledger.spent_ns(state::ON_CPU)
    }

    /// Whether no thread ran, wanted to run, was switched, read or wrote, faulted, or was
    /// ended for want of memory.
    pub fn is_idle(&self) -> bool {
        self.voluntary_switches == 0
            && self.involuntary_switches == 0
            && self.wait_ns() == 0
            && self.on_cpu_ns() == 0
            && self.wake_wait.is_empty()
            && self.preempt_wait.is_empty()
            && self.block_io.is_empty()
            && self.faults.is_empty()
            && self.oom_kills == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_did_not_lose_the_cpu_gave_it_up_also_if_the_stretch_has_no_length() {
        let mut later = RunQueueSignal {
            involuntary_switches: 2,
            unmeasured_stretches: 3,
            ..Default::default()
        };
        later.on_cpu.0[50] = 7;
        let window =
            RunQueueWindow::between(LedgerWindow::default(), &Arc::default(), &Arc::new(later));
        assert_eq!(window.voluntary_switches, 8);
        assert_eq!(window.involuntary_switches, 2);
    }
}
