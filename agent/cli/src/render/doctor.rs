//! The diagnosis of this host.

use crate::report::{DoctorReport, EffectRow, MapRow, ProgramRow, SignalRow};

use super::{
    facts::wrapped,
    foreign::printable,
    machine::json_line,
    paint::Paint,
    table::{Column, Table},
    units::{NONE, bytes, compact_count, count},
};

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn doctor_json(report: &DoctorReport) -> String {
    json_line(report)
}

/// The report as text `width` columns wide, its last line's end included. Sections without content
/// are left out.
pub(crate) fn doctor_text(report: &DoctorReport, width: usize, color: bool) -> String {
    let paint = Paint::new(color);
    let sections = [
        ("Host", host(&report.host, width)),
        ("Signals", signals(&report.signals, width, paint)),
        (
            "What can be changed",
            effects(&report.effects, width, paint),
        ),
        ("Kernel memory", maps(&report.maps, width, paint)),
        (
            "Programs in the kernel",
            programs(&report.programs, width, paint),
        ),
        ("What Hostler can't see here", limits(&report.limits, width)),
    ];
    let sections: Vec<String> = sections
        .iter()
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(title, lines)| format!("{}\n  {}\n", paint.strong(title), lines.join("\n  ")))
        .collect();
    sections.join("\n")
}

fn host(facts: &[(String, String)], width: usize) -> Vec<String> {
    let facts = facts
        .iter()
        .map(|(name, value)| [name.clone(), value.clone()]);
    wrapped(facts, width)
}

fn signals(signals: &[SignalRow], width: usize, paint: Paint) -> Vec<String> {
    let lines = |row: &SignalRow| {
        let ways = (row.in_use.as_deref(), &*row.better);
        ways_lines(&row.signal, ways, &row.note, (width, paint))
    };
    signals.iter().flat_map(lines).collect()
}

fn effects(effects: &[EffectRow], width: usize, paint: Paint) -> Vec<String> {
    let lines = |row: &EffectRow| {
        let ways = (row.in_use.as_deref(), &*row.better);
        ways_lines(&row.effect, ways, &row.note, (width, paint))
    };
    effects.iter().flat_map(lines).collect()
}

/// The way that is in use on one line; below it what would be better and why it is not used.
fn ways_lines(
    name: &str,
    (in_use, better): (Option<&str>, &[(String, String)]),
    note: &str,
    (width, paint): (usize, Paint),
) -> Vec<String> {
    let name = printable(name);
    let mut lines = vec![match in_use {
        Some(way) => format!("{name}: {}", printable(way)),
        None => format!("{name}: {}", paint.warning("not available")),
    }];
    let better = better.iter().map(|(way, why_not)| {
        let remark = if in_use.is_some() { "better" } else { "tried" };
        [format!("  {remark}:"), format!("{way}, but {why_not}")]
    });
    let note = (!note.is_empty()).then(|| ["  note:".to_owned(), note.to_owned()]);
    lines.extend(wrapped(better.chain(note), width));
    lines
}

fn maps(maps: &[MapRow], width: usize, paint: Paint) -> Vec<String> {
    if maps.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&[
        Column::name("MAP"),
        Column::word("TYPE"),
        Column::number("ENTRIES"),
        Column::number("MEMORY"),
    ]);
    for map in maps {
        table.add([
            map.name.clone(),
            map.kind.clone(),
            if map.entries == 0 {
                NONE.to_owned()
            } else {
                count(map.entries)
            },
            map.bytes.map_or_else(|| NONE.to_owned(), bytes),
        ]);
    }
    let known: u64 = maps.iter().filter_map(|map| map.bytes).sum();
    table.add(["in all".into(), String::new(), String::new(), bytes(known)]);
    table.lines(width.saturating_sub(2), paint)
}

