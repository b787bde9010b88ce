//! The bzImage format: what a compressed kernel says of itself, and the kernel inside it.
//!
//! An emulated CPU takes five seconds to unpack Debian 12's kernel, the host's takes one, once.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The version that the image carries: a string at 0x200 plus the 16-bit value at 0x20e, up to its
/// first space. None if this is no bzImage.
pub(super) fn version(image: &[u8]) -> Option<String> {
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let offset = u16::from_le_bytes(image.get(0x20e..0x210)?.try_into().ok()?);
    let text = image.get(usize::from(offset) + 0x200..)?;
    let end = text.iter().position(|&byte| byte == b' ' || byte == 0)?;
    String::from_utf8(text[..end].to_owned()).ok()
}

/// Writes the kernel inside the bzImage `image` to `vmlinux`, if QEMU can boot that.
pub(super) fn unpack(image: &Path, vmlinux: &Path) -> Result<()> {
    let bytes = fs::read(image).with_context(|| format!("reading {}", image.display()))?;
    let payload = payload(&bytes).context("the image's header is cut short")?;
    let program = match payload {
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        _ => bail!("the kernel is packed in an unknown way"),
    };
    let mut packed = tempfile::tempfile().context("making a temporary file")?;
    packed
        .write_all(payload)
        .and_then(|()| packed.rewind())
        .context("writing the payload")?;
    let unpacked =
        File::create(vmlinux).with_context(|| format!("making {}", vmlinux.display()))?;
    let mut command = Command::new(program);
    command
        .arg("-dc")
        .stdin(packed)
        .stdout(unpacked)
        .stderr(Stdio::inherit());
    let status = command
        .status()
        .with_context(|| format!("starting {program}"))?;
    ensure!(status.success(), "{program} failed: {status}");
    let kernel = fs::read(vmlinux).with_context(|| format!("reading {}", vmlinux.display()))?;
    ensure!(
        has_pvh_entry(&kernel),
        "the kernel has no PVH entry, where QEMU would start it"
    );
    Ok(())
}

/// The packed kernel: it starts after the boot sectors (their number is at 0x1f1, and one more)
/// plus the value at 0x248, and is as long as the one at 0x24c, of which the last four bytes are
/// the unpacked length.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let value = |at: usize| {
        let bytes = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let start = (usize::from(*image.get(0x1f1)?) + 1) * 512 + value(0x248)?;
    image.get(start..start + value(0x24c)?.checked_sub(4)?)
}

/// Whether there is the ELF note of type 18 of "Xen", whose value has 4 or 8 bytes.
fn has_pvh_entry(kernel: &[u8]) -> bool {
    const NAME: &[u8] = b"\x12\0\0\0Xen\0";
    kernel
        .chunks_exact(4)
        .zip(kernel.chunks_exact(4).skip(1))
        .any(|(kind, name)| kind == &NAME[..4] && name == &NAME[4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_the_image_s_header() {
        let mut image = vec![0; 0x1000];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x300_u16.to_le_bytes());
        image[0x500..0x514].copy_from_slice(b"6.1.0-50-amd64 (who@");
        assert_eq!(version(&image).as_deref(), Some("6.1.0-50-amd64"));
        assert_eq!(version(b"\x7fELF"), None);
    }

    #[test]
    fn the_payload_lies_behind_the_boot_sectors_without_its_length() {
        let mut image = vec![0; 0x1000];
        image[0x1f1] = 3;
        image[0x248..0x24c].copy_from_slice(&0x10_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&9_u32.to_le_bytes());
        image[0x810..0x815].copy_from_slice(b"\xfd7zXZ");
        assert_eq!(payload(&image), Some(&b"\xfd7zXZ"[..]));
        assert_eq!(payload(&image[..0x812]), None);
    }

    #[test]
    fn only_a_kernel_with_the_note_can_be_started_unpacked() {
        let with_note = b"\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0\x50\x08\0\x01\0\0\0\0";
        assert!(has_pvh_entry(with_note));
        assert!(!has_pvh_entry(b"\x04\0\0\0\x08\0\0\0\x11\0\0\0Xen\0"));
    }
}
