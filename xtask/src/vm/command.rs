//! The command for the guest, written down as a shell script: quoting carries any bytes.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::run::Task;

/// Variables that mean the same in the guest, since it has the host's files.
const SHARED: [&str; 15] = [
    "CARGO_HOME",
    "CARGO_MANIFEST_DIR",
    "CARGO_TARGET_DIR",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "PATH",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "RUST_TEST_THREADS",
    "TERM",
    "TZ",
    "USER",
];
const SHARED_PREFIXES: [&str; 2] = ["RUSTUP_", "HOSTLER_"];

/// Directories every command finds its tools in, behind those of the host's PATH.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment the guest gets from this process's.
pub(super) fn environment() -> Vec<(OsString, OsString)> {
    guest_environment(env::vars_os())
}

fn guest_environment(
    host: impl Iterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<(OsString, OsString)> = host
        .filter(|(name, _)| {
            name.to_str().is_some_and(|name| {
                SHARED.contains(&name)
                    || SHARED_PREFIXES
                        .iter()
                        .any(|prefix| name.starts_with(prefix))
            })
        })
        .filter(|(name, _)| name.as_bytes().iter().all(|byte| is_name_byte(*byte)))
        .collect();
    match variables.iter_mut().find(|(name, _)| name == "PATH") {
        Some((_, path)) => {
            path.push(":");
            path.push(SYSTEM_PATH);
        }
        None => variables.push(("PATH".into(), SYSTEM_PATH.into())),
    }
    if !variables.iter().any(|(name, _)| name == "HOME") {
        variables.push(("HOME".into(), "/root".into()));
    }
    variables.retain(|(name, _)| name != "HOSTLER_GUEST");
    variables.push(("HOSTLER_GUEST".into(), "1".into()));
    variables
}

fn is_name_byte(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// A script that does the task in `directory` with just these variables.
pub(super) fn script(
    environment: &[(OsString, OsString)],
    directory: &Path,
    task: &Task,
) -> Vec<u8> {
    let mut script = Vec::new();
    for (name, value) in environment {
        script.extend_from_slice(b"export ");
        script.extend_from_slice(name.as_bytes());
        script.push(b'=');
        quote(value, &mut script);
        script.push(b'\n');
    }
    script.extend_from_slice(b"cd -- ");
    quote(directory.as_os_str(), &mut script);
    script.extend_from_slice(b" || exit 126\nunset OLDPWD\n");
    match task {
        Task::Command(words) => {
            script.extend_from_slice(b"exec");
            for word in words {
                script.push(b' ');
                quote(word, &mut script);
            }
            script.push(b'\n');
        }
        Task::Script(text) => script.extend_from_slice(text.as_bytes()),
    }
    script
}

/// In single quotes the shell takes every byte as it is, but the quote itself.
pub(super) fn quote(word: &OsStr, script: &mut Vec<u8>) {
    script.push(b'\'');
    for &byte in word.as_bytes() {
        match byte {
            b'\'' => script.extend_from_slice(b"'\\''"),
            _ => script.push(byte),
        }
    }
    script.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;
    use std::process::Command;

    #[test]
    fn the_shell_gives_back_any_bytes_in_arguments_and_variables() {
        let bytes = OsString::from_vec((1..=255).collect());
        let environment = [("VALUE".into(), bytes.clone())];
        let print = r#"printf %s%s "$1" "$VALUE""#.into();
        let command = ["sh".into(), "-c".into(), print, "sh".into(), bytes.clone()];
        let task = Task::Command(command.into());
        let script = script(&environment, Path::new("/"), &task);
        let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        std::fs::write(file.path(), script).expect("the script can be written");
        let output = Command::new("sh")
            .arg(file.path())
            .output()
            .expect("sh runs");
        let twice = [bytes.as_bytes(), bytes.as_bytes()].concat();
        assert_eq!(output.stdout, twice);
    }

    #[test]
    fn the_guest_keeps_the_host_s_path_and_learns_that_it_is_a_guest() {
        let host = [("PATH", "/opt/bin"), ("SECRET", "x"), ("RUSTUP_HOME", "/r")];
        let host = host.map(|(name, value)| (name.into(), value.into()));
        let guest = guest_environment(host.into_iter());
        let expected = [
            ("PATH", format!("/opt/bin:{SYSTEM_PATH}")),
            ("RUSTUP_HOME", "/r".to_owned()),
            ("HOME", "/root".to_owned()),
            ("HOSTLER_GUEST", "1".to_owned()),
        ];
        assert_eq!(
            guest,
            expected.map(|(name, value)| (name.into(), value.into()))
        );
    }
}
