//! Time lost for want of CPU, memory and I/O, of the host and of each agent, and the pools.

use hostler_decide::{
    host::{HostWindow, HugepagePool, Pools},
    polled::PolledWindow,
    pressure::{Pressure, Stall},
    reclaim::Reclaim,
};
use serde::Serialize;

use crate::report::{PressureReport, PressureRow};

use super::{
    losses::{LossesJson, footer},
    machine::{csv, json_line},
    paint::Paint,
    table::{Column, Table},
    units::{NONE, bytes, compact_count, count, duration, percent_of_time, share},
};

/// The report as text, its last line's end included.
pub(crate) fn pressure_text(
    report: &PressureReport,
    width: usize,
    top: usize,
    color: bool,
) -> String {
    let paint = Paint::new(color);
    let length_ns = report.length_ns();
    let title = format!("Host, in {}", duration(length_ns));
    let mut text = format!("{}\n", paint.strong(title));
    for line in host_lines(&report.host, length_ns) {
        text.push_str("  ");
        text.push_str(&line);
        text.push('\n');
    }
    text.push('\n');
    if report.rows.is_empty() {
        text.push_str("No agent was read twice yet: all of them are, in turn, every 30 s.\n");
        return text + &footer(&report.losses);
    }
    let mut table = Table::new(&[
        Column::name("AGENT"),
        Column::number("CPU %"),
        Column::number("MEM %"),
        Column::number("MEM FULL").expendable(3),
        Column::number("I/O %"),
        Column::number("I/O FULL").expendable(4),
        Column::number("MEMORY"),
        Column::number("SWAP").expendable(1),
        Column::number("REFAULTS"),
        Column::number("SWAP-INS").expendable(2),
        Column::number("RECLAIMED").expendable(5),
        Column::number("THROTTLED").expendable(6),
        Column::number("OVER").expendable(7),
    ]);
    for row in report.rows.iter().take(top) {
        table.add(cells(row));
    }
    let left_out = report.rows.len().saturating_sub(top);
    text.push_str(&table.text(width, paint, left_out, "agents"));
    text + &footer(&report.losses)
}

fn host_lines(host: &HostWindow, length_ns: u64) -> Vec<String> {
    let mut lines = Vec::new();
    match &host.pressure {
        Some(pressure) => {
            let lost = |what: &str, stall: &Stall| {
                format!(
                    "{what} {} % (all at once {} %)",
                    percent_of_time(stall.some_us * 1_000, length_ns),
                    percent_of_time(stall.full_us * 1_000, length_ns)
                )
            };
            lines.push(format!(
                "time lost for want of: CPU {} %, {}, {}",
                percent_of_time(pressure.cpu.some_us * 1_000, length_ns),
                lost("memory", &pressure.memory),
                lost("I/O", &pressure.io)
            ));
        }
        None => lines.push("time lost: this kernel does not tell (CONFIG_PSI, psi=1)".to_owned()),
    }
    let alarms: Vec<String> = host
        .alarms
        .iter()
        .filter(|(_, times)| *times > 0)
        .map(|(name, times)| format!("{name} {}", count(*times)))
        .collect();
    if !alarms.is_empty() {
        lines.push(format!("alarms (10 % in 2 s): {}", alarms.join(", ")));
    }
    lines.push(reclaim_line(&host.reclaim));
    lines.extend(pool_lines(&host.pools));
    lines
}

fn reclaim_line(pages: &Reclaim) -> String {
    format!(
        "pages: {} refaulted, {} swapped in, {} reclaimed by who needed them, {} moved between nodes \
         ({} hints)",
        count(pages.refaulted()),
        count(pages.swapped_in),
        count(pages.direct_reclaimed),
        count(pages.numa_migrated),
        count(pages.numa_hint_faults),
    )
}

fn pool_lines(pools: &Pools) -> Vec<String> {
    let mut lines = vec![format!(
        "memory: {} of {} available, {} free; {} removed cgroups still hold some",
        bytes(pools.available_bytes),
        bytes(pools.total_bytes),
        bytes(pools.free_bytes),
        count(pools.dying_cgroups),
    )];
    let in_use = |pool: &&HugepagePool| pool.total + pool.surplus > 0;
    for pool in pools.hugepages.iter().filter(in_use) {
        lines.push(format!(
            "huge pages of {} on node {}: {} free of {}, {} beyond the pool",
            bytes(pool.page_bytes),
            pool.node,
            count(pool.free),
            count(pool.total),
            count(pool.surplus),
        ));
    }
    for device in &pools.zram {
        lines.push(format!(
            "{}: {} stored in {} ({})",
            device.name,
            bytes(device.stored_bytes),
            bytes(device.memory_bytes),
            share(device.memory_bytes, device.stored_bytes),
        ));
    }
    if let (Some(memory @ 1..), Some(stored)) = (pools.zswap_bytes, pools.zswapped_bytes) {
        lines.push(format!(
            "zswap: {} stored in {}",
            bytes(stored),
            bytes(memory)
        ));
    }
    lines
}

