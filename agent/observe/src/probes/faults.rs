//! The programs that measure how long page faults take.

use aya::{
    Btf,
    programs::{FEntry, FExit},
};

use super::{Probes, in_full, missing, refusal};
use crate::ObserveError;

/// The kernel's function that handles faults.
pub(crate) const FUNCTION: &str = "handle_mm_fault";

/// Run as it begins and as it ends.
pub(crate) const BEGINS: &str = "fault_begins";
pub(crate) const ENDS: &str = "fault_ends";

impl Probes {
    /// Loads the programs; nothing runs yet.
    pub(super) fn load_faults(&mut self, btf: &Btf) -> Result<(), ObserveError> {
        self.fault_ends()?
            .load(FUNCTION, btf)
            .map_err(|error| refusal(ENDS, error))?;
        self.fault_begins()?
            .load(FUNCTION, btf)
            .map_err(|error| refusal(BEGINS, error))
    }

    /// Attaches them. First the one that ends what the other begins: what it has not seen begin is
    /// nothing to it.
    pub(crate) fn attach_faults(&mut self) -> Result<(), ObserveError> {
        let refused = |name, error| {
            ObserveError::refused(format!("attaching {name} to {FUNCTION}"), in_full(&error))
        };
        self.fault_ends()?
            .attach()
            .map_err(|error| refused(ENDS, error))?;
        self.fault_begins()?
            .attach()
            .map_err(|error| refused(BEGINS, error))?;
        Ok(())
    }

    fn fault_begins(&mut self) -> Result<&mut FEntry, ObserveError> {
        self.ebpf
            .program_mut(BEGINS)
            .ok_or_else(|| missing(BEGINS))?
            .try_into()
            .map_err(|error| refusal(BEGINS, error))
    }

    fn fault_ends(&mut self) -> Result<&mut FExit, ObserveError> {
        self.ebpf
            .program_mut(ENDS)
            .ok_or_else(|| missing(ENDS))?
            .try_into()
            .map_err(|error| refusal(ENDS, error))
    }
}
