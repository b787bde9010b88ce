//! Words that both sides touch at the same time.
//!
//! They stand in for `core`'s atomics: the BPF target has no `AtomicU32` at all, and its
//! `AtomicU64` can't add. Loads and stores are single aligned instructions on every target that
//! has BPF, which is what "relaxed" promises; the kernel side adds by an instruction of its own.
#![allow(
    unsafe_code,
    reason = "a word shared with the kernel is reached through a raw pointer, as in core's atomics"
)]

use core::cell::UnsafeCell;

macro_rules! shared_word {
    ($(#[$doc:meta])* $name:ident, $word:ty) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Default)]
        pub struct $name(UnsafeCell<$word>);

        // SAFETY: all access goes through single volatile loads and stores of an aligned word, or
        // through the pointer, whose users promise as much.
        unsafe impl Sync for $name {}

        impl $name {
            /// A word with a first value.
            pub const fn new(value: $word) -> Self {
                Self(UnsafeCell::new(value))
            }

            /// The value at this moment.
            #[inline(always)]
            pub fn load(&self) -> $word {
                // SAFETY: the cell is valid and aligned; volatile, since others write to it.
                unsafe { self.0.get().read_volatile() }
            }

            /// Replaces the value.
            #[inline(always)]
            pub fn store(&self, value: $word) {
                // SAFETY: as in `load`.
                unsafe { self.0.get().write_volatile(value) }
            }

            /// For atomic instructions that the language does not offer on this target.
            #[inline(always)]
            pub const fn as_ptr(&self) -> *mut $word {
                self.0.get()
            }
        }
    };
}

shared_word!(
    /// A 32-bit word shared between the kernel's programs and user space.
    SharedU32,
    u32
);
shared_word!(
    /// A 64-bit word shared between the kernel's programs and user space.
    SharedU64,
    u64
);
