//! What is known of a process, and what is worth finding out.

use std::collections::{BTreeMap, BTreeSet};

use super::AgentKey;

/// What is known of one process. A fact that was not read, or could not be, is `None`, and nothing
/// matches it. The caller bounds the lengths.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessFacts {
    /// Its id.
    pub pid: u32,
    /// When it started, in ns since boot.
    pub started_ns: u64,
    /// Its parent's id; 0 if it has none.
    pub parent: u32,
    /// The agent of who made it, if that is known otherwise than from its parent: whoever made it
    /// may have gone since.
    pub made_by: Option<AgentKey>,
    /// The path of its v2 cgroup, with or without a leading slash.
    pub cgroup: Option<String>,
    /// Its program's name as the kernel has it, at most 15 bytes.
    pub comm: Option<String>,
    /// Its command line, the arguments joined with spaces: see [`ProcessFacts::command_line`].
    pub cmdline: Option<String>,
    /// Its environment, or those variables of it that [`Needs`] names: see
    /// [`ProcessFacts::variables`].
    pub environment: Option<BTreeMap<String, String>>,
    /// Its effective user.
    pub uid: Option<u32>,
    /// Its systemd unit, as systemd writes it.
    pub unit: Option<String>,
    /// Its pod's namespace.
    pub pod_namespace: Option<String>,
    /// Its pod's labels.
    pub pod_labels: Option<BTreeMap<String, String>>,
}

impl ProcessFacts {
    /// The command line from arguments that each end with a zero byte, as the kernel gives them.
    pub fn command_line(arguments: &[u8]) -> String {
        let end = arguments
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        String::from_utf8_lossy(&arguments[..end]).replace('\0', " ")
    }

    /// The wanted variables from an environment block, whose entries each end with a zero byte. Of
    /// a variable that stands there twice the first counts, as for `getenv`.
    pub fn variables(block: &[u8], wanted: &BTreeSet<String>) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for entry in block.split(|&byte| byte == 0) {
            let text = String::from_utf8_lossy(entry);
            if let Some((name, value)) = text.split_once('=')
                && wanted.contains(name)
                && !found.contains_key(name)
            {
                found.insert(name.to_owned(), value.to_owned());
            }
        }
        found
    }
}

/// Which facts the rules look at: what is not asked for here need not be read. Process ids, start
/// times, parents, programs' names and cgroups are always needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact, independent of the others"
)]
pub struct Needs {
    /// Command lines.
    pub cmdline: bool,
    /// Names of environment variables.
    pub environment: BTreeSet<String>,
    /// Users.
    pub uid: bool,
    /// Systemd units.
    pub unit: bool,
    /// Namespaces of pods.
    pub pod_namespace: bool,
    /// Labels of pods.
    pub pod_labels: bool,
}

impl Needs {
    /// Asks for all that `other` asks for, too.
    pub(super) fn add(&mut self, other: Self) {
        self.cmdline |= other.cmdline;
        self.environment.extend(other.environment);
        self.uid |= other.uid;
        self.unit |= other.unit;
        self.pod_namespace |= other.pod_namespace;
        self.pod_labels |= other.pod_labels;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_joined_with_spaces() {
        assert_eq!(
            ProcessFacts::command_line(b"node\0server.js\0\0"),
            "node server.js"
        );
        assert_eq!(ProcessFacts::command_line(b"sh\0\0-c\0"), "sh  -c");
        assert_eq!(ProcessFacts::command_line(b""), "");
        assert_eq!(ProcessFacts::command_line(b"a\xff\0"), "a\u{fffd}");
    }

    #[test]
    fn only_wanted_variables_are_kept_and_the_first_of_two_counts() {
        let wanted = BTreeSet::from(["ID".to_owned()]);
        let block = b"HOME=/root\0ID=a=b\0ID=c\0junk\0";
        let variables = ProcessFacts::variables(block, &wanted);
        assert_eq!(
            variables,
            BTreeMap::from([("ID".to_owned(), "a=b".to_owned())])
        );
    }
}
