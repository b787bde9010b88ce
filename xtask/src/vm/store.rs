//! What a guest is made of: the packages behind it, fetched when they are not in the cache yet.

use std::cell::OnceCell;
use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::apt::Apt;
use super::cache::Cache;
use super::emulator::Emulator;
use super::kernel::{Choice, Kernel};

/// The cache together with the package source that fills it.
pub(super) struct Store {
    cache: Cache,
    /// Debian's code name for this machine's release.
    codename: String,
    /// Opened at the first package that is missing; a failure is kept, so as to wait only once.
    apt: OnceCell<Result<Apt, String>>,
}

impl Store {
    pub(super) fn open() -> Result<Self> {
        let codename = codename(&fs::read_to_string("/etc/os-release").unwrap_or_default());
        Ok(Self {
            cache: Cache::open()?,
            codename,
            apt: OnceCell::new(),
        })
    }

    /// The kernel asked for, with the index of its modules.
    pub(super) fn kernel(&self, choice: &Choice) -> Result<Kernel> {
        let (series, wanted) = match choice {
            Choice::Path(path) => {
                return Kernel::at(path, |modules, ver| self.indexed(modules, ver));
            }
            Choice::Linux6_1 => ("6.1", "linux-image-6.1."),
            Choice::Linux6_12 => ("6.12", "linux-image-6.12."),
        };
        let root = self
            .cache
            .entry(&format!("kernel-{series}"), |root| {
                announce(&format!("fetching Linux {series}"));
                let packages = self.apt()?.packages(wanted, is_full_image)?;
                let newest = packages.last();
                let package = newest.with_context(|| format!("no package {wanted}*-amd64"))?;
                self.apt()?.unpack(package, root)?;
                let kernel = Kernel::at(root, |modules, version| {
                    self.index(root, version)?;
                    Ok(modules.to_owned())
                })?;
                kernel.unpack_image(root).unwrap_or_else(|reason| {
                    announce(&format!("boots will take some seconds longer: {reason:#}"));
                });
                Ok(())
            })
            .with_context(|| {
                format!(
                    "getting Linux {series} from Debian (give --kernel PATH, a vmlinuz with its \
                     modules beside it, to use another)"
                )
            })?;
        Kernel::at(&root, |_, _| {
            bail!("the cached kernel in {} is damaged", root.display())
        })
    }

    /// QEMU from the backports, where Debian's release has an older one; else the machine's.
    pub(super) fn emulator(&self) -> Result<Emulator> {
        let fetched = self.cache.entry("qemu", |root| {
            announce("fetching QEMU");
            let packages = [
                "qemu-system-x86",
                "qemu-system-common",
                "qemu-system-data",
                "seabios",
            ];
            let suite = format!("{}-backports", self.codename);
            self.apt()?.unpack_runnable(&packages, &suite, root)?;
            Emulator::unpacked(root).map(drop)
        });
        fetched
            .and_then(|root| Emulator::unpacked(&root))
            .or_else(|reason| {
                let installed = installed("qemu-system-x86_64").ok_or_else(|| {
                    reason.context(
                        "getting QEMU from Debian's backports (to use another, install \
                     qemu-system-x86_64)",
                    )
                });
                let emulator = Emulator::on_machine(&installed?)?;
                announce(&format!(
                    "no QEMU from Debian's backports; using {}",
                    emulator.describe()
                ));
                Ok(emulator)
            })
    }

    /// A static busybox, for the initramfs.
    pub(super) fn busybox(&self) -> Result<PathBuf> {
        let fetched = self.cache.entry("busybox", |root| {
            announce("fetching busybox");
            self.apt()?.unpack("busybox-static", root)
        });
        let fetched = fetched.and_then(|root| {
            let places = ["bin/busybox", "usr/bin/busybox"].map(|place| root.join(place));
            places
                .into_iter()
                .find(|path| path.exists())
                .context("busybox-static has no busybox")
        });
        fetched.or_else(|reason| {
            let installed = installed("busybox")
                .ok_or_else(|| reason.context("getting busybox-static (or install it)"))?;
            announce(&format!(
                "using {}, which must be static",
                installed.display()
            ));
            Ok(installed)
        })
    }

