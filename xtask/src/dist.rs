//! `cargo xtask dist`: the archive that a release is.
//!
//! What is in it depends on the sources alone: files in order, without owners, all of the time of the last
//! commit, so that whoever builds it again on a machine with the same compiler can compare.

mod archive;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, bail, ensure};
use sha2::{Digest as _, Sha256};

use self::archive::{Entry, archive};
use crate::workspace;

const AFTER_HELP: &str = "\
The archive unpacks below a prefix: `tar -xzf … -C /usr/local --strip-components 1`. SHA256SUMS in it \
are of its files, and the file beside it is of the archive. Kernel programs are inside the binary.";

/// Build the release's archive: binary, unit, manual pages, completions, configuration, checksums.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DistArgs {
    /// Where the archive is put; target/dist if not given
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// Files of the tree that are in it, and where.
const DOCUMENTS: [(&str, &str); 6] = [
    ("README.md", "share/doc/hostler/README.md"),
    ("CHANGELOG.md", "share/doc/hostler/CHANGELOG.md"),
    ("LICENSE-MIT", "share/doc/hostler/LICENSE-MIT"),
    ("LICENSE-APACHE", "share/doc/hostler/LICENSE-APACHE"),
    ("agent/daemon/METRICS.md", "share/doc/hostler/METRICS.md"),
    (
        "agent/daemon/hostler.service",
        "lib/systemd/system/hostler.service",
    ),
];

/// Completions by shell, and where they are looked for.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/hostler"),
    ("zsh", "share/zsh/site-functions/_hostler"),
    ("fish", "share/fish/vendor_completions.d/hostler.fish"),
];

pub(crate) fn run(args: &DistArgs) -> Result<ExitCode> {
    let binary = build()?;
    let mut files = BTreeMap::new();
    files.insert(
        "bin/hostler".to_owned(),
        Entry::executable(stripped(&binary)?),
    );
    for (from, to) in DOCUMENTS {
        let path = workspace::root().join(from);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        files.insert(to.to_owned(), Entry::file(bytes));
    }
    for (shell, to) in COMPLETIONS {
        let script = output(Command::new(&binary).args(["completions", shell]))?;
        files.insert(to.to_owned(), Entry::file(script));
    }
    let default = output(Command::new(&binary).args(["config", "default"]))?;
    let to = "share/doc/hostler/hostler.toml";
    files.insert(to.to_owned(), Entry::file(default));
    for (name, page) in manual(&binary)? {
        files.insert(format!("share/man/man1/{name}"), Entry::file(page));
    }
    let sums = sums(&files);
    files.insert("SHA256SUMS".to_owned(), Entry::file(sums.into_bytes()));

    let name = format!(
        "hostler-{}-{}-linux",
        env!("CARGO_PKG_VERSION"),
        env::consts::ARCH
    );
    let bytes = archive(&name, &files, time()?)?;
    let folder = args.folder.clone();
    let folder = folder.unwrap_or_else(|| workspace::target_folder().join("dist"));
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let path = folder.join(format!("{name}.tar.gz"));
    let sum = format!("{}  {name}.tar.gz\n", sum(&bytes));
    write(&path, &bytes)?;
    write(
        &folder.join(format!("{name}.tar.gz.sha256")),
        sum.as_bytes(),
    )?;
    let mib = bytes.len() as f64 / 1_048_576.0;
    println!("{}: {} files, {mib:.1} MiB", path.display(), files.len());
    print!("{sum}");
    println!("needs at run time: {}", libraries(&binary)?.join(", "));
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// Builds the binary as it is released.
fn build() -> Result<PathBuf> {
    eprintln!("building hostler");
    let status = Command::new(workspace::cargo())
        .current_dir(workspace::root())
        .args(["build", "--release", "--locked", "--package", "hostler"])
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "building hostler failed ({status})");
    Ok(workspace::target_folder().join("release/hostler"))
}

/// A binary without line tables, which are two thirds of it; the names of functions stay for a crash report.
fn stripped(binary: &Path) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let small = folder.path().join("hostler");
    let mut strip = Command::new("strip");
    output(strip.arg("--strip-debug").arg("-o").arg(&small).arg(binary))?;
    fs::read(&small).with_context(|| format!("reading {}", small.display()))
}

fn manual(binary: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let folder = tempfile::tempdir().context("making a folder")?;
    output(
        Command::new(binary)
            .args(["man", "--dir"])
            .arg(folder.path()),
    )?;
    let mut pages = BTreeMap::new();
    for page in fs::read_dir(folder.path()).context("the manual pages")? {
        let path = page?.path();
        let name = path.file_name().context("a name")?.to_string_lossy();
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        pages.insert(name.into_owned(), bytes);
    }
    Ok(pages)
}

/// What a command writes.
fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed: {said}");
    }
    Ok(output.stdout)
}

/// What is in an archive was changed then: when the last commit was made, or when the variable says that is
/// known for that (<https://reproducible-builds.org/specs/source-date-epoch/>), in s since 1970.
fn time() -> Result<u64> {
    if let Ok(text) = env::var("SOURCE_DATE_EPOCH") {
        return text.parse().context("SOURCE_DATE_EPOCH is no number");
    }
    let mut git = Command::new("git");
    git.current_dir(workspace::root());
    let text = output(git.args(["log", "-1", "--format=%ct"]))?;
    let text = String::from_utf8(text).context("git's answer")?;
    text.trim().parse().context("the last commit's time")
}

/// Shared libraries that a binary names.
fn libraries(binary: &Path) -> Result<Vec<String>> {
    let text = output(Command::new("objdump").arg("-p").arg(binary))?;
    let text = String::from_utf8_lossy(&text);
    let needed = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("NEEDED"));
    let mut needed: Vec<String> = needed.map(|name| name.trim().to_owned()).collect();
    needed.sort();
    Ok(needed)
}

fn sum(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// As `sha256sum --check` reads them.
fn sums(files: &BTreeMap<String, Entry>) -> String {
    let line = |(path, entry): (&String, &Entry)| format!("{}  {path}\n", sum(&entry.bytes));
    files.iter().map(line).collect::<Vec<_>>().concat()
}
