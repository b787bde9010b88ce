//! What Hostler costs itself: its ticks, its programs, its process.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use procfs::process::{LimitValue, Process};

use super::{
    front::{AlertDesk, HistoryCounts, PlanDesk, Refusals},
    tick::{Pace, ProbeCost, Tick},
};
use crate::metrics::{Format, HistoryCost, OwnCost, ProcessCost};

/// What is known of it, added up.
#[derive(Default)]
pub(super) struct OwnCosts {
    cost: OwnCost,
    /// What the programs told when they were last looked at.
    programs_before: Vec<(String, u64, u64)>,
}

impl OwnCosts {
    /// Adds what a tick took.
    pub(super) fn add(&mut self, tick: &Tick) {
        for pace in &tick.paces {
            self.add_pace(*pace);
        }
        if let Some(cost) = &tick.cost {
            self.add_probes(cost);
        }
    }

    /// Ticks so far, and those of them that were late.
    pub(super) fn ticks(&self) -> (u64, u64) {
        (self.cost.paces.ticks, self.cost.paces.late)
    }

    fn add_pace(&mut self, pace: Pace) {
        let paces = &mut self.cost.paces;
        paces.ticks += 1;
        paces.late += u64::from(pace.is_late);
        paces.read.count(nanoseconds(pace.read));
        paces.window.count(nanoseconds(pace.window));
    }

    /// Programs that were loaded anew begin at zero, and what is told of them goes on.
    fn add_probes(&mut self, cost: &ProbeCost) {
        let before = std::mem::take(&mut self.programs_before);
        for program in &cost.programs {
            let was = before.iter().find(|(name, _, _)| *name == program.name);
            let (runs, ns) = match was {
                Some((_, runs, ns)) if *runs <= program.runs => {
                    (program.runs - runs, program.run_time_ns.saturating_sub(*ns))
                }
                _ => (program.runs, program.run_time_ns),
            };
            let sum = self.cost.programs.entry(program.name.clone()).or_default();
            *sum = (sum.0 + runs, sum.1 + ns);
            let now = (program.name.clone(), program.runs, program.run_time_ns);
            self.programs_before.push(now);
        }
        let maps = cost.maps.iter();
        self.cost.map_bytes = maps
            .filter_map(|map| Some((map.name.clone(), map.bytes?)))
            .collect();
    }

    /// Somebody asks for metrics.
    pub(super) fn count_scrape(&mut self, format: Format) {
        *self.cost.scrapes.entry(format.as_str()).or_default() += 1;
    }

    /// Metrics were written.
    pub(super) fn count_writing(&mut self, took: Duration) {
        self.cost.writing_cpu_ns += nanoseconds(took);
    }

    /// All of it now.
    pub(super) fn now(
        &mut self,
        refusals: &Refusals,
        history: &HistoryCounts,
        alerts: &AlertDesk,
        plans: &PlanDesk,
    ) -> &OwnCost {
        self.cost.plans = plans.cost();
        self.cost.alerts = alerts.counts();
        let deliveries = alerts.deliveries();
        for (to, outcomes) in [
            ("webhook", &deliveries.webhook),
            ("alertmanager", &deliveries.alertmanager),
        ] {
            for (result, count) in [
                ("taken", &outcomes.taken),
                ("failed", &outcomes.failed),
                ("lost", &outcomes.lost),
            ] {
                let count = count.load(Relaxed);
                self.cost.deliveries.insert((to, result), count);
            }
        }
        self.cost.history = HistoryCost {
            written: history.written.load(Relaxed),
            lost: history.lost.load(Relaxed),
            expelled: history.expelled.load(Relaxed),
            bytes: history.bytes.load(Relaxed),
        };
        for (interface, refused) in [("http", &refusals.http), ("control", &refusals.control)] {
            for (reason, count) in [
                ("too_many", &refused.too_many),
                ("cut_off", &refused.cut_off),
            ] {
                let count = count.load(Relaxed);
                self.cost.refused.insert((interface, reason), count);
            }
        }
        self.cost.process = process().ok();
        &self.cost
    }
}

fn process() -> procfs::ProcResult<ProcessCost> {
    let own = Process::myself()?;
    let (stat, status) = (own.stat()?, own.status()?);
    let ticks_per_s = procfs::ticks_per_second() as f64;
    let began_s = procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks_per_s;
    let max_fds = match own.limits()?.max_open_files.soft_limit {
        LimitValue::Value(most) => most,
        LimitValue::Unlimited => u64::MAX,
    };
    Ok(ProcessCost {
        cpu_s: (stat.utime + stat.stime) as f64 / ticks_per_s,
        resident_bytes: stat.rss * procfs::page_size(),
        anonymous_bytes: status.rssanon.unwrap_or(0) * 1_024,
        virtual_bytes: stat.vsize,
        open_fds: own.fd_count()? as u64,
        max_fds,
        threads: status.threads,
        began_s,
    })
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