    /// A directory with the modules in `modules` and an index of them: those are somebody's own, so
    /// the index is made in the cache.
    fn indexed(&self, modules: &Path, version: &str) -> Result<PathBuf> {
        let metadata =
            fs::metadata(modules).with_context(|| format!("looking at {}", modules.display()))?;
        let mut hasher = DefaultHasher::new();
        (modules, metadata.mtime(), metadata.mtime_nsec()).hash(&mut hasher);
        let name = format!("modules-{version}-{:016x}", hasher.finish());
        let root = self.cache.entry(&name, |root| {
            let folder = root.join("lib/modules").join(version);
            fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
            let reading = || format!("reading {}", modules.display());
            for entry in fs::read_dir(modules).with_context(reading)? {
                let entry = entry.with_context(reading)?;
                let link = folder.join(entry.file_name());
                symlink(entry.path(), &link)
                    .with_context(|| format!("making {}", link.display()))?;
            }
            self.index(root, version)
        })?;
        Ok(root.join("lib/modules").join(version))
    }

    /// Writes the module index (`modules.dep` and its binary form, which modprobe reads).
    fn index(&self, root: &Path, version: &str) -> Result<()> {
        announce(&format!("indexing the modules of {version}"));
        let mut depmod = self.depmod()?;
        depmod.arg("-b").arg(root).arg(version);
        let output = depmod
            .output()
            .with_context(|| format!("starting {depmod:?}"))?;
        let messages = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{depmod:?} failed: {}",
            messages.trim()
        );
        Ok(())
    }

    fn depmod(&self) -> Result<Command> {
        if let Some(path) = installed("depmod") {
            return Ok(Command::new(path));
        }
        let root = self.cache.entry("kmod", |root| {
            announce("fetching kmod");
            self.apt()?.unpack_runnable(&["kmod"], &self.codename, root)
        })?;
        // The package's `depmod` is a link to /bin/kmod, which is not there unless it is installed:
        // the program itself goes by the name that it is called by.
        let places = ["bin/kmod", "usr/bin/kmod"].map(|place| root.join(place));
        let path = places
            .into_iter()
            .find(|path| path.exists())
            .context("the package kmod holds no kmod")?;
        let mut command = Command::new(path);
        command
            .arg0("depmod")
            .env("LD_LIBRARY_PATH", library_path(&root));
        Ok(command)
    }

    fn apt(&self) -> Result<&Apt> {
        let open = || {
            let mut suites = vec![
                self.codename.clone(),
                format!("{}-backports", self.codename),
            ];
            suites.extend(["bookworm".to_owned(), "bookworm-backports".to_owned()]);
            suites.sort();
            suites.dedup();
            Apt::open(self.cache.path(), &suites).map_err(|error| format!("{error:#}"))
        };
        self.apt
            .get_or_init(open)
            .as_ref()
            .map_err(|message| anyhow!("{message}"))
    }
}

/// Where the libraries of an unpacked package are.
pub(super) fn library_path(root: &Path) -> String {
    let places = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
    places
        .map(|place| root.join(place).display().to_string())
        .join(":")
}

/// A program on the machine; system directories count even if PATH leaves them out.
pub(super) fn installed(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|path| {
            path.metadata()
                .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
        })
}

/// The full flavour: the cloud images lack 9p, the others are for other purposes.
fn is_full_image(package: &str) -> bool {
    package.ends_with("-amd64")
        && ["-cloud-", "-rt-"]
            .iter()
            .all(|flavour| !package.contains(flavour))
}

/// Debian 12 when the machine doesn't say: the suites must be named somehow.
fn codename(os_release: &str) -> String {
    let value = os_release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    value
        .map_or("bookworm", |value| value.trim_matches('"'))
        .to_owned()
}

fn announce(what: &str) {
    eprintln!("xtask vm: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_full_images_are_taken() {
        assert!(is_full_image("linux-image-6.12.95+deb12-amd64"));
        assert!(!is_full_image("linux-image-6.12.95+deb12-cloud-amd64"));
        assert!(!is_full_image("linux-image-6.12.95+deb12-rt-amd64"));
        assert!(!is_full_image("linux-image-6.1.0-50-amd64-unsigned"));
    }

    #[test]
    fn the_release_names_itself() {
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=trixie\n"), "trixie");
        assert_eq!(codename("ID=other\n"), "bookworm");
    }
}
