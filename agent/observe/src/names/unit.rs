//! systemd units in cgroup paths.

use super::folders::components;

/// A systemd unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit<'path> {
    /// Its name as systemd writes it.
    pub(super) written: &'path str,
    /// The user whose session or service manager runs it.
    pub(super) user: Option<u32>,
    /// The path below it.
    pub(super) rest: &'path str,
}

impl Unit<'_> {
    /// The name to show. Units of users say whose they are, since each user has a `dbus.service`.
    pub(super) fn name(&self) -> String {
        let name = unescaped(self.written);
        match self.user {
            Some(user) => format!("user-{user}/{name}"),
            None => name,
        }
    }
}

/// The innermost service or scope of a path, as systemd writes it: also the scope that a container
/// lives in.
pub(crate) fn unit_of(path: &str) -> Option<&str> {
    innermost_unit(path).map(|unit| unit.written)
}

pub(super) fn innermost_unit(path: &str) -> Option<Unit<'_>> {
    let unit = components(path)
        .rev()
        .find(|component| is_unit(component.name))?;
    let above = &path[..unit.start];
    Some(Unit {
        written: unit.name,
        user: manager_of(above).or_else(|| session_of(above, unit.name)),
        rest: unit.below,
    })
}

fn is_unit(name: &str) -> bool {
    [".service", ".scope"]
        .iter()
        .any(|ending| name.len() > ending.len() && name.ends_with(ending))
}

/// The user whose service manager, `user@1000.service`, the path is in.
fn manager_of(above: &str) -> Option<u32> {
    components(above)
        .rev()
        .find_map(|folder| between("user@", folder.name, ".service"))
}

/// The user whose log-in session a scope is. The user's slice alone tells nothing of a unit: the
/// service manager in it is the system's.
fn session_of(above: &str, unit: &str) -> Option<u32> {
    unit.strip_prefix("session-")?;
    components(above)
        .rev()
        .find_map(|folder| between("user-", folder.name, ".slice"))
}

fn between(prefix: &str, name: &str, suffix: &str) -> Option<u32> {
    name.strip_prefix(prefix)?
        .strip_suffix(suffix)?
        .parse()
        .ok()
}

/// systemd writes a byte that can't stand in a unit's name as `\x2d`.
fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if let Some((byte, beyond)) = escape(rest) {
            bytes.push(byte);
            rest = beyond;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An escape at the beginning of `bytes`, and what follows it.
fn escape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, beyond) = bytes.strip_prefix(br"\x")?.split_at_checked(2)?;
    let [high, low] = [digits[0], digits[1]].map(|digit| char::from(digit).to_digit(16));
    let byte = u8::try_from(high? * 16 + low?).ok()?;
    Some((byte, beyond))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> Option<String> {
        innermost_unit(path).map(|unit| unit.name())
    }

    #[test]
    fn the_innermost_unit_counts_and_keeps_what_is_below_it() {
        let unit = innermost_unit("/system.slice/ssh.service/a/b").expect("a unit");
        assert_eq!((unit.written, unit.rest), ("ssh.service", "a/b"));
        assert_eq!(
            unit_of("/a.slice/outer.service/inner.scope"),
            Some("inner.scope")
        );
        assert_eq!(unit_of("/system.slice"), None);
        assert_eq!(unit_of("/x/.service"), None);
    }

    #[test]
    fn escapes_are_undone_for_people_and_kept_for_rules() {
        let path = r"/system.slice/system-agent.slice/agent@a\x2db.service";
        assert_eq!(name(path).as_deref(), Some("agent@a-b.service"));
        assert_eq!(unit_of(path), Some(r"agent@a\x2db.service"));
        for broken in [r"\x", r"\x2", r"\xzz", r"\x+1"] {
            let unit = format!("{broken}.service");
            assert_eq!(unescaped(&unit), unit);
        }
        assert_eq!(unescaped(r"\xff.service"), "\u{fffd}.service");
    }

    #[test]
    fn a_user_s_unit_says_whose_it_is() {
        let manager = "/user.slice/user-1000.slice/user@1000.service";
        assert_eq!(
            name(&format!("{manager}/app.slice/dbus.service")).as_deref(),
            Some("user-1000/dbus.service")
        );
        assert_eq!(name(manager).as_deref(), Some("user@1000.service"));
    }

    #[test]
    fn a_session_says_whose_it_is() {
        assert_eq!(
            name("/user.slice/user-1000.slice/session-3.scope").as_deref(),
            Some("user-1000/session-3.scope")
        );
    }
}
