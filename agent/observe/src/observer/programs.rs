//! Keeps agents in step with the programs in the root cgroup, by looking once a tick.

use hostler_common::slot::ProcessLease;
use hostler_decide::signal::AgentKind;

use super::Observer;
use crate::{
    ObserveError,
    agents::Origin,
    clock::now_ns,
    programs::{Changes, ProgramKey},
};

impl Observer {
    /// Takes in which programs run in the root cgroup, and charges their threads to them.
    pub(super) fn refresh_programs(&mut self) -> Result<(), ObserveError> {
        let rows = self.snapshot.root_processes()?;
        let Changes {
            appeared,
            departed,
            found,
            gone,
        } = self.programs.update(&rows);
        for key in appeared {
            self.lease_to_program(key);
        }
        for tgid in gone {
            self.probes.forget_process(tgid);
        }
        let any_found = !found.is_empty();
        for process in found {
            let lease = self
                .directory
                .lease_of(&Origin::Program(process.key))
                .unwrap_or_default();
            let lease = ProcessLease {
                lease,
                started_ticks: process.started_ticks,
            };
            if let Err(error) = self.probes.lease_to_process(process.tgid, lease) {
                // The table is full: the process stays with its parent's agent or with nobody.
                tracing::debug!(tgid = process.tgid, %error, "a process was not told apart");
                self.agents_without_slot += 1;
            }
        }
        for key in departed {
            if let Some(lease) = self.directory.lease_of(&Origin::Program(key)) {
                self.slots.rest(lease.slot, now_ns());
            }
        }
        if any_found {
            // Once more, so that the threads take on what was just said.
            self.snapshot.root_processes()?;
        }
        Ok(())
    }

    fn lease_to_program(&mut self, key: ProgramKey) {
        let origin = Origin::Program(key);
        if let Some(lease) = self.directory.lease_of(&origin) {
            // It was here a moment ago, and its slot still rests.
            self.slots.wake(lease.slot);
            return;
        }
        let Origin::Program(key) = &origin else {
            return;
        };
        let name = key.to_string();
        if let Some(lease) = self.new_lease(&name) {
            self.enter(lease, &name, AgentKind::Program, origin);
        }
    }
}
