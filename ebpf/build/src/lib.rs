//! Builds Hostler's kernel programs.
//!
//! Rust for the BPF target wants a compiler that accepts unstable flags, `core`'s source, and
//! `bpf-linker`. Two distributions of that are known: rustup's nightly with `rust-src`, and
//! Debian's `rustc-web` with `rust-web-src`. [`Toolchain::find`] takes whichever is there, and
//! otherwise says what is missing and the one command that mends it. It is a crate of its own
//! since both `cargo xtask build-ebpf` and the build script of `hostler-observe` need it.

mod compile;
mod error;
mod toolchain;

pub use compile::{build, sources};
pub use error::Error;
pub use toolchain::Toolchain;
