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
    /// The kernel at `path`. Where its modules have no index, `index(root, version)` makes it.
    pub(super) fn at(path: &Path, index: impl Fn(&Path, &str) -> Result<()>) -> Result<Self> {
        let path = path
            .canonicalize()
            .with_context(|| format!("kernel {}", path.display()))?;
        let (image, roots) = if path.is_dir() {
            (image_in(&path)?, vec![path])
        } else {
            let beside = path.ancestors().nth(2).map(Path::to_owned);
            (
                path,
                beside.into_iter().chain([PathBuf::from("/")]).collect(),
            )
        };
        let bytes = fs::read(&image).with_context(|| format!("reading {}", image.display()))?;
        let version = image::version(&bytes)
            .with_context(|| format!("{} is not a Linux bzImage", image.display()))?;
        let (root, modules) = modules_in(&roots, &version)
            .with_context(|| format!("no modules of {version} beside {}", image.display()))?;
        if !modules.join("modules.dep").exists() {
            index(&root, &version)?;
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

fn image_in(root: &Path) -> Result<PathBuf> {
    let boot = root.join("boot");
    let entries = fs::read_dir(&boot).with_context(|| format!("reading {}", boot.display()))?;
    let mut images: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("vmlinuz-"))
        .map(|entry| entry.path())
        .collect();
    ensure!(
        images.len() == 1,
        "{} holds {} kernels, not one",
        boot.display(),
        images.len()
    );
    Ok(images.remove(0))
}

/// The modules of `version`, below the first of `roots` that has them.
fn modules_in(roots: &[PathBuf], version: &str) -> Option<(PathBuf, PathBuf)> {
    roots.iter().find_map(|root| {
        let places = ["lib/modules", "usr/lib/modules"];
        let modules = places.iter().map(|place| root.join(place).join(version));
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
}
