//! Where this kernel keeps the fields that the programs read.
//!
//! User space resolves each offset from the kernel's BTF and writes it into these globals before
//! loading; they lie in read-only data, so the verifier treats them as constants, checks that a
//! field of the right kind is there, and the compiled program holds a plain load.

use core::ffi::c_void;

use aya_ebpf::Global;
use hostler_common::wait_event::NAME_BYTES;

macro_rules! offsets {
    ($($(#[$doc:meta])* $name:ident;)+) => {
        $(
            $(#[$doc])*
            #[unsafe(no_mangle)]
            static $name: Global<u32> = Global::new(0);
        )+
    };
}

mod socket;

pub(crate) use socket::{Socket, tcp_state};

offsets! {
    /// `task_struct.pid`
    TASK_PID;
    /// `task_struct.comm`
    TASK_COMM;
    /// `task_struct.flags`
    TASK_FLAGS;
    /// `task_struct.__state`
    TASK_STATE;
    /// `task_struct.tgid`
    TASK_TGID;
    /// `task_struct.group_leader`
    TASK_GROUP_LEADER;
    /// `task_struct.start_boottime`
    TASK_START_BOOTTIME;
    /// The 32-bit word that holds the bit `task_struct.in_iowait`
    TASK_IOWAIT_WORD;
    /// That bit in the word
    TASK_IOWAIT_MASK;
    /// `task_struct.se.cfs_rq`, [`ABSENT`] without group scheduling
    TASK_CFS_RQ;
    /// `cfs_rq.rq`, [`ABSENT`] without group scheduling
    CFS_RQ_RQ;
    /// `rq.clock`
    RQ_CLOCK;
    /// `rq.cpu`
    RQ_CPU;
    /// `cfs_rq.throttle_count`, [`ABSENT`] without CPU quotas
    CFS_RQ_THROTTLE_COUNT;
    /// `cfs_rq.throttled_clock_self_time`, or `throttled_clock_pelt_time` before Linux 6.6;
    /// [`ABSENT`] where threads are throttled, not run queues, or nothing is
    CFS_RQ_THROTTLED_TIME;
    /// `task_struct.throttled` of Linux 6.18 and newer, [`ABSENT`] before
    TASK_THROTTLED;
    /// `task_struct.signal`
    TASK_SIGNAL;
    /// `signal_struct.oom_mm`, [`ABSENT`] if this kernel does not note victims there
    SIGNAL_OOM_MM;
    /// `task_struct.ioac.read_bytes`, [`ABSENT`] if this kernel does not count them
    TASK_READ_BYTES;
    /// `task_struct.ioac.write_bytes`, [`ABSENT`] likewise
    TASK_WRITTEN_BYTES;
    /// `task_struct.min_flt`
    TASK_MIN_FLT;
    /// `task_struct.maj_flt`
    TASK_MAJ_FLT;
    /// `task_struct.cgroups`
    TASK_CGROUPS;
    /// `css_set.dfl_cgrp`
    CSS_SET_DFL_CGRP;
    /// `cgroup.dom_cgrp`
    CGROUP_DOM_CGRP;
    /// `cgroup.kn`
    CGROUP_KN;
    /// `cgroup.root`
    CGROUP_ROOT;
    /// `cgroup_root.hierarchy_id`
    CGROUP_ROOT_HIERARCHY_ID;
    /// `kernfs_node.id`
    KERNFS_NODE_ID;
}

/// In place of an offset: this kernel has no such field. The verifier removes what would read it.
const ABSENT: u32 = u32::MAX;

/// `PF_KTHREAD` of the kernel's `sched.h`: the thread is a kernel thread.
const PF_KTHREAD: u32 = 0x0020_0000;

/// `TASK_RUNNING` of the kernel's `sched.h`.
const TASK_RUNNING: u32 = 0;

/// A kernel object that the verifier knows the type of.
#[derive(Clone, Copy)]
struct Object(*const c_void);

impl Object {
    #[inline(always)]
    fn field<T: Copy>(self, offset: &Global<u32>) -> T {
        self.field_at(offset.load())
    }

    #[inline(always)]
    fn field_at<T: Copy>(self, offset: u32) -> T {
        let field = self.0.wrapping_byte_add(offset as usize).cast::<T>();
        // SAFETY: the verifier accepts the load only if `field` lies at a known offset of an
        // object whose type it knows, and lets a load from a freed one read zero.
        unsafe { field.read_volatile() }
    }
}

/// A `struct task_struct`.
#[derive(Clone, Copy)]
pub(crate) struct Task(Object);

impl Task {
    /// Wraps a pointer that the kernel passed as a `struct task_struct *`.
    #[inline(always)]
    pub(crate) fn new(task: *const c_void) -> Self {
        Self(Object(task))
    }

    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut c_void {
        self.0.0.cast_mut()
    }

    /// One of the per-CPU idle threads, which all have thread id 0 and wait for nobody.
    #[inline(always)]
    pub(crate) fn is_idle(self) -> bool {
        self.0.field::<i32>(&TASK_PID) == 0
    }

    #[inline(always)]
    pub(crate) fn is_kernel_thread(self) -> bool {
        self.0.field::<u32>(&TASK_FLAGS) & PF_KTHREAD != 0
    }

    #[inline(always)]
    pub(crate) fn is_runnable(self) -> bool {
        self.0.field::<u32>(&TASK_STATE) == TASK_RUNNING
    }

    /// Blocked on block I/O, as the kernel's own accounting has it.
    #[inline(always)]
    pub(crate) fn is_in_iowait(self) -> bool {
        self.0.field::<u32>(&TASK_IOWAIT_WORD) & TASK_IOWAIT_MASK.load() != 0
    }

    /// Whether a CPU quota keeps the thread from running. Since 6.18 the kernel throttles threads,
    /// before that it throttled whole run queues.
    #[inline(always)]
    pub(crate) fn is_throttled(self) -> bool {
        if TASK_THROTTLED.load() != ABSENT {
            return self.0.field::<u8>(&TASK_THROTTLED) != 0;
        }
        if TASK_CFS_RQ.load() == ABSENT || CFS_RQ_THROTTLE_COUNT.load() == ABSENT {
            return false;
        }
        let run_queue = Object(self.0.field(&TASK_CFS_RQ));
        run_queue.field::<i32>(&CFS_RQ_THROTTLE_COUNT) > 0
    }

    /// Bytes that the thread has read from storage and written to it; `None` if this kernel does
    /// not count them.
    #[inline(always)]
    pub(crate) fn read_and_written_bytes(self) -> Option<(u64, u64)> {
        if TASK_READ_BYTES.load() == ABSENT || TASK_WRITTEN_BYTES.load() == ABSENT {
            return None;
        }
        let read_bytes = self.0.field(&TASK_READ_BYTES);
        Some((read_bytes, self.0.field(&TASK_WRITTEN_BYTES)))
    }

    /// Page faults that the thread has had: minor ones, and major ones.
    #[inline(always)]
    pub(crate) fn faults(self) -> (u64, u64) {
        (self.0.field(&TASK_MIN_FLT), self.0.field(&TASK_MAJ_FLT))
    }

    /// Whether the kernel chose the process to be ended because memory ran out.
    #[inline(always)]
    pub(crate) fn is_oom_victim(self) -> bool {
        if TASK_SIGNAL.load() == ABSENT || SIGNAL_OOM_MM.load() == ABSENT {
            return false;
        }
        Object(self.0.field(&TASK_SIGNAL)).field::<u64>(&SIGNAL_OOM_MM) != 0
    }

    /// The first thread of a process, which has the process's id.
    #[inline(always)]
    pub(crate) fn is_first_of_process(self) -> bool {
        self.thread_id() == self.process_id()
    }

    /// The thread's id.
    #[inline(always)]
    pub(crate) fn thread_id(self) -> u32 {
        self.0.field::<u32>(&TASK_PID)
    }

    /// The thread's name.
    #[inline(always)]
    pub(crate) fn name(self) -> [u8; NAME_BYTES] {
        self.0.field(&TASK_COMM)
    }

    /// The CPU that the thread runs or waits on; 0 where the kernel does not tell.
    #[inline(always)]
    pub(crate) fn cpu(self) -> u32 {
        if TASK_CFS_RQ.load() == ABSENT || CFS_RQ_RQ.load() == ABSENT || RQ_CPU.load() == ABSENT {
            return 0;
        }
        let group_queue = Object(self.0.field(&TASK_CFS_RQ));
        Object(group_queue.field(&CFS_RQ_RQ)).field(&RQ_CPU)
    }

    /// The CPU that the thread runs or waits on, and for how long its group has been throttled
    /// there in all, in ns.
    #[inline(always)]
    pub(crate) fn run_queue_throttled_ns(self) -> Option<(u32, u64)> {
        if CFS_RQ_THROTTLED_TIME.load() == ABSENT {
            return None;
        }
        let group_queue = Object(self.0.field(&TASK_CFS_RQ));
        let queue = Object(group_queue.field(&CFS_RQ_RQ));
        Some((
            queue.field(&RQ_CPU),
            group_queue.field(&CFS_RQ_THROTTLED_TIME),
        ))
    }

    /// The time as of when the kernel last brought the clock of the thread's run queue up to date,
    /// in ns of the scheduler's clock.
    #[inline(always)]
    pub(crate) fn run_queue_clock_ns(self) -> u64 {
        let group_queue = Object(self.0.field(&TASK_CFS_RQ));
        Object(group_queue.field(&CFS_RQ_RQ)).field(&RQ_CLOCK)
    }

    /// The process's id.
    #[inline(always)]
    pub(crate) fn process_id(self) -> u32 {
        self.0.field::<u32>(&TASK_TGID)
    }

    /// When the process started, in ns since boot.
    #[inline(always)]
    pub(crate) fn process_started_ns(self) -> u64 {
        Object(self.0.field(&TASK_GROUP_LEADER)).field(&TASK_START_BOOTTIME)
    }

    /// Address of the thread's `css_set`, which stands for its cgroups in all hierarchies.
    #[inline(always)]
    pub(crate) fn css_set(self) -> u64 {
        self.0.field::<u64>(&TASK_CGROUPS)
    }

    /// Id of the v2 cgroup that the thread belongs to; in threaded mode, of the domain above it.
    #[inline(always)]
    pub(crate) fn cgroup_id(self) -> u64 {
        let css_set = Object(self.0.field(&TASK_CGROUPS));
        let cgroup = Object(css_set.field(&CSS_SET_DFL_CGRP));
        Cgroup(Object(cgroup.field(&CGROUP_DOM_CGRP))).id()
    }
}

/// A `struct cgroup`.
#[derive(Clone, Copy)]
pub(crate) struct Cgroup(Object);

impl Cgroup {
    /// Wraps a pointer that the kernel passed as a `struct cgroup *`.
    #[inline(always)]
    pub(crate) fn new(cgroup: *const c_void) -> Self {
        Self(Object(cgroup))
    }

    /// The cgroup's id: the inode number of its directory.
    #[inline(always)]
    pub(crate) fn id(self) -> u64 {
        Object(self.0.field(&CGROUP_KN)).field(&KERNFS_NODE_ID)
    }

    /// The v2 hierarchy has id 0; all others are v1.
    #[inline(always)]
    pub(crate) fn is_v2(self) -> bool {
        Object(self.0.field(&CGROUP_ROOT)).field::<i32>(&CGROUP_ROOT_HIERARCHY_ID) == 0
    }
}
