//! What is served: totals of all that was handed over, and metrics written of them.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use hostler_decide::alerts::Alert;
use hyper::body::Bytes;
use nix::time::{ClockId, clock_gettime};
use tokio::task::spawn_blocking;

use super::{
    super::{
        own_cost::OwnCosts,
        tick::{Beginning, Tick},
    },
    alerts::{AlertDesk, measure},
    control::Watchers,
    history::HistoryCounts,
    http::Encoding,
    planning::PlanDesk,
    refusals::Refusals,
};
use crate::{
    config::{Access, Config},
    control::{FiringAlert, Status},
    metrics::{Format, Policy, Totals},
};

/// Without a tick for so long, and for so many ticks, the loop hangs or the host can't be read.
const SILENT: Duration = Duration::from_secs(10);
const SILENT_TICKS: u32 = 10;

/// What is served.
pub(super) struct State {
    kept: Mutex<Kept>,
    refusals: Refusals,
    watchers: Arc<Watchers>,
    history: Arc<HistoryCounts>,
    alerts: AlertDesk,
    plans: PlanDesk,
    /// Whether anybody wants samples.
    needs_samples: AtomicBool,
    access: Mutex<Access>,
    began: Instant,
    /// When the last tick came, in ms after `began`; 0 before the first.
    last_tick_ms: AtomicU64,
    tick_ms: AtomicU64,
}

pub(super) struct Kept {
    policy: Policy,
    configuration: String,
    metrics_address: Option<SocketAddr>,
    /// `None` before measuring has begun.
    measured: Option<Totals>,
    costs: OwnCosts,
    /// What was written since the last tick.
    written: BTreeMap<(bool, Encoding), Bytes>,
}

impl State {
    /// Nothing is measured yet.
    pub(super) fn new(config: &Config, alerts: AlertDesk, plans: PlanDesk) -> Self {
        Self {
            kept: Mutex::new(Kept {
                policy: config.policy(),
                configuration: config.origin.clone(),
                metrics_address: None,
                measured: None,
                costs: OwnCosts::default(),
                written: BTreeMap::new(),
            }),
            refusals: Refusals::default(),
            watchers: Arc::default(),
            history: Arc::default(),
            alerts,
            plans,
            needs_samples: AtomicBool::new(false),
            access: Mutex::default(),
            began: Instant::now(),
            last_tick_ms: AtomicU64::new(0),
            tick_ms: AtomicU64::new(0),
        }
    }

    /// A thread that panicked while it held it was writing text or adding up: what is there is what was
    /// there before, or a little more.
    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where refused connections are counted.
    pub(super) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Who watches.
    pub(super) fn watchers(&self) -> &Arc<Watchers> {
        &self.watchers
    }

    /// What is counted of the history.
    pub(super) fn history(&self) -> &Arc<HistoryCounts> {
        &self.history
    }

    /// Alerts.
    pub(super) fn alerts(&self) -> &AlertDesk {
        &self.alerts
    }

    /// Plans.
    pub(super) fn plans(&self) -> &PlanDesk {
        &self.plans
    }

    /// Whether there is a history, or any rule for alerts.
    pub(super) fn needs_samples(&self) -> bool {
        self.needs_samples.load(Relaxed)
    }

    /// What whoever asks must have.
    pub(super) fn access(&self) -> Access {
        let access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        access.clone()
    }

    /// Serves as this configuration wants it.
    pub(super) fn configure(&self, config: &Config) {
        if let Some(metrics) = &config.metrics {
            let mut access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
            *access = metrics.access.clone();
        }
        let tick_ms = u64::try_from(config.tick.as_millis()).unwrap_or(u64::MAX);
        self.tick_ms.store(tick_ms, Relaxed);
        self.watchers.set_tick(config.tick);
        self.alerts.configure(config);
        self.plans.configure(config);
        let needs_samples = config.history.is_some() || self.alerts.has_rules();
        self.needs_samples.store(needs_samples, Relaxed);
        let mut kept = self.kept();
        kept.configuration.clone_from(&config.origin);
        kept.policy = config.policy();
        let policy = kept.policy.clone();
        if let Some(totals) = &mut kept.measured {
            totals.set_policy(policy);
        }
    }

    /// Measuring begins, also anew: counters begin at zero.
    pub(super) fn begin(&self, beginning: Beginning) {
        let mut kept = self.kept();
        kept.measured = Some(Totals::new(&beginning.facts, kept.policy.clone()));
        kept.written.clear();
        drop(kept);
        let Beginning { facts, told, tick } = beginning;
        self.plans.begin(&facts.topology);
        self.watchers.begin(facts, told, tick);
        self.alerts.begin();
        self.ticked();
    }

