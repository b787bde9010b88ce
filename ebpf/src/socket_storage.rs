//! `BPF_MAP_TYPE_SK_STORAGE` for sockets that come from anywhere: aya-ebpf's wants the context of a
//! program that is asked about an address.
//!
//! One value a socket, kept by the kernel with the socket itself. A socket that is accepted begins
//! with a copy of its listener's value.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{
        BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE,
        bpf_map_type::BPF_MAP_TYPE_SK_STORAGE,
    },
    helpers::generated::bpf_sk_storage_get,
};

use crate::offsets::Socket;

const FLAGS: usize = (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize;

/// A map definition in the form that loaders read from BTF: the types are the message, the fields
/// are never read.
#[repr(C)]
pub(crate) struct SocketStorage<T> {
    r#type: *const [i32; BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; FLAGS],
}

// SAFETY: the fields are placeholders for the loader and are never dereferenced.
unsafe impl<T> Sync for SocketStorage<T> {}

impl<T> SocketStorage<T> {
    pub(crate) const fn new() -> Self {
        Self {
            r#type: ptr::null(),
            key: ptr::null(),
            value: ptr::null(),
            max_entries: ptr::null(),
            map_flags: ptr::null(),
        }
    }

    /// The socket's value, if it has one.
    #[inline(always)]
    pub(crate) fn get(&self, socket: Socket) -> Option<&mut T> {
        self.storage(socket, ptr::null_mut(), 0)
    }

    /// The socket's value, `first` if it had none. Allocates.
    #[inline(always)]
    pub(crate) fn get_or_create(&self, socket: Socket, first: &mut T) -> Option<&mut T> {
        let flags = u64::from(BPF_SK_STORAGE_GET_F_CREATE);
        self.storage(socket, ptr::from_mut(first), flags)
    }

    #[allow(
        clippy::mut_from_ref,
        reason = "the value belongs to the socket, not to the map; its writers hold the socket's \
                  lock, or have just made it"
    )]
    #[inline(always)]
    fn storage(&self, socket: Socket, first: *mut T, flags: u64) -> Option<&mut T> {
        let map = ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: the verifier checks that `socket` is a socket; `first` is null or a value.
        let value = unsafe { bpf_sk_storage_get(map, socket.as_ptr(), first.cast(), flags) };
        // SAFETY: the helper returns null or a value of the map's value size that lives at least
        // as long as this run of the program; all zeroes is a valid `SocketRecord`.
        unsafe { value.cast::<T>().as_mut() }
    }
}
