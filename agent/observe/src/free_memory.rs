//! Memory that was freed and that the allocator keeps for later.
//!
//! What one thread allocates at each tick others free, between what stays: glibc's heaps get holes, and it
//! gives back by itself only what is at their ends. Beside 4,462 agents that had grown to 43 of the daemon's 110 MB in an
//! hour.
#![expect(unsafe_code, reason = "malloc_trim has no safe wrapper")]

/// Gives it back to the kernel. Other allocators than glibc's do so by themselves, or not at all.
pub fn give_back_free_memory() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: it touches free memory only, with the allocator's own locks held. There is no safe wrapper
        // for this call.
        let _any = unsafe { nix::libc::malloc_trim(0) };
    }
}
