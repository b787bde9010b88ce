//! Keeps agents in step with processes whose cgroup does not tell whose they are, by looking once
//! a tick.

use hostler_common::slot::{ProcessLease, SlotLease, claim};
use hostler_decide::{
    identity::Kind,
    signal::{Agent, AgentSource},
};

use super::Observer;
use crate::{
    ObserveError,
    agents::Origin,
    claims::{Changes, Claim, ClaimedProcess},
    clock::now_ns,
    identities::CgroupFacts,
    names::unit_of,
    processes::ThreadRow,
    programs::ProgramKey,
};

/// How long processes may go unseen where nothing has changed, in ns: what the kernel side did not
/// notice, whatever that may be, is made up for then.
const LONGEST_NS: u64 = 8_000_000_000;

/// What is remembered of the last look at processes.
#[derive(Clone, Copy, Default)]
pub(super) struct ClaimsSeen {
    at_ns: u64,
    changes: u64,
    /// Who was on its way out is to be looked for once more.
    once_more: bool,
}

impl Observer {
    /// As [`Observer::refresh_claims`], unless there is nothing new: looking at all processes of a
    /// large host costs milliseconds. Rules may also depend on what the kernel does not tell of.
    pub(super) fn refresh_claims_if_due(&mut self, now_ns: u64) -> Result<(), ObserveError> {
        let seen = ClaimsSeen {
            at_ns: now_ns,
            changes: self.probes.process_changes(),
            once_more: false,
        };
        let before = self.claims_seen;
        let has_changed = seen.changes != before.changes;
        let is_due = self.identities.is_some()
            || !self.without_slot.is_empty()
            || has_changed
            || before.once_more
            || now_ns.saturating_sub(before.at_ns) >= LONGEST_NS;
        if !is_due {
            return Ok(());
        }
        // What changes from here on is for the next time.
        self.claims_seen = ClaimsSeen {
            once_more: has_changed,
            ..seen
        };
        self.refresh_claims()
    }

    /// Takes in which processes there are, and charges their threads to whom they belong.
    pub(super) fn refresh_claims(&mut self) -> Result<(), ObserveError> {
        let rows = self.snapshot.processes()?;
        self.identify(&rows);
        let claimed: Vec<ClaimedProcess> = rows.iter().map(|row| self.claimed(row)).collect();
        let Changes {
            appeared,
            departed,
            found,
            gone,
        } = self.claims.update(claimed);
        // Who found no slot the last time appears again for as long as it is there.
        self.without_slot.retain(|claim| appeared.contains(claim));
        for claim in &appeared {
            self.lease_to_claim(claim);
        }
        for tgid in gone {
            self.probes.forget_process(tgid);
        }
        for process in &found {
            self.tell_kernel(process);
        }
        for claim in &departed {
            let origin = origin_of(claim);
            if let Some(lease) = origin.and_then(|origin| self.directory.lease_of(&origin)) {
                self.slots.rest(lease.slot, now_ns());
            }
        }
        if !found.is_empty() {
            // Once more, so that the threads take on what was just said.
            self.snapshot.processes()?;
        }
        Ok(())
    }

    /// Applies the rules, if there are any.
    fn identify(&mut self, rows: &[ThreadRow]) {
        let Some(identities) = &mut self.identities else {
            return;
        };
        let now_ns = now_ns();
        let root_id = self.hierarchy.root_id();
        let (directory, names) = (&self.directory, &mut self.names);
        let agent_of = |lease| directory.rule_of(lease);
        let cgroup = |cgroup_id| {
            if cgroup_id == root_id {
                return Some(CgroupFacts {
                    path: "/".to_owned(),
                    ..CgroupFacts::default()
                });
            }
            let path = directory.path_of_cgroup(cgroup_id)?;
            let name = names.of_cgroup(path, now_ns);
            Some(CgroupFacts {
                path: path.to_owned(),
                unit: unit_of(path).map(str::to_owned),
                pod_namespace: name.pod_namespace,
                labels: name.labels,
            })
        };
        identities.update(rows, now_ns, cgroup, agent_of);
    }

    fn claimed(&self, row: &ThreadRow) -> ClaimedProcess {
        let identities = self.identities.as_ref();
        let claim = match identities.and_then(|identities| identities.of_process(row.tgid)) {
            Some(identity) => Claim::Rule(identity.key(), identity.kind),
            None if row.cgroup_id == self.hierarchy.root_id() => Claim::Program(ProgramKey {
                program: row.program.clone(),
                session: row.session,
            }),
            None => Claim::Cgroup,
        };
        ClaimedProcess {
            tgid: row.tgid,
            started_ticks: row.started_ticks,
            exec_id: row.exec_id,
            claim,
        }
    }

    /// Tells the kernel side whose a process is.
    fn tell_kernel(&mut self, process: &ClaimedProcess) {
        let origin = origin_of(&process.claim);
        let lease = origin
            .as_ref()
            .and_then(|origin| self.directory.lease_of(origin));
        if origin.is_some() && lease.is_none() {
            // No slot was free: tried again at the next look.
            self.claims.forget(process.tgid);
        }
        let lease = ProcessLease {
            lease: lease.unwrap_or_default(),
            started_ticks: process.started_ticks,
            claim: match process.claim {
                Claim::Cgroup => claim::CGROUP,
                Claim::Program(_) => claim::PROGRAM,
                Claim::Rule(..) => claim::RULE,
            },
            reserved: 0,
        };
        if let Err(error) = self.probes.lease_to_process(process.tgid, lease) {
            // The table is full: the process stays with its parent's agent or with nobody.
            tracing::debug!(process.tgid, %error, "a process was not told apart");
            self.agents_without_slot += 1;
        }
    }

    fn lease_to_claim(&mut self, claim: &Claim) {
        let Some((origin, mut agent)) = described(claim) else {
            return;
        };
        if let Some(lease) = self.directory.lease_of(&origin) {
            // It was here a moment ago, and its slot still rests.
            self.slots.wake(lease.slot);
        } else if let Some(lease) = self.new_lease() {
            agent.id = lease;
            self.without_slot.remove(claim);
            self.enter(agent, "", origin);
        } else if self.without_slot.insert(claim.clone()) {
            self.count_without_slot(&agent.name);
        }
    }
}

/// An agent that is no cgroup of its own, still without a slot. What sits in the root cgroup is
/// taken for a part of the host until a rule says otherwise: nothing else tells it.
fn described(claim: &Claim) -> Option<(Origin, Agent)> {
    let origin = origin_of(claim)?;
    let id = SlotLease::default();
    let agent = match claim {
        Claim::Cgroup => return None,
        Claim::Program(key) => Agent {
            id,
            name: key.to_string().into(),
            group: "/".into(),
            kind: Kind::System,
            source: AgentSource::Program,
            place: place_of(key).into(),
        },
        Claim::Rule(key, kind) => Agent {
            id,
            name: key.display().into(),
            group: key.group.clone(),
            kind: *kind,
            source: AgentSource::Rule,
            place: format!("rule's group {}", key.group).into(),
        },
    };
    Some((origin, agent))
}

fn place_of(key: &ProgramKey) -> String {
    match key.session {
        0 => format!("{} in the root cgroup, no session", key.program),
        session => format!("{} in the root cgroup, session {session}", key.program),
    }
}

/// What an agent that is no cgroup of its own is made from.
fn origin_of(claim: &Claim) -> Option<Origin> {
    match claim {
        Claim::Cgroup => None,
        Claim::Program(key) => Some(Origin::Program(key.clone())),
        Claim::Rule(key, _) => Some(Origin::Rule(key.clone())),
    }
}
