//! `BPF_MAP_TYPE_TASK_STORAGE`, which aya-ebpf does not wrap yet.
//!
//! One value a thread, kept by the kernel with the thread itself: it needs no table sized by
//! `pid_max`, survives an exec by a thread that is not the leader, and goes when the thread goes.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{
        BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE, bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE,
    },
    helpers::generated::bpf_task_storage_get,
};

use crate::offsets::Task;

/// A map definition in the form that loaders read from BTF: the types are the message, the fields
/// are never read.
#[repr(C)]
pub(crate) struct TaskStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the fields are placeholders for the loader and are never dereferenced.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    pub(crate) const fn new() -> Self {
        Self {
            r#type: ptr::null(),
            key: ptr::null(),
            value: ptr::null(),
            max_entries: ptr::null(),
            map_flags: ptr::null(),
        }
    }

    /// The thread's value, if it has one.
    #[inline(always)]
    pub(crate) fn get(&self, task: Task) -> Option<&mut T> {
        self.storage(task, 0)
    }

    /// The thread's value, made of zeroes if it has none. Allocates: never under a run-queue lock.
    #[inline(always)]
    pub(crate) fn get_or_create(&self, task: Task) -> Option<&mut T> {
        self.storage(task, u64::from(BPF_LOCAL_STORAGE_GET_F_CREATE))
    }

    #[allow(
        clippy::mut_from_ref,
        reason = "the value belongs to the task, not to the map; its writers hold the task's \
                  run-queue lock, or are the only ones that know the task yet"
    )]
    #[inline(always)]
    fn storage(&self, task: Task, flags: u64) -> Option<&mut T> {
        let map = ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: the verifier checks that `task` is a task; a null initial value means zeroes.
        let value =
            unsafe { bpf_task_storage_get(map, task.as_ptr().cast(), ptr::null_mut(), flags) };
        // SAFETY: the helper returns null or a value of the map's value size that lives at least
        // as long as this run of the program; all zeroes is a valid `ThreadRecord`.
        unsafe { value.cast::<T>().as_mut() }
    }
}
