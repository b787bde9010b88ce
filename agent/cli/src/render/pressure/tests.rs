use expect_test::expect;
use hostler_decide::{
    host::ZramDevice,
    polled::{CpuAmounts, MemoryAmounts},
    signal::LossSignal,
};

use super::*;

const MIB: u64 = 1 << 20;

fn pressure(some_us: u64) -> Pressure {
    let stall = |some_us| Stall {
        some_us,
        full_us: some_us / 4,
    };
    Pressure {
        cpu: stall(some_us * 2),
        memory: stall(some_us),
        io: stall(some_us / 3),
    }
}

fn row(agent: &str, some_us: u64, has_controller: bool) -> PressureRow {
    PressureRow {
        agent: agent.to_owned(),
        polled: PolledWindow {
            length_ns: 9_000_000_000,
            pressure: Some(pressure(some_us)),
            cpu: CpuAmounts {
                usage_us: 700_000,
                throttled_us: 1_200,
                throttled_periods: 3,
            },
            memory: has_controller.then(|| {
                let amounts = MemoryAmounts {
                    current_bytes: 412 * MIB,
                    anon_bytes: 300 * MIB,
                    file_bytes: 100 * MIB,
                    swap_bytes: 12 * MIB,
                };
                let pages = Reclaim {
                    refaulted_anon: 12,
                    refaulted_file: 1_500,
                    swapped_in: 30,
                    ..Reclaim::default()
                };
                (amounts, pages)
            }),
        },
    }
}

fn report() -> PressureReport {
    PressureReport {
        from_ns: 5_000_000_000,
        to_ns: 15_000_000_000,
        host: HostWindow {
            pressure: Some(pressure(300_000)),
            reclaim: Reclaim {
                refaulted_file: 20_000,
                direct_reclaimed: 32,
                ..Reclaim::default()
            },
            pools: Pools {
                hugepages: vec![HugepagePool {
                    node: 1,
                    page_bytes: 2 * MIB,
                    total: 64,
                    free: 60,
                    surplus: 0,
                }],
                zram: vec![ZramDevice {
                    name: "zram0".to_owned(),
                    stored_bytes: 400 * MIB,
                    compressed_bytes: 150 * MIB,
                    memory_bytes: 160 * MIB,
                }],
                zswap_bytes: Some(0),
                zswapped_bytes: Some(0),
                free_bytes: 900 * MIB,
                available_bytes: 5_000 * MIB,
                total_bytes: 24_000 * MIB,
                dying_cgroups: 7,
            },
            alarms: vec![("host memory".to_owned(), 2), ("host io".to_owned(), 0)],
        },
        rows: vec![
            row("agents/coder", 240_000, true),
            row("agents/\u{1b}[2Jplanner", 10, false),
        ],
        losses: LossSignal::default(),
    }
}

#[test]
fn the_host_and_each_agent_are_shown_with_the_time_that_they_lost() {
    expect![[r#"
        Host, in 10.0 s
          time lost for want of: CPU 6.0 %, memory 3.0 % (all at once 0.8 %), I/O 1.0 % (all at once 0.2 %)
          alarms (10 % in 2 s): host memory 2
          pages: 20,000 refaulted, 0 swapped in, 32 reclaimed by who needed them, 0 moved between nodes (0 hints)
          memory: 4.9 GiB of 23.4 GiB available, 900.0 MiB free; 7 removed cgroups still hold some
          huge pages of 2.0 MiB on node 1: 60 free of 64, 0 beyond the pool
          zram0: 400.0 MiB stored in 160.0 MiB (40 %)

        AGENT                    CPU %  MEM %  MEM FULL  I/O %     MEMORY      SWAP  REFAULTS  SWAP-INS
        agents/coder               5.3    2.7       0.7    0.9  412.0 MiB  12.0 MiB     1,512        30
        agents/\u{1b}[2Jplanner    0.0    0.0       0.0    0.0          –         –         –         –
    "#]].assert_eq(&pressure_text(&report(), 100, 20, false));
}

#[test]
fn agents_that_were_not_read_twice_are_promised() {
    let mut report = report();
    report.rows.clear();
    let text = pressure_text(&report, 100, 20, false);
    assert!(text.contains("No agent was read twice yet"), "{text}");
}

#[test]
fn json_and_csv_hold_every_agent_and_json_the_host() {
    let json = pressure_json(&report());
    assert_eq!(json.matches("\"agent\"").count(), 2);
    assert!(
        json.contains(r#""alarms":[{"of":"host memory","times":2}"#),
        "{json}"
    );
    let csv = pressure_csv(&report(), true);
    assert_eq!(csv.lines().count(), 3);
    assert!(csv.contains(",1200,,,,,,,,,\n"), "{csv}");
}