fn cells(row: &PressureRow) -> [String; 13] {
    let PolledWindow {
        length_ns,
        pressure,
        cpu,
        memory,
    } = row.polled;
    let lost = |stall: fn(&Pressure) -> u64| {
        let us = pressure.as_ref().map(stall);
        us.map_or(NONE.to_owned(), |us| percent_of_time(us * 1_000, length_ns))
    };
    let amounts = memory.map(|(amounts, _)| amounts);
    let pages = memory.map(|(_, pages)| pages);
    let amount = |bytes_of: Option<u64>| bytes_of.map_or(NONE.to_owned(), bytes);
    let number = |number: Option<u64>| number.map_or(NONE.to_owned(), compact_count);
    [
        row.agent.clone(),
        lost(|pressure| pressure.cpu.some_us),
        lost(|pressure| pressure.memory.some_us),
        lost(|pressure| pressure.memory.full_us),
        lost(|pressure| pressure.io.some_us),
        lost(|pressure| pressure.io.full_us),
        amount(amounts.map(|amounts| amounts.current_bytes)),
        amount(amounts.map(|amounts| amounts.swap_bytes)),
        number(pages.map(|pages| pages.refaulted())),
        number(pages.map(|pages| pages.swapped_in)),
        number(pages.map(|pages| pages.direct_reclaimed)),
        duration(cpu.throttled_us * 1_000),
        duration(length_ns),
    ]
}

#[derive(Serialize)]
struct ReportJson<'a> {
    /// Always `pressure`.
    report: &'static str,
    from_ns: u64,
    to_ns: u64,
    host: HostJson<'a>,
    rows: Vec<RowJson<'a>>,
    losses: LossesJson,
}

#[derive(Serialize)]
struct HostJson<'a> {
    /// `null` where the kernel does not tell.
    pressure: Option<PressureJson>,
    reclaim: ReclaimJson,
    memory_available_bytes: u64,
    memory_free_bytes: u64,
    memory_total_bytes: u64,
    /// Removed cgroups that still hold memory.
    dying_cgroups: u64,
    hugepages: Vec<HugepagesJson>,
    zram: Vec<ZramJson<'a>>,
    zswap_bytes: Option<u64>,
    zswapped_bytes: Option<u64>,
    /// How often the kernel told of a tenth of two seconds lost, by whom.
    alarms: Vec<AlarmJson<'a>>,
}

#[derive(Serialize)]
struct AlarmJson<'a> {
    of: &'a str,
    times: u64,
}

#[derive(Serialize)]
struct HugepagesJson {
    node: u32,
    page_bytes: u64,
    total: u64,
    free: u64,
    surplus: u64,
}

#[derive(Serialize)]
struct ZramJson<'a> {
    device: &'a str,
    stored_bytes: u64,
    compressed_bytes: u64,
    memory_bytes: u64,
}

#[expect(clippy::struct_field_names, reason = "each name has its unit")]
/// Time in µs in which some, or all, of what wanted to run was held up for want of it.
#[derive(Serialize)]
pub(super) struct PressureJson {
    cpu_some_us: u64,
    cpu_full_us: u64,
    memory_some_us: u64,
    memory_full_us: u64,
    io_some_us: u64,
    io_full_us: u64,
}

impl From<Pressure> for PressureJson {
    fn from(pressure: Pressure) -> Self {
        Self {
            cpu_some_us: pressure.cpu.some_us,
            cpu_full_us: pressure.cpu.full_us,
            memory_some_us: pressure.memory.some_us,
            memory_full_us: pressure.memory.full_us,
            io_some_us: pressure.io.some_us,
            io_full_us: pressure.io.full_us,
        }
    }
}

/// Pages.
#[derive(Serialize)]
pub(super) struct ReclaimJson {
    refaulted_anon: u64,
    refaulted_file: u64,
    swapped_in: u64,
    direct_scanned: u64,
    direct_reclaimed: u64,
    numa_hint_faults: u64,
    numa_migrated: u64,
}

impl From<Reclaim> for ReclaimJson {
    fn from(pages: Reclaim) -> Self {
        Self {
            refaulted_anon: pages.refaulted_anon,
            refaulted_file: pages.refaulted_file,
            swapped_in: pages.swapped_in,
            direct_scanned: pages.direct_scanned,
            direct_reclaimed: pages.direct_reclaimed,
            numa_hint_faults: pages.numa_hint_faults,
            numa_migrated: pages.numa_migrated,
        }
    }
}

#[derive(Serialize)]
struct RowJson<'a> {
    agent: &'a str,
    /// Between the agent's first and last reading in the window: agents are read in turn.
    over_ns: u64,
    pressure: Option<PressureJson>,
    cpu_usage_us: u64,
    throttled_us: u64,
    throttled_periods: u64,
    /// `null` without the memory controller, like what follows.
    memory_bytes: Option<u64>,
    anon_bytes: Option<u64>,
    file_bytes: Option<u64>,
    swap_bytes: Option<u64>,
    reclaim: Option<ReclaimJson>,
}

