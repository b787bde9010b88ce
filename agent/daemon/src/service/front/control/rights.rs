//! Who may do what.

use std::{
    ffi::CString,
    sync::{Mutex, PoisonError},
};

use nix::unistd::{Gid, Uid, User, getgrouplist};

use crate::config::{ControlConfig, Others};

/// What somebody may do; more than what comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    Nothing,
    Read,
    /// All that root may.
    Change,
}

/// What whom is allowed, by the configuration.
pub(super) struct Rights {
    allowed: Mutex<Allowed>,
}

#[derive(Clone, Copy)]
struct Allowed {
    group: Option<Gid>,
    others: Others,
}

impl Rights {
    pub(super) fn new(config: &ControlConfig) -> Self {
        Self {
            allowed: Mutex::new(Allowed::of(config)),
        }
    }

    /// Holds for whoever connects from now on.
    pub(super) fn set(&self, config: &ControlConfig) {
        *self.allowed.lock().unwrap_or_else(PoisonError::into_inner) = Allowed::of(config);
    }

    /// What a user may do. Asks the system for the user's groups, which can take a while.
    pub(super) fn of(&self, uid: Uid, gid: Gid) -> Right {
        let allowed = *self.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        if uid.is_root() || uid == Uid::effective() {
            return Right::Change;
        }
        match (allowed.group, allowed.others) {
            (Some(group), _) if gid == group || is_member(uid, gid, group) => Right::Change,
            (_, Others::Read) => Right::Read,
            (_, Others::Nothing) => Right::Nothing,
        }
    }
}

impl Allowed {
    fn of(config: &ControlConfig) -> Self {
        Self {
            group: config.group,
            others: config.others,
        }
    }
}

/// Whether the system's lists say so. The groups of the process itself are not told of by a socket.
fn is_member(uid: Uid, gid: Gid, group: Gid) -> bool {
    let groups = User::from_uid(uid).ok().flatten().and_then(|user| {
        let name = CString::new(user.name).ok()?;
        getgrouplist(&name, gid).ok()
    });
    groups.is_some_and(|groups| groups.contains(&group))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOMEBODY: (Uid, Gid) = (Uid::from_raw(54_321), Gid::from_raw(54_321));

    fn rights(group: Option<u32>, others: Others) -> Rights {
        Rights::new(&ControlConfig {
            socket: "/run/a".into(),
            group: group.map(Gid::from_raw),
            others,
        })
    }

    #[test]
    fn root_may_do_all_and_others_what_they_are_allowed() {
        let (uid, gid) = SOMEBODY;
        let closed = rights(None, Others::Nothing);
        assert_eq!(closed.of(Uid::from_raw(0), gid), Right::Change);
        assert_eq!(closed.of(uid, gid), Right::Nothing);
        assert_eq!(rights(None, Others::Read).of(uid, gid), Right::Read);
    }

    #[test]
    fn members_of_the_group_may_do_all() {
        let (uid, gid) = SOMEBODY;
        let open = rights(Some(gid.as_raw()), Others::Nothing);
        assert_eq!(open.of(uid, gid), Right::Change);
        assert_eq!(open.of(uid, Gid::from_raw(1)), Right::Nothing);
    }

    #[test]
    fn a_right_that_is_set_anew_holds_for_whoever_comes_later() {
        let (uid, gid) = SOMEBODY;
        let changed = rights(None, Others::Nothing);
        changed.set(&ControlConfig {
            socket: "/run/a".into(),
            group: None,
            others: Others::Read,
        });
        assert_eq!(changed.of(uid, gid), Right::Read);
    }
}
