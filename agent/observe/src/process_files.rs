//! What a process was called with, from its files below `/proc`, read within bounds: whoever
//! starts a process chooses what they hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
};

use hostler_decide::identity::ProcessFacts;

/// How much of a command line is read, in bytes. What identifies a program stands at its beginning.
const MAX_COMMAND_LINE_BYTES: u64 = 16 << 10;

/// How much of an environment is read, in bytes.
const MAX_ENVIRONMENT_BYTES: u64 = 256 << 10;

/// A process's command line; `None` if it is gone or has none.
pub(crate) fn command_line(tgid: u32) -> Option<String> {
    let bytes = start_of(tgid, "cmdline", MAX_COMMAND_LINE_BYTES)?;
    Some(ProcessFacts::command_line(&bytes)).filter(|line| !line.is_empty())
}

/// Those variables of a process that are wanted, as they were when it began to run its program;
/// `None` if it is gone. Others are forgotten at once: they may hold secrets.
pub(crate) fn environment(
    tgid: u32,
    wanted: &BTreeSet<String>,
) -> Option<BTreeMap<String, String>> {
    let mut bytes = start_of(tgid, "environ", MAX_ENVIRONMENT_BYTES)?;
    if bytes.len() as u64 == MAX_ENVIRONMENT_BYTES {
        // Half a value is no value.
        let whole = bytes.iter().rposition(|&byte| byte == 0).unwrap_or(0);
        bytes.truncate(whole);
    }
    Some(ProcessFacts::variables(&bytes, wanted))
}

/// Whether the environments of other users' processes can be read: those of the first process, which
/// is root's, can't be without the right to trace.
pub(crate) fn may_read_environments() -> bool {
    let first = File::open("/proc/1/environ");
    !first.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

fn start_of(tgid: u32, name: &str, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = File::open(format!("/proc/{tgid}/{name}")).ok()?.take(limit);
    file.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_command_line_and_the_variables_that_it_was_started_with() {
        let own = std::process::id();
        let line = command_line(own).expect("it has one");
        assert!(line.contains("hostler_observe"), "{line}");
        let wanted = BTreeSet::from(["PATH".to_owned(), "NO_SUCH_VARIABLE".to_owned()]);
        let variables = environment(own, &wanted).expect("it can be read");
        assert_eq!(variables.keys().collect::<Vec<_>>(), ["PATH"]);
    }

    #[test]
    fn a_process_that_is_gone_has_neither() {
        assert_eq!(command_line(u32::MAX), None);
        assert_eq!(environment(u32::MAX, &BTreeSet::new()), None);
    }
}
