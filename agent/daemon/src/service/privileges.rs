//! What the loop may do: as much as it needs now. A system that does not let it give anything up is one on
//! which it goes on, and says so.

use hostler_observe::{Capabilities, CapsError};

/// What the loop may do.
pub(super) struct Privileges(Option<Capabilities>);

impl Privileges {
    /// Gives up what is never needed, before any other thread begins.
    pub(super) fn begin() -> Self {
        match Capabilities::begin() {
            Ok(capabilities) => {
                let kept = capabilities.names().join(" ");
                tracing::info!(kept, "all other capabilities are given up");
                Self(Some(capabilities))
            }
            Err(error) => {
                tracing::warn!(%error, "capabilities that are not needed can't be given up");
                Self(None)
            }
        }
    }

    /// The thread that acts has begun: no other is to.
    pub(super) fn give_up_acting(&self) {
        self.set(Capabilities::give_up_acting);
    }

    /// Programs are about to be loaded, or something is about to be listened at.
    pub(super) fn for_loading(&self) {
        self.set(Capabilities::for_loading);
    }

    /// The host is read from now on.
    pub(super) fn for_measuring(&self) {
        self.set(Capabilities::for_measuring);
    }

    fn set(&self, set: impl Fn(&Capabilities) -> Result<(), CapsError>) {
        if let Some(capabilities) = &self.0
            && let Err(error) = set(capabilities)
        {
            tracing::warn!(%error, "capabilities stay as they were");
        }
    }
}
