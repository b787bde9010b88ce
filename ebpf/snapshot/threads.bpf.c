// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// Visits every thread of the host: gives it a record if it has none, looks its slot up, and
// reports processes to user space. In C, since aya can neither write a BPF iterator nor a CO-RE
// relocation, and this runs at start and once a tick, never on a hot path.
//
// The structs below hold only the fields that are read; CO-RE finds them in the running kernel.

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define PF_KTHREAD 0x00200000
#define PIDTYPE_SID 3

/* As in hostler_common::slot and hostler_common::thread_record. */
#define SLOT_OTHER 0
#define SLOT_KERNEL 1
#define FLAG_PROCESS (1 << 1)
#define FLAG_PROVISIONAL (1 << 2)

typedef __u64 u64;
typedef __u32 u32;

#define CO_RE __attribute__((preserve_access_index))

struct kernfs_node { u64 id; } CO_RE;
struct cgroup { struct kernfs_node *kn; struct cgroup *dom_cgrp; } CO_RE;
struct css_set { struct cgroup *dfl_cgrp; } CO_RE;
struct upid { int nr; } CO_RE;
struct pid { struct upid numbers[1]; } CO_RE;
struct signal_struct { struct pid *pids[4]; } CO_RE;
struct task_struct {
	int pid;
	int tgid;
	unsigned int flags;
	u64 start_boottime;
	char comm[16];
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	struct signal_struct *signal;
	struct css_set *cgroups;
} CO_RE;

struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; } CO_RE;
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; } CO_RE;

struct slot_lease { u32 slot, generation; };
struct process_lease { struct slot_lease lease; u64 started_ns; };
struct thread_record {
	u64 css_set;
	struct slot_lease lease;
	u64 runnable_since_ns;
	u64 on_cpu_since_ns;
	u32 flags;
	u32 reserved;
};

/* A row of the report; hostler_observe::threads reads it. */
struct thread_row {
	u64 cgroup_id;
	u64 started_ns;
	struct slot_lease lease;
	u32 tid, tgid, parent_tgid, session;
	u32 kernel_thread;
	char comm[16];
	u32 reserved;
};

/* The first three are those of the Rust programs: user space hands their descriptors over. */
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

struct losses { u64 threads_without_record, records_not_made, others[6]; };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, u32);
	__type(value, struct losses);
} LOSSES SEC(".maps");

/* Processes in the root cgroup, by process id: user space says what they belong to. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u32);
	__type(value, struct process_lease);
} PROCESS_SLOTS SEC(".maps");

/* Id of the root cgroup. */
const volatile u64 root_cgroup_id;

static int is_root_process(struct task_struct *task, u64 cgroup_id)
{
	return cgroup_id == root_cgroup_id && !(task->flags & PF_KTHREAD);
}

/* What the thread's record should say, looked up as the scheduler programs do, plus the leases of
 * processes in the root cgroup, which only this program knows. */
static void refresh(struct thread_record *record, struct task_struct *task, u64 cgroup_id)
{
	u64 css_set = (u64)task->cgroups;
	struct slot_lease *lease;

	if (is_root_process(task, cgroup_id)) {
		u32 tgid = task->tgid;
		struct process_lease *process = bpf_map_lookup_elem(&PROCESS_SLOTS, &tgid);

		/* A lease for an earlier process with the same id must not be taken. */
		if (!process || process->started_ns != task->group_leader->start_boottime)
			return;
		record->lease = process->lease;
		record->flags = (record->flags & ~FLAG_PROVISIONAL) | FLAG_PROCESS;
		record->css_set = css_set;
		return;
	}
	if (record->css_set == css_set)
		return;
	lease = bpf_map_lookup_elem(&CGROUP_SLOTS, &cgroup_id);
	if (lease) {
		record->lease = *lease;
	} else {
		record->lease.slot = task->flags & PF_KTHREAD ? SLOT_KERNEL : SLOT_OTHER;
		record->lease.generation = 0;
	}
	record->flags &= ~(FLAG_PROCESS | FLAG_PROVISIONAL);
	record->css_set = css_set;
}

static void report(struct bpf_iter__task *ctx, struct task_struct *task,
		   struct thread_record *record, u64 cgroup_id)
{
	struct thread_row row = {};

	row.cgroup_id = cgroup_id;
	row.started_ns = task->group_leader->start_boottime;
	row.lease = record->lease;
	row.tid = task->pid;
	row.tgid = task->tgid;
	row.parent_tgid = task->real_parent->tgid;
	row.session = BPF_CORE_READ(task, signal, pids[PIDTYPE_SID], numbers[0].nr);
	row.kernel_thread = !!(task->flags & PF_KTHREAD);
	bpf_core_read(&row.comm, sizeof(row.comm), &task->group_leader->comm);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
}

static int visit(struct bpf_iter__task *ctx, int report_all)
{
	struct task_struct *task = ctx->task;
	struct thread_record *record;
	u64 cgroup_id;

	if (!task)
		return 0;
	record = bpf_task_storage_get(&THREADS, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!record) {
		u32 first = 0;
		struct losses *losses = bpf_map_lookup_elem(&LOSSES, &first);

		if (losses)
			__sync_fetch_and_add(&losses->records_not_made, 1);
		return 0;
	}
	cgroup_id = task->cgroups->dfl_cgrp->dom_cgrp->kn->id;
	refresh(record, task, cgroup_id);
	if (report_all || (task->pid == task->tgid && is_root_process(task, cgroup_id)))
		report(ctx, task, record, cgroup_id);
	return 0;
}

/* Visits every thread and reports them all. */
SEC("iter/task")
int visit_threads(struct bpf_iter__task *ctx)
{
	return visit(ctx, 1);
}

/* Visits every thread and reports user processes in the root cgroup. */
SEC("iter/task")
int visit_processes(struct bpf_iter__task *ctx)
{
	return visit(ctx, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
