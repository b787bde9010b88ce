//! Agents in the root cgroup, where no cgroup tells them apart.
//!
//! On a host without systemd or containers everything sits there. A process belongs with those
//! that run the same program in the same session: a session is what one log-in, one terminal or
//! one service start brought forth, so a build's hundreds of compilers are one agent, and the same
//! program in two terminals is two.

use std::fmt;

/// What the processes of one agent in the root cgroup share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProgramKey {
    /// The program's name.
    pub(crate) program: String,
    /// The id of the session's first process; 0 if there is none.
    pub(crate) session: u32,
}

impl fmt::Display for ProgramKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.session == 0 {
            return formatter.write_str(&self.program);
        }
        write!(formatter, "{}:{}", self.program, self.session)
    }
}
