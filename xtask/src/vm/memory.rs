//! Whether the machine has the memory that a guest is to get.

use std::fs;

use anyhow::{Result, ensure};

/// What the emulator takes beside the guest's memory, in MiB.
const EMULATOR_MIB: u64 = 128;

/// Fails if a guest with this much memory might be ended for want of it, in the middle of its work.
pub(super) fn check(guest_mib: u32) -> Result<()> {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    // Where the kernel does not say, the emulator will.
    let Some(available_mib) = available_mib(&meminfo) else {
        return Ok(());
    };
    let wanted_mib = u64::from(guest_mib) + EMULATOR_MIB;
    ensure!(
        available_mib >= wanted_mib,
        "a guest with {guest_mib} MiB of memory takes {wanted_mib} MiB of this machine's, of which \
         {available_mib} MiB are available: end something, or let `cargo xtask vm` give the guest less by --memory"
    );
    Ok(())
}

fn available_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_read_in_mebibytes() {
        let meminfo = "MemTotal:       24656312 kB\nMemAvailable:    2097152 kB\n";
        assert_eq!(available_mib(meminfo), Some(2048));
        assert_eq!(available_mib("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn a_guest_larger_than_the_machine_is_refused_with_both_figures() {
        let error = check(u32::MAX).expect_err("no machine has four pebibytes");
        let text = error.to_string();
        assert!(
            text.contains("4294967295 MiB") && text.contains("--memory"),
            "{text}"
        );
    }
}
