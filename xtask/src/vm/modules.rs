//! Which modules the initramfs loads, and in which order.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// What mounting the host's files and talking to the host takes.
const NEEDED: [&str; 5] = [
    "virtio_pci",
    "9pnet_virtio",
    "9p",
    "overlay",
    "virtio_console",
];

/// A module to load: its file's name, uncompressed, and its content.
pub(super) struct Module {
    pub(super) name: String,
    pub(super) content: Vec<u8>,
}

/// The needed modules and what they depend on, dependencies first. `busybox` unpacks them, or the machine's zstd.
pub(super) fn needed(directory: &Path, busybox: &Path) -> Result<Vec<Module>> {
    let read = |name: &str| {
        let path = directory.join(name);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let order = load_order(&NEEDED, &read("modules.dep")?, &read("modules.builtin")?)?;
    order
        .iter()
        .map(|path| load(&directory.join(path), busybox))
        .collect()
}

fn load(path: &Path, busybox: &Path) -> Result<Module> {
    let file = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let unpack = match file.rsplit('.').next() {
        Some("ko") => None,
        Some("xz") => Some(command(busybox, &["xzcat"])),
        Some("gz") => Some(command(busybox, &["zcat"])),
        Some("zst") => Some(command(Path::new("zstd"), &["-dcq"])),
        _ => bail!("{} is compressed in an unknown way", path.display()),
    };
    let content = match unpack {
        None => fs::read(path).with_context(|| format!("reading {}", path.display()))?,
        Some(mut unpack) => {
            unpack.arg(path).stderr(Stdio::inherit());
            let output = unpack
                .output()
                .with_context(|| format!("starting {unpack:?} (install zstd for .zst modules)"))?;
            ensure!(output.status.success(), "{unpack:?} failed");
            output.stdout
        }
    };
    Ok(Module {
        name: format!("{}.ko", module_name(&file)),
        content,
    })
}

fn command(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// The files of `modules` and their dependencies, each after those it needs, as `modules.dep`
/// names them. What is built into the kernel needs no file.
fn load_order(modules: &[&str], dep: &str, builtin: &str) -> Result<Vec<String>> {
    let mut dependencies = HashMap::new();
    for (file, needs) in dep.lines().filter_map(|line| line.split_once(':')) {
        dependencies.insert(module_name(file), (file, needs));
    }
    let mut order = Vec::new();
    for &module in modules {
        if let Some((file, needs)) = dependencies.get(module) {
            // modules.dep lists all of them, also the indirect ones, the first to load last.
            for file in needs.split_whitespace().rev().chain([*file]) {
                if !order.iter().any(|known| known == file) {
                    order.push(file.to_owned());
                }
            }
        } else if !builtin.lines().any(|file| module_name(file) == module) {
            bail!("the kernel has no module {module} (Debian's cloud kernels lack some)");
        }
    }
    Ok(order)
}

/// `kernel/fs/9p/9p.ko.xz` is the module `9p`; file names may have `-` for `_`.
fn module_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split(".ko").next().unwrap_or(name).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/fscache.ko kernel/fs/netfs.ko\n\
                       kernel/net/9p/9pnet.ko:\n\
                       kernel/net/9p/9pnet-virtio.ko.xz: kernel/net/9p/9pnet.ko\n";

    #[test]
    fn each_module_comes_once_and_after_what_it_needs() {
        let order = load_order(&["9pnet_virtio", "9p"], DEP, "").expect("all are there");
        let expected = [
            "kernel/net/9p/9pnet.ko",
            "kernel/net/9p/9pnet-virtio.ko.xz",
            "kernel/fs/netfs.ko",
            "kernel/fs/fscache.ko",
            "kernel/fs/9p/9p.ko",
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn what_is_built_in_needs_no_file_and_what_is_nowhere_is_an_error() {
        let builtin = "kernel/drivers/virtio/virtio_pci.ko\n";
        assert!(
            load_order(&["virtio_pci"], DEP, builtin)
                .expect("it is built in")
                .is_empty()
        );
        let error = load_order(&["overlay"], DEP, builtin).expect_err("it is nowhere");
        assert!(error.to_string().contains("overlay"));
    }
}
