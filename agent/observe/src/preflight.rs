//! What must be true of the host before anything is loaded, so that each lack gets its own clear
//! sentence instead of whatever the kernel would have said.

use std::path::Path;

use caps::{CapSet, Capability};

use crate::ObserveError;

/// Where the kernel describes its types.
pub(crate) const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// The oldest kernel that the programs are tried on.
const OLDEST: (u32, u32) = (6, 1);
const OLDEST_NAME: &str = "6.1";

/// Checks kernel, capabilities and BTF, in the order in which lacking them is most telling.
pub(crate) fn check() -> Result<(), ObserveError> {
    check_release(&release())?;
    check_capabilities()?;
    if !Path::new(BTF_PATH).exists() {
        return Err(ObserveError::NoBtf {
            path: BTF_PATH.into(),
        });
    }
    Ok(())
}

/// The running kernel's release, as `uname -r` prints it.
pub fn release() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.release().to_string_lossy().into_owned(),
    )
}

/// The host's name.
pub fn host_name() -> String {
    nix::unistd::gethostname().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn check_release(release: &str) -> Result<(), ObserveError> {
    if is_at_least(release, OLDEST) {
        return Ok(());
    }
    Err(ObserveError::KernelTooOld {
        found: release.to_owned(),
        needed: OLDEST_NAME,
    })
}

/// Whether a kernel's release is that version or newer. One that can't be read counts as new: the
/// kernel will say.
pub(crate) fn is_at_least(release: &str, version: (u32, u32)) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= version,
        _ => true,
    }
}

/// The capabilities that loading needs. `CAP_SYS_ADMIN` alone counts for the first two, as it does
/// in the kernel.
fn check_capabilities() -> Result<(), ObserveError> {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    if has(Capability::CAP_SYS_ADMIN) {
        return Ok(());
    }
    let missing: Vec<&'static str> = [
        (Capability::CAP_BPF, "CAP_BPF"),
        (Capability::CAP_PERFMON, "CAP_PERFMON"),
    ]
    .into_iter()
    .filter(|&(capability, _)| !has(capability))
    .map(|(_, name)| name)
    .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(ObserveError::MissingCapability { missing })
    }
}

/// The capability that programs which follow sockets need beside the others, if it is missing.
pub(crate) fn lacks_for_sockets() -> Option<&'static str> {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    let may = has(Capability::CAP_NET_ADMIN) || has(Capability::CAP_SYS_ADMIN);
    (!may).then_some("CAP_NET_ADMIN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_before_6_1_are_refused() {
        for old in ["5.15.0-91-generic", "6.0.19", "4.18.0-553.el8"] {
            let refused = check_release(old).expect_err("it is too old");
            assert!(refused.to_string().contains(old), "{refused}");
        }
    }

    #[test]
    fn kernels_from_6_1_on_and_unreadable_releases_pass() {
        for release in ["6.1.0-30-amd64", "6.12.9", "7.0.0-rc1", "10.2", "custom"] {
            check_release(release).expect("it is new enough");
        }
    }
}
