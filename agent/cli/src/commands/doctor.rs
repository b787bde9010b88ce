//! `hostler doctor`: what can be measured here, from which source, and at what cost.

use std::{thread, time::Duration};

use hostler_observe::{
    Effect, MapCost, Observer, Options, ProgramCost, RunTimeStatistics, SignalSource, blind_spots,
    effects, host_facts,
};

use super::source::observe;
use crate::{
    args::{DoctorArgs, GlobalArgs},
    failure::Failure,
    output::{self, Stdout},
    render::{doctor_json, doctor_text},
    report::{DoctorReport, EffectRow, MapRow, ProgramRow, SignalRow},
};

/// How long the programs are watched.
const WATCHED: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &DoctorArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let options = Options {
        fault_latency: true,
        wakes: true,
        placement: true,
        sockets: true,
        pressure: true,
        ..Options::default()
    };
    let mut observer = observe(global, options)?;
    let mut limits = vec![
        "Agents inside gVisor, Kata or microVMs are seen as the host's threads of their sandbox."
            .to_owned(),
    ];
    limits.extend(blind_spots());
    match RunTimeStatistics::enable() {
        Ok(_statistics) => {
            thread::sleep(WATCHED);
            limits.push(
                "The time of a run includes the statistics' own two clock reads, some 60 ns."
                    .to_owned(),
            );
        }
        Err(error) => limits.push(format!(
            "What the programs cost can't be measured: {error}."
        )),
    }
    let report = report(&mut observer, limits)?;
    output::write_only(&if args.json {
        doctor_json(&report)
    } else {
        doctor_text(&report, stdout.size().0, stdout.color)
    })
}

fn report(observer: &mut Observer, limits: Vec<String>) -> Result<DoctorReport, Failure> {
    let programs = observer
        .program_costs()
        .into_iter()
        .map(program_row)
        .collect();
    let agents = observer.agents()?;
    let threads = agents.iter().map(|place| u64::from(place.threads)).sum();
    let mut host = host_facts();
    host.push((
        "agents".to_owned(),
        format!("{} with {threads} threads", agents.len()),
    ));
    host.push((
        "start-up".to_owned(),
        format!("{} ms", observer.started_in().as_millis()),
    ));
    Ok(DoctorReport {
        host,
        signals: observer
            .signal_sources()
            .into_iter()
            .map(signal_row)
            .collect(),
        effects: effects().into_iter().map(effect_row).collect(),
        maps: observer
            .map_costs(threads)
            .into_iter()
            .map(map_row)
            .collect(),
        programs,
        limits,
    })
}

fn signal_row(source: SignalSource) -> SignalRow {
    SignalRow {
        signal: source.signal.to_owned(),
        in_use: source.in_use,
        better: source.better,
        note: source.note,
    }
}

fn effect_row(effect: Effect) -> EffectRow {
    EffectRow {
        effect: effect.effect.to_owned(),
        in_use: effect.in_use,
        better: effect.better,
        note: effect.note,
    }
}

fn map_row(cost: MapCost) -> MapRow {
    MapRow {
        name: cost.name,
        kind: cost.kind,
        entries: cost.entries,
        bytes: cost.bytes,
    }
}

fn program_row(cost: ProgramCost) -> ProgramRow {
    ProgramRow {
        nanoseconds_per_run: (cost.runs > 0).then(|| cost.run_time_ns as f64 / cost.runs as f64),
        name: cost.name,
        hook: cost.hook,
        runs: cost.runs,
        instructions: cost.verified_instructions,
        bytes: cost.bytes,
    }
}
