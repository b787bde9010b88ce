//! The control API as it is configured.

use std::path::PathBuf;

use nix::{
    sys::socket::UnixAddr,
    unistd::{Gid, Group},
};

use super::{Others, RawControl};

/// The control API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    /// Where to listen.
    pub socket: PathBuf,
    /// The group that may do all.
    pub group: Option<Gid>,
    /// What others may do.
    pub others: Others,
}

impl ControlConfig {
    /// What is written of it; `None` if there is to be none, and a key and a sentence if it makes no sense.
    pub(super) fn read(raw: &RawControl) -> Result<Option<Self>, (String, String)> {
        let refused = |key: &str, message: String| (format!("control.{key}"), message);
        if raw.socket.is_empty() {
            return Ok(None);
        }
        let socket = PathBuf::from(&raw.socket);
        if !socket.is_absolute() || UnixAddr::new(&socket).is_err() {
            let message = format!("`{}` is not the whole path of a socket", raw.socket);
            return Err(refused("socket", message));
        }
        let group = match &*raw.group {
            "" => None,
            name => match Group::from_name(name) {
                Ok(Some(group)) => Some(group.gid),
                Ok(None) => {
                    let message = format!("there is no group `{name}` on this host");
                    return Err(refused("group", message));
                }
                Err(errno) => return Err(refused("group", format!("`{name}`: {errno}"))),
            },
        };
        Ok(Some(Self {
            socket,
            group,
            others: raw.others,
        }))
    }
}