fn programs(programs: &[ProgramRow], width: usize, paint: Paint) -> Vec<String> {
    if programs.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(&[
        Column::name("PROGRAM"),
        Column::name("RUNS AT"),
        Column::number("RUNS"),
        Column::number("NS A RUN"),
        Column::number("VERIFIED").expendable(1),
        Column::number("MEMORY").expendable(2),
    ]);
    for program in programs {
        let cost = program.nanoseconds_per_run;
        let instructions = program.instructions;
        table.add([
            program.name.clone(),
            program.hook.clone(),
            compact_count(program.runs),
            cost.map_or_else(|| NONE.to_owned(), |ns| format!("{ns:.0}")),
            instructions.map_or_else(|| NONE.to_owned(), |number| count(number.into())),
            bytes(program.bytes),
        ]);
    }
    table.lines(width.saturating_sub(2), paint)
}

fn limits(limits: &[String], width: usize) -> Vec<String> {
    wrapped(
        limits.iter().map(|limit| ["-".to_owned(), limit.clone()]),
        width,
    )
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::render::samples;

    #[test]
    fn each_section_reads_well_at_80_columns() {
        expect![[r#"
            Host
              kernel  6.1.0-25-cloud-amd64
              CPUs    64 on 2 NUMA nodes
              cgroups v2, at /sys/fs/cgroup

            Signals
              run-queue waits: BTF tracepoints
              threads already running: files below /proc
                better: the kernel's task iterator, but this kernel was built without BPF
                        iterators (CONFIG_BPF_SYSCALL)
                note:   threads that end while they are being listed may be missed
              CPU throttling: not available

            What can be changed
              threads onto a NUMA node: sched_setaffinity
                note: done if `plan.mode` is `act`

            Kernel memory
              MAP      TYPE          ENTRIES    MEMORY
              AGENTS   array           8,192  24.5 MiB
              THREADS  task_storage        –         –
              in all                          24.5 MiB

            Programs in the kernel
              PROGRAM       RUNS AT                RUNS  NS A RUN  VERIFIED   MEMORY
              sched_switch  tp_btf/sched_switch  12.3 M       143       412  2.3 KiB
              cgroup_mkdir  tp_btf/cgroup_mkdir       0         –         –    812 B

            What Hostler can't see here
              - Processes in the root cgroup are told apart by program and session only,
                which takes up to a second after they start.
        "#]]
        .assert_eq(&doctor_text(&samples::doctor(), 80, false));
    }

    #[test]
    fn sections_without_content_are_left_out() {
        let report = DoctorReport {
            limits: vec!["Nothing to see.".to_owned()],
            ..DoctorReport::default()
        };
        expect![[r#"
            What Hostler can't see here
              - Nothing to see.
        "#]]
        .assert_eq(&doctor_text(&report, 80, false));
    }

    #[test]
    fn a_program_gets_the_same_facts() {
        expect![[r#"
            {"report":"doctor","host":{"kernel":"6.1.0-25-cloud-amd64","CPUs":"64 on 2 NUMA nodes","cgroups":"v2, at /sys/fs/cgroup"},"signals":[{"signal":"run-queue waits","in_use":"BTF tracepoints","better":[],"note":""},{"signal":"threads already running","in_use":"files below /proc","better":[{"source":"the kernel's task iterator","why_not":"this kernel was built without BPF iterators (CONFIG_BPF_SYSCALL)"}],"note":"threads that end while they are being listed may be missed"},{"signal":"CPU throttling","in_use":null,"better":[],"note":""}],"effects":[{"effect":"threads onto a NUMA node","in_use":"sched_setaffinity","better":[],"note":"done if `plan.mode` is `act`"}],"maps":[{"name":"AGENTS","kind":"array","entries":8192,"bytes":25690112},{"name":"THREADS","kind":"task_storage","entries":0,"bytes":null}],"programs":[{"name":"sched_switch","hook":"tp_btf/sched_switch","runs":12345678,"nanoseconds_per_run":143.27,"instructions":412,"bytes":2345},{"name":"cgroup_mkdir","hook":"tp_btf/cgroup_mkdir","runs":0,"nanoseconds_per_run":null,"instructions":null,"bytes":812}],"limits":["Processes in the root cgroup are told apart by program and session only, which takes up to a second after they start."]}
        "#]].assert_eq(&doctor_json(&samples::doctor()));
    }
}
