// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Visits every thread of the host: gives it a record if it has none, and reports threads and
// processes to user space. In C, since aya can neither write a BPF iterator nor a CO-RE
// relocation, and this runs at start and once a tick, never on a hot path.
//
// The structs below hold only the fields that are read; CO-RE finds them in the running kernel.

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define PF_KTHREAD 0x00200000
#define PIDTYPE_SID 3
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_NOLOAD 0x400
#define TASK_NEW 0x800

/* As in hostler_common::slot, ::ledger and ::thread_record. */
#define SLOT_OTHER 0
#define SLOT_KERNEL 1
#define COMMON_SLOTS 2
#define COMMON_SHARDS 64
#define AGENT_SHARDS 2
#define SLOTS 8192
#define STATES 8
#define UNIT_LOG2 7
#define TICK_NS 10000000
#define CLAIM_PROGRAM 1
#define CLAIM_RULE 2
#define FLAG_PROCESS (1 << 0)
#define FLAG_PROVISIONAL (1 << 1)
#define FLAG_SINCE_UNKNOWN (1 << 2)
#define FLAG_RULE (1 << 3)

enum state {
	UNKNOWN,
	ON_CPU,
	WAITING_WOKEN,
	WAITING_PREEMPTED,
	THROTTLED,
	BLOCKED,
	BLOCKED_IO,
	ASLEEP,
};

typedef __u64 u64;
typedef __u32 u32;
typedef __u16 u16;

#define CO_RE __attribute__((preserve_access_index))

struct kernfs_node { u64 id; } CO_RE;
struct cgroup { struct kernfs_node *kn; struct cgroup *dom_cgrp; } CO_RE;
struct css_set { struct cgroup *dfl_cgrp; } CO_RE;
struct upid { int nr; } CO_RE;
struct pid { struct upid numbers[1]; } CO_RE;
struct signal_struct { struct pid *pids[4]; } CO_RE;
struct cred { struct { u32 val; } euid; } CO_RE;
struct task_io_accounting { u64 read_bytes, write_bytes; } CO_RE;
struct task_struct {
	int pid;
	int tgid;
	unsigned int flags;
	unsigned int __state;
	/* `int` before Linux 7, `u8` since: the loader adapts reads of unsigned fields only. */
	unsigned int on_cpu, on_rq;
	int exit_state;
	unsigned int in_iowait : 1;
	u64 start_boottime;
	u64 self_exec_id;
	char comm[16];
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	const struct cred *cred;
	struct signal_struct *signal;
	struct css_set *cgroups;
	struct task_io_accounting ioac;
	unsigned long min_flt, maj_flt;
} CO_RE;

struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; } CO_RE;
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; } CO_RE;

struct slot_lease { u32 slot, generation; };
struct process_lease { struct slot_lease lease; u64 started_ticks; u32 claim, reserved; };
struct thread_record {
	u64 css_set;
	struct slot_lease lease;
	u64 since_ns;
	u32 state;
	u16 flags, preemptor;
	u32 preemptor_tid, throttled_stamp;
	u64 counts_sum;
	u64 read_bytes, written_bytes;
	u64 minor_faults, major_faults;
	u64 fault_began_ns, fault_address;
};
_Static_assert(sizeof(struct thread_record) == 96, "as in common/src/thread_record.rs");

/* Of an agent's record only the first part is used here. */
struct agent_record {
	u64 ledger[STATES];
	char rest[3200 - 8 * STATES];
};

/* A row of the report; agent/observe/src/processes.rs reads it. */
struct thread_row {
	u64 cgroup_id;
	u64 started_ticks;
	u64 exec_id;
	/* Of a thread that is a rule's agent's, or was made by one that is; zeroes else. */
	struct slot_lease by_rule;
	u32 tid, tgid, session, parent, uid;
	u32 kernel_thread;
	char comm[16];
};

