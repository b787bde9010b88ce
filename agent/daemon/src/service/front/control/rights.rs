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

    fn allowed(&self) -> Allowed {
        *self.allowed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a user may do, if the lists of users need not be asked for it.
    pub(super) fn known(&self, uid: Uid, gid: Gid) -> Option<Right> {
        let allowed = self.allowed();
        if uid.is_root() || uid == Uid::effective() {
            return Some(Right::Change);
        }
        match allowed.group {
            None => Some(allowed.of_others()),
            Some(group) if group == gid => Some(Right::Change),
            Some(_) => None,
        }
    }

    /// What a user may do by the lists of users, which can take a while: they may lie on another host.
    pub(super) fn looked_up(&self, uid: Uid, gid: Gid) -> Right {
        let allowed = self.allowed();
        match allowed.group {
            Some(group) if is_member(uid, gid, group) => Right::Change,
            _ => allowed.of_others(),
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

    fn of_others(self) -> Right {
        match self.others {
            Others::Read => Right::Read,
            Others::Nothing => Right::Nothing,
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

    fn right(rights: &Rights, uid: Uid, gid: Gid) -> Right {
        let known = rights.known(uid, gid);
        known.unwrap_or_else(|| rights.looked_up(uid, gid))
    }

    #[test]
    fn root_may_do_all_and_others_what_they_are_allowed() {
        let (uid, gid) = SOMEBODY;
        let closed = rights(None, Others::Nothing);
        assert_eq!(right(&closed, Uid::from_raw(0), gid), Right::Change);
        assert_eq!(right(&closed, uid, gid), Right::Nothing);
        assert_eq!(right(&rights(None, Others::Read), uid, gid), Right::Read);
    }

    #[test]
    fn members_of_the_group_may_do_all() {
        let (uid, gid) = SOMEBODY;
        let open = rights(Some(gid.as_raw()), Others::Nothing);
        assert_eq!(right(&open, uid, gid), Right::Change);
        assert_eq!(right(&open, uid, Gid::from_raw(1)), Right::Nothing);
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
        assert_eq!(right(&changed, uid, gid), Right::Read);
    }
}
