//! A load that holds still before its work and after it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout},
};

use super::account::Account;
use crate::host::TestCgroup;

/// A process that says `ready`, works when it is told to, says `done`, and stays until its input
/// ends.
pub(super) struct Staged {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Staged {
    /// Starts one of this binary's staged loads, and waits until it holds still.
    pub(super) fn start(cgroup: &TestCgroup, words: &[&str]) -> Self {
        Self::of(cgroup.start_load(&[&["staged"], words].concat()))
    }

    /// A process that keeps to the protocol; waits until it holds still.
    pub(super) fn of(mut child: Child) -> Self {
        let input = child.stdin.take().expect("it is a pipe");
        let output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut staged = Self {
            child,
            input,
            output,
        };
        staged.expect("ready");
        staged.account();
        staged
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the kernel has counted for it, as soon as it holds still.
    pub(super) fn account(&self) -> Account {
        Account::when_still(self.pid())
    }

    /// Tells it to work.
    pub(super) fn go(&mut self) {
        self.input.write_all(b"go\n").expect("the load reads");
    }

    /// Waits until its work is done and it holds still again; what it says of its work.
    pub(super) fn wait_until_done(&mut self) -> String {
        let said = self.expect("done");
        self.account();
        said
    }

    /// Lets it work from beginning to end; what it says of its work.
    pub(super) fn work(&mut self) -> String {
        self.go();
        self.wait_until_done()
    }

    /// Lets it end.
    pub(super) fn end(mut self) {
        drop(self.input);
        let status = self.child.wait().expect("the load can be waited for");
        assert!(status.success(), "the load ends with {status}");
    }

    fn expect(&mut self, word: &str) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the load prints");
        let rest = line.trim_end().strip_prefix(word);
        rest.unwrap_or_else(|| panic!("the load says {line:?}, not {word}"))
            .trim()
            .to_owned()
    }
}