/* The maps are those of the Rust programs: user space hands their descriptors over. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_record);
} THREADS SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, struct slot_lease);
} CGROUP_SLOTS SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, struct process_lease);
} PROCESS_SLOTS SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS * AGENT_SHARDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct agent_record);
} AGENTS SEC(".maps");

struct clock_difference { u64 ahead_ns, others[7]; };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct clock_difference);
} CLOCK SEC(".maps");

struct losses { u64 threads_without_record, records_not_made, others[14]; };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct losses);
} LOSSES SEC(".maps");

/* agent/observe/src/snapshot/iterator.rs writes it. */
struct settings {
	/* Id of the root cgroup. */
	u64 root_cgroup_id;
	/* Whether rules may say whose a process is. */
	u64 rules;
};
const volatile struct settings settings;

/* The time as the scheduler's programs have it, see hostler_common::clock. */
static u64 now_ns(void)
{
	u32 first = 0;
	struct clock_difference *clock = bpf_map_lookup_elem(&CLOCK, &first);

	return bpf_ktime_get_ns() + (clock ? clock->ahead_ns : 0);
}

/* A process of which user space says whose it is: with rules any, else one in the root cgroup. */
static int is_claimed(struct task_struct *task, u64 cgroup_id)
{
	if (task->flags & PF_KTHREAD)
		return 0;
	return settings.rules || cgroup_id == settings.root_cgroup_id;
}

static u64 started_ticks(struct task_struct *task)
{
	return task->group_leader->start_boottime / TICK_NS;
}

/* What user space has said of the process, not of an earlier one with the same id. */
static struct process_lease *process_lease(struct task_struct *task)
{
	u32 tgid = task->tgid;
	struct process_lease *process = bpf_map_lookup_elem(&PROCESS_SLOTS, &tgid);

	if (!process || process->started_ticks != started_ticks(task))
		return 0;
	return process;
}

/* Whose the thread is, as the scheduler programs look it up. The cgroup must have been read from
 * the same css_set, or a thread that moves at this moment keeps its former agent. */
static void assign(struct thread_record *record, struct task_struct *task, u64 css_set,
		   u64 cgroup_id)
{
	struct slot_lease *lease = bpf_map_lookup_elem(&CGROUP_SLOTS, &cgroup_id);
	struct process_lease *process = 0;

	if (is_claimed(task, cgroup_id))
		process = process_lease(task);
	if (process && process->claim == CLAIM_RULE) {
		record->lease = process->lease;
		record->flags |= FLAG_PROCESS | FLAG_RULE;
	} else if (lease) {
		record->lease = *lease;
	} else if (task->flags & PF_KTHREAD) {
		record->lease.slot = SLOT_KERNEL;
	} else if (process && process->claim == CLAIM_PROGRAM) {
		record->lease = process->lease;
		record->flags |= FLAG_PROCESS;
	} else {
		return;
	}
	record->css_set = css_set;
}

/* What the thread is doing now, or UNKNOWN where it is just changing. */
static u32 present_state(struct task_struct *task)
{
	u32 state = task->__state;

	if (task->exit_state || state & TASK_NEW)
		return UNKNOWN;
	if (task->on_cpu)
		return state ? UNKNOWN : ON_CPU;
	if (!state)
		return task->on_rq ? WAITING_PREEMPTED : UNKNOWN;
	if ((state & (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)) != TASK_UNINTERRUPTIBLE)
		return ASLEEP;
	return BPF_CORE_READ_BITFIELD(task, in_iowait) ? BLOCKED_IO : BLOCKED;
}

/* Enters a thread of unknown state in its agent's ledger. The scheduler programs see the record,
 * so a change from now on is theirs: whoever exchanges the first state knows that the other has
 * not. */
static void settle(struct thread_record *record, struct task_struct *task)
{
	struct agent_record *agent;
	u64 now = now_ns();
	u32 state = present_state(task);
	u32 index = record->lease.slot;

	if (state == UNKNOWN)
		return;
	/* Of what a new thread does since before the probes, the beginning is not known. */
	record->since_ns = now;
	record->flags |= FLAG_SINCE_UNKNOWN;
	if (__sync_val_compare_and_swap(&record->state, UNKNOWN, state) != UNKNOWN)
		return;
	index *= index < COMMON_SLOTS ? COMMON_SHARDS : AGENT_SHARDS;
	agent = bpf_map_lookup_elem(&AGENTS, &index);
	if (agent)
		__sync_fetch_and_add(&agent->ledger[state & (STATES - 1)],
				     1 - ((now >> UNIT_LOG2) << 16));
}

