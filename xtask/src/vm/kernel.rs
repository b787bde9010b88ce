//! A kernel image and its modules.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

use super::image;

/// Which kernel the guest boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Debian 12's own.
    Linux6_1,
    /// The one from Debian 12's backports.
    Linux6_12,
    /// A vmlinuz, or a directory with an unpacked kernel package.
    Path(PathBuf),
}

impl FromStr for Choice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "6.1" => Self::Linux6_1,
            "6.12" => Self::Linux6_12,
            path => Self::Path(PathBuf::from(path)),
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linux6_1 => formatter.write_str("6.1"),
            Self::Linux6_12 => formatter.write_str("6.12"),
            Self::Path(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// A kernel that can be booted.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) image: PathBuf,
    /// What `uname -r` says in the guest.
    pub(super) version: String,
    /// The directory of this version's modules, with their index.
    pub(super) modules: PathBuf,
}

impl Kernel {
    /// The kernel at `path`. Where its modules have no index, `index(modules, version)` makes one
    /// and returns the directory that has it.
    pub(super) fn at(path: &Path, index: impl Fn(&Path, &str) -> Result<PathBuf>) -> Result<Self> {
        let path = path
            .canonicalize()
            .with_context(|| format!("kernel {}", path.display()))?;
        let (image, roots) = if path.is_dir() {
            (image_in(&path)?, vec![path])
        } else {
            // A package's, wherever it was unpacked, or the machine's own.
            let around = path.ancestors().skip(1).map(Path::to_owned).collect();
            (path, around)
        };
        let bytes = fs::read(&image).with_context(|| format!("reading {}", image.display()))?;
        let version = image::version(&bytes)
            .with_context(|| format!("{} is not a Linux bzImage", image.display()))?;
        let (root, mut modules) = modules_in(&roots, &version)
            .with_context(|| format!("no modules of {version} beside {}", image.display()))?;
        if !modules.join("modules.dep").exists() {
            modules = index(&modules, &version)?;
        }
        let unpacked = root.join(unpacked_image(&version));
        let image = if unpacked.exists() { unpacked } else { image };
        Ok(Self {
            image,
            version,
            modules,
        })
    }

    /// Unpacks the image below `root`, where [`Kernel::at`] will find it.
    pub(super) fn unpack_image(&self, root: &Path) -> Result<()> {
        let unpacked = root.join(unpacked_image(&self.version));
        image::unpack(&self.image, &unpacked).inspect_err(|_| {
            let _ = fs::remove_file(&unpacked);
        })
    }
}

fn unpacked_image(version: &str) -> String {
    format!("boot/unpacked-{version}")
}

/// The one kernel of an unpacked package: Debian's are in `boot`, from Linux 7 on with the modules.
fn image_in(root: &Path) -> Result<PathBuf> {
    let mut images: Vec<PathBuf> = entries(&root.join("boot"))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("vmlinuz-")
        })
        .collect();
    for place in MODULE_PLACES {
        let beside_modules = entries(&root.join(place)).map(|path| path.join("vmlinuz"));
        images.extend(beside_modules.filter(|path| path.is_file()));
    }
    // `lib` may lead to `usr/lib`.
    let mut images: Vec<PathBuf> = images
        .iter()
        .filter_map(|it| it.canonicalize().ok())
        .collect();
    images.sort();
    images.dedup();
    ensure!(
        images.len() == 1,
        "{} holds {} kernels, not one (boot/vmlinuz-VERSION or lib/modules/VERSION/vmlinuz)",
        root.display(),
        images.len()
    );
    Ok(images.remove(0))
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(Result::ok).map(|entry| entry.path())
}

/// Where packages have modules.
const MODULE_PLACES: [&str; 2] = ["lib/modules", "usr/lib/modules"];

/// The modules of `version`, below the first of `roots` that has them.
fn modules_in(roots: &[PathBuf], version: &str) -> Option<(PathBuf, PathBuf)> {
    roots.iter().find_map(|root| {
        let modules = MODULE_PLACES.map(|place| root.join(place).join(version));
        let found = modules.into_iter().find(|modules| modules.is_dir())?;
        Some((root.clone(), found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_debian_s_and_anything_else_a_path() {
        assert_eq!("6.12".parse(), Ok(Choice::Linux6_12));
        assert_eq!(
            "./vmlinuz".parse(),
            Ok(Choice::Path(PathBuf::from("./vmlinuz")))
        );
    }

    #[test]
    fn the_one_kernel_of_a_package_is_found_in_both_layouts() {
        for place in ["boot/vmlinuz-7.3.4", "usr/lib/modules/7.3.4/vmlinuz"] {
            let root = tempfile::tempdir().expect("a directory can be made");
            let image = root.path().join(place);
            fs::create_dir_all(image.parent().expect("it has one")).expect("it can be made");
            assert!(image_in(root.path()).is_err(), "there is none yet");
            fs::write(&image, "").expect("it can be written");
            let image = image.canonicalize().expect("it is there");
            assert_eq!(image_in(root.path()).expect("there is one"), image);
        }
    }
}
