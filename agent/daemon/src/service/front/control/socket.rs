//! The socket in the file system.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use crate::config::{ControlConfig, Others};

/// A socket that is there for as long as this is.
pub(super) struct Socket {
    path: PathBuf,
    /// Which file it is: what came in its place is not removed.
    identity: (u64, u64),
}

impl Socket {
    /// Makes it. One that nobody listens at any more was left behind by a daemon that was killed, and is
    /// replaced.
    pub(super) fn bind(config: &ControlConfig) -> io::Result<(Self, UnixListener)> {
        let path = &config.socket;
        if let Some(folder) = path.parent() {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o755).create(folder)?;
        }
        remove_left_behind(path)?;
        let listener = UnixListener::bind(path)?;
        let made = fs::symlink_metadata(path)?;
        let socket = Self {
            path: path.clone(),
            identity: (made.dev(), made.ino()),
        };
        socket.allow(config)?;
        listener.set_nonblocking(true)?;
        Ok((socket, listener))
    }

    /// Lets those connect who may do anything at all.
    pub(super) fn allow(&self, config: &ControlConfig) -> io::Result<()> {
        let mode = match (config.others, config.group) {
            (Others::Read, _) => 0o666,
            (Others::Nothing, Some(_)) => 0o660,
            (Others::Nothing, None) => 0o600,
        };
        if let Some(group) = config.group {
            chown(&self.path, None, Some(group.as_raw()))?;
        }
        fs::set_permissions(&self.path, Permissions::from_mode(mode))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let is_there = fs::symlink_metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == self.identity);
        if is_there && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(socket = %self.path.display(), %error, "the socket stays behind");
        }
    }
}

fn remove_left_behind(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            Err(io::Error::other("there is something that is no socket"))
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => Err(io::Error::from(io::ErrorKind::AddrInUse)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                tracing::info!(socket = %path.display(), "a daemon that was killed left its socket behind");
                fs::remove_file(path)
            }
            Err(error) => Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