static void count_record_not_made(void)
{
	u32 first = 0;
	struct losses *losses = bpf_map_lookup_elem(&LOSSES, &first);

	if (losses)
		__sync_fetch_and_add(&losses->records_not_made, 1);
}

/* Makes the record of a thread that is older than the probes. */
static struct thread_record *adopt(struct task_struct *task, u64 css_set, u64 cgroup_id)
{
	struct thread_record first = {};
	struct thread_record *record;

	assign(&first, task, css_set, cgroup_id);
	first.since_ns = now_ns();
	if (bpf_core_field_exists(task->ioac.read_bytes)) {
		first.read_bytes = task->ioac.read_bytes;
		first.written_bytes = task->ioac.write_bytes;
	}
	first.minor_faults = task->min_flt;
	first.major_faults = task->maj_flt;
	/* A stretch or a wait that began before the probes has no known length. */
	first.flags |= FLAG_SINCE_UNKNOWN;
	record = bpf_task_storage_get(&THREADS, task, &first, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!record)
		count_record_not_made();
	return record;
}

/* Of whose process user space has said something new since: its threads look again at their next
 * change of state. */
static void look_again(struct thread_record *record, struct task_struct *task)
{
	struct process_lease *process;
	u32 by_rule = record->flags & FLAG_RULE;

	process = process_lease(task);
	if (!process)
		return;
	if (record->flags & FLAG_PROVISIONAL || !by_rule != (process->claim != CLAIM_RULE) ||
	    (process->claim && (process->lease.slot != record->lease.slot ||
				process->lease.generation != record->lease.generation)))
		record->css_set = 0;
}

static void report(struct bpf_iter__task *ctx, struct task_struct *task, u64 cgroup_id,
		   struct thread_record *record)
{
	struct thread_row row = {};

	if (record && record->flags & FLAG_RULE)
		row.by_rule = record->lease;

	row.cgroup_id = cgroup_id;
	row.started_ticks = started_ticks(task);
	row.exec_id = task->self_exec_id;
	row.tid = task->pid;
	row.tgid = task->tgid;
	row.session = BPF_CORE_READ(task, signal, pids[PIDTYPE_SID], numbers[0].nr);
	row.parent = BPF_CORE_READ(task, real_parent, tgid);
	row.uid = BPF_CORE_READ(task, cred, euid.val);
	row.kernel_thread = !!(task->flags & PF_KTHREAD);
	bpf_core_read(&row.comm, sizeof(row.comm), &task->group_leader->comm);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
}

static u64 cgroup_of(struct css_set *css_set)
{
	return css_set->dfl_cgrp->dom_cgrp->kn->id;
}

/* Visits every thread, gives it a record if it has none, and reports it. */
SEC("iter/task")
int visit_threads(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct thread_record *record;
	struct css_set *css_set;
	u64 cgroup_id;

	if (!task)
		return 0;
	css_set = task->cgroups;
	cgroup_id = cgroup_of(css_set);
	record = bpf_task_storage_get(&THREADS, task, 0, 0);
	if (!record && !task->exit_state)
		record = adopt(task, (u64)css_set, cgroup_id);
	if (record && record->state == UNKNOWN)
		settle(record, task);
	report(ctx, task, cgroup_id, record);
	return 0;
}

/* Visits every thread and reports the processes of which user space says whose they are, one row
 * each. */
SEC("iter/task")
int visit_processes(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct thread_record *record;
	struct css_set *css_set;
	u64 cgroup_id;

	if (!task)
		return 0;
	css_set = task->cgroups;
	cgroup_id = cgroup_of(css_set);
	/* Most threads of a large host: they should cost next to nothing. */
	if (!is_claimed(task, cgroup_id))
		return 0;
	record = bpf_task_storage_get(&THREADS, task, 0, 0);
	if (record)
		look_again(record, task);
	if (task->pid == task->tgid)
		report(ctx, task, cgroup_id, record);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