    /// Adds what happened in a tick.
    pub(super) fn add(&self, tick: &Tick) {
        let mut kept = self.kept();
        if let Some(totals) = &mut kept.measured {
            totals.add(&tick.window);
        }
        kept.costs.add(tick);
        kept.written.clear();
        drop(kept);
        self.watchers.tell(tick);
        self.plans.add(&tick.window);
        self.ticked();
    }

    fn ticked(&self) {
        let passed = self.began.elapsed().as_millis();
        let passed_ms = u64::try_from(passed).unwrap_or(u64::MAX).max(1);
        self.last_tick_ms.store(passed_ms, Release);
    }

    /// The metrics as they were at the last tick. All who ask between two ticks share them.
    fn write(&self, format: Format, encoding: Encoding) -> Option<Bytes> {
        let mut kept = self.kept();
        let kept = &mut *kept;
        kept.costs.count_scrape(format);
        let key = (format == Format::OpenMetrics, encoding);
        if let Some(written) = kept.written.get(&key) {
            return Some(written.clone());
        }
        let totals = kept.measured.as_mut()?;
        let began = thread_cpu_time();
        let (text, written) = totals.write(
            format,
            kept.costs
                .now(&self.refusals, &self.history, &self.alerts, &self.plans),
        );
        if written.left_out > 0 {
            tracing::debug!(left_out = written.left_out, "series found no room");
        }
        let bytes = match encoding {
            Encoding::Plain => text.into(),
            Encoding::Gzip => zipped(text.as_bytes()),
        };
        kept.costs
            .count_writing(thread_cpu_time().saturating_sub(began));
        kept.written.insert(key, bytes.clone());
        Some(bytes)
    }
}

/// CPU time of this thread so far.
pub(super) fn thread_cpu_time() -> Duration {
    // Where the kernel does not tell it, nothing is counted.
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Fast rather than small: on its way it is small enough.
fn zipped(text: &[u8]) -> Bytes {
    let mut zip = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    zip.write_all(text).expect("a Vec takes all of it");
    zip.finish().expect("a Vec takes all of it").into()
}

/// An alert as the control API has it.
fn firing(alert: &Alert) -> FiringAlert {
    let measure = measure(alert).map(|measure| measure.as_str().to_owned());
    FiringAlert {
        name: alert.rule.name.clone(),
        severity: alert.rule.severity.as_str().to_owned(),
        summary: alert.rule.summary.clone(),
        scope: alert.subject.scope.as_str().to_owned(),
        group: alert.subject.group.to_string(),
        agent: alert.subject.name.to_string(),
        measure: measure.unwrap_or_default(),
        value: alert.value,
        since_ms: alert.since_ms,
    }
}

/// As it is asked from connections.
impl State {
    /// The metrics in a format; `None` before there are any. They are written on a thread of their own.
    pub(super) async fn metrics(
        self: Arc<Self>,
        format: Format,
        encoding: Encoding,
    ) -> Option<Bytes> {
        let written = spawn_blocking(move || self.write(format, encoding));
        written.await.ok().flatten()
    }

    /// Whether the host is measured; in words if not.
    pub(super) fn ready(&self) -> Result<(), String> {
        match self.last_tick_ms.load(Acquire) {
            0 => Err("the programs are being loaded".to_owned()),
            _ => Ok(()),
        }
    }

    /// Ticks that were added up.
    pub(super) fn ticks(&self) -> u64 {
        self.kept().costs.ticks().0
    }

    /// How the daemon does, as far as it is known here.
    pub(super) fn status(&self) -> Status {
        let kept = self.kept();
        let (ticks, late_ticks) = kept.costs.ticks();
        let address = kept.metrics_address.map(|address| address.to_string());
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let last = Duration::from_millis(self.last_tick_ms.load(Acquire));
        let uptime = self.began.elapsed();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: milliseconds(uptime),
            configuration: kept.configuration.clone(),
            tick_ms: self.tick_ms.load(Relaxed),
            metrics_address: address.unwrap_or_default(),
            ticks,
            late_ticks,
            silent_ms: milliseconds(uptime.saturating_sub(last)),
            history: self.history.state(),
            alerts: self.alerts.firing().iter().map(firing).collect(),
            changes: self.plans.changes(),
            alerts_firing: self.alerts.counts().iter().map(|(_, _, count)| count).sum(),
            ..Status::default()
        }
    }

    /// Metrics are served there.
    pub(super) fn serve_metrics_at(&self, address: Option<SocketAddr>) {
        self.kept().metrics_address = address;
    }

    /// Whether it is still read; in words if not.
    pub(super) fn healthy(&self) -> Result<(), String> {
        let last = Duration::from_millis(self.last_tick_ms.load(Acquire));
        let silent = self.began.elapsed().saturating_sub(last);
        let tick = Duration::from_millis(self.tick_ms.load(Relaxed));
        if silent < SILENT.max(tick * SILENT_TICKS) {
            return Ok(());
        }
        let seconds = silent.as_secs();
        Err(format!("the host was not read for {seconds} s"))
    }
}