fn row_json(row: &PressureRow) -> RowJson<'_> {
    let amounts = row.polled.memory.map(|(amounts, _)| amounts);
    RowJson {
        agent: &row.agent,
        over_ns: row.polled.length_ns,
        pressure: row.polled.pressure.map(Into::into),
        cpu_usage_us: row.polled.cpu.usage_us,
        throttled_us: row.polled.cpu.throttled_us,
        throttled_periods: row.polled.cpu.throttled_periods,
        memory_bytes: amounts.map(|amounts| amounts.current_bytes),
        anon_bytes: amounts.map(|amounts| amounts.anon_bytes),
        file_bytes: amounts.map(|amounts| amounts.file_bytes),
        swap_bytes: amounts.map(|amounts| amounts.swap_bytes),
        reclaim: row.polled.memory.map(|(_, pages)| pages.into()),
    }
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn pressure_json(report: &PressureReport) -> String {
    let host = &report.host;
    let pools = &host.pools;
    let hugepages = pools.hugepages.iter().map(|pool| HugepagesJson {
        node: pool.node,
        page_bytes: pool.page_bytes,
        total: pool.total,
        free: pool.free,
        surplus: pool.surplus,
    });
    let zram = pools.zram.iter().map(|device| ZramJson {
        device: &device.name,
        stored_bytes: device.stored_bytes,
        compressed_bytes: device.compressed_bytes,
        memory_bytes: device.memory_bytes,
    });
    let alarms = host
        .alarms
        .iter()
        .map(|(of, times)| AlarmJson { of, times: *times });
    json_line(&ReportJson {
        report: "pressure",
        from_ns: report.from_ns,
        to_ns: report.to_ns,
        host: HostJson {
            pressure: host.pressure.map(Into::into),
            reclaim: host.reclaim.into(),
            memory_available_bytes: pools.available_bytes,
            memory_free_bytes: pools.free_bytes,
            memory_total_bytes: pools.total_bytes,
            dying_cgroups: pools.dying_cgroups,
            hugepages: hugepages.collect(),
            zram: zram.collect(),
            zswap_bytes: pools.zswap_bytes,
            zswapped_bytes: pools.zswapped_bytes,
            alarms: alarms.collect(),
        },
        rows: report.rows.iter().map(row_json).collect(),
        losses: report.losses.into(),
    })
}

/// The agents as CSV, after a line of titles in the first one; the fields mean what they mean in
/// JSON, and are empty where that has `null`.
pub(crate) fn pressure_csv(report: &PressureReport, is_first: bool) -> String {
    let titles = [
        "from_ns",
        "to_ns",
        "agent",
        "over_ns",
        "cpu_some_us",
        "memory_some_us",
        "memory_full_us",
        "io_some_us",
        "io_full_us",
        "cpu_usage_us",
        "throttled_us",
        "memory_bytes",
        "anon_bytes",
        "file_bytes",
        "swap_bytes",
        "refaulted_anon",
        "refaulted_file",
        "swapped_in",
        "direct_reclaimed",
        "numa_migrated",
    ];
    let or_empty =
        |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let rows = report.rows.iter().map(|row| {
        let polled = &row.polled;
        let lost = |stall: fn(&Pressure) -> u64| or_empty(polled.pressure.as_ref().map(stall));
        let amounts = polled.memory.map(|(amounts, _)| amounts);
        let pages = polled.memory.map(|(_, pages)| pages);
        [
            report.from_ns.to_string(),
            report.to_ns.to_string(),
            row.agent.clone(),
            polled.length_ns.to_string(),
            lost(|pressure| pressure.cpu.some_us),
            lost(|pressure| pressure.memory.some_us),
            lost(|pressure| pressure.memory.full_us),
            lost(|pressure| pressure.io.some_us),
            lost(|pressure| pressure.io.full_us),
            polled.cpu.usage_us.to_string(),
            polled.cpu.throttled_us.to_string(),
            or_empty(amounts.map(|amounts| amounts.current_bytes)),
            or_empty(amounts.map(|amounts| amounts.anon_bytes)),
            or_empty(amounts.map(|amounts| amounts.file_bytes)),
            or_empty(amounts.map(|amounts| amounts.swap_bytes)),
            or_empty(pages.map(|pages| pages.refaulted_anon)),
            or_empty(pages.map(|pages| pages.refaulted_file)),
            or_empty(pages.map(|pages| pages.swapped_in)),
            or_empty(pages.map(|pages| pages.direct_reclaimed)),
            or_empty(pages.map(|pages| pages.numa_migrated)),
        ]
    });
    csv(titles, is_first, rows)
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests;
