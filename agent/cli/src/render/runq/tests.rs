use expect_test::{Expect, expect};

use super::*;
use crate::{args::GroupBy, render::samples};

const PLAIN: Layout = Layout {
    width: 80,
    color: false,
    top: 20,
    histograms: 1,
};

fn check(report: &RunqReport, layout: Layout, text: &Expect) {
    text.assert_eq(&runq_text(report, layout));
}

#[test]
fn at_80_columns_everything_that_matters_fits() {
    check(
        &samples::report(),
        PLAIN,
        &expect![[r#"
            6 agents in 10.0 s: 1,721,384 waits for a CPU, 55.5 s in all

            AGENT                        WAITS      P50      P99      MAX   WAITED    ON CPU
            /kubepod…d-3f2a/agent-0017   119 k  49.2 µs  6.82 ms  83.9 ms   45.7 s    12.9 s
            /kubepod…b1/mcp-filesystem  1.53 M  4.61 µs  32.8 µs  2.10 ms   8.99 s  3.09 min
            kernel threads              67,502  2.30 µs   164 µs  2.10 ms   454 ms    7.90 s
            python3 (session 812)        5,410  10.2 µs  1.05 ms  4.19 ms   302 ms    577 ms
            /evil\u{1b}[2J\nagent           15   852 µs  1.57 ms  1.57 ms  12.4 ms   1.42 ms
            other                           15  3.07 µs  5.63 µs  5.63 µs  44.3 µs   1.42 ms

            /kubepods.slice/kubepods-burstable.slice/pod-3f2a/agent-0017  cgroup
              119 k waits: 90 % woken, 10 % preempted; 45.7 s in all
              p50 49.2 µs, p90 492 µs, p99 6.82 ms, max 83.9 ms
              12.9 s on CPU; switches: 107 k voluntary, 11,542 involuntary
                      waited    woken  preempted  █ woken  ░ preempted
                256 – 512 ns        5          0  ▏
               512 ns – 1 µs       28          0  ▏
                    1 – 2 µs      115          0  ▏
                  2 – 4.1 µs      470          0  ▌
                4.1 – 8.2 µs    1,886          0  ██
                 8.2 – 16 µs    7,559          0  ███████▋
                  16 – 33 µs   30,260          0  ██████████████████████████████▎
                  33 – 66 µs   42,104          0  ██████████████████████████████████████████
                 66 – 131 µs   18,416         10  ██████████████████░
                131 – 262 µs    4,598         46  ████░
                262 – 524 µs    1,148        199  █░
               524 µs – 1 ms      284        815  █░
                  1 – 2.1 ms       70      3,276  █░░░
                2.1 – 4.2 ms       16      4,560  █░░░░
                4.2 – 8.4 ms        2      1,992  █░
                 8.4 – 17 ms        0        494  ░
                  17 – 34 ms        0        118  ░
                  34 – 67 ms        0         28  ░
                 67 – 134 ms        0          4  ░

            Not exact:
              3 events found no room in the ring buffer
              1.20 s of CPU time of new processes was charged to parents or cgroups
        "#]],
    );
}

#[test]
fn at_120_columns_nothing_is_left_out() {
    let layout = Layout {
        width: 120,
        ..PLAIN
    };
    check(
        &samples::report(),
        layout,
        &expect![[r#"
            6 agents in 10.0 s: 1,721,384 waits for a CPU, 55.5 s in all

            AGENT                                       WAITS      P50      P90      P99      MAX   WAITED    ON CPU  VOL SW  INV SW
            /kubepods.sli…e.slice/pod-3f2a/agent-0017   119 k  49.2 µs   492 µs  6.82 ms  83.9 ms   45.7 s    12.9 s   107 k  11,542
            /kubepods.sli…ice/pod-77b1/mcp-filesystem  1.53 M  4.61 µs  11.3 µs  32.8 µs  2.10 ms   8.99 s  3.09 min  1.53 M      91
            kernel threads                             67,502  2.30 µs  6.66 µs   164 µs  2.10 ms   454 ms    7.90 s  66,009   1,493
            python3 (session 812)                       5,410  10.2 µs  32.8 µs  1.05 ms  4.19 ms   302 ms    577 ms   5,045     365
            /evil\u{1b}[2J\nagent                          15   852 µs  1.44 ms  1.57 ms  1.57 ms  12.4 ms   1.42 ms      15       0
            other                                          15  3.07 µs  5.12 µs  5.63 µs  5.63 µs  44.3 µs   1.42 ms      15       0

            /kubepods.slice/kubepods-burstable.slice/pod-3f2a/agent-0017  cgroup
              119 k waits: 90 % woken, 10 % preempted; 45.7 s in all
              p50 49.2 µs, p90 492 µs, p99 6.82 ms, max 83.9 ms
              12.9 s on CPU; switches: 107 k voluntary, 11,542 involuntary
                      waited    woken  preempted  █ woken  ░ preempted
                256 – 512 ns        5          0  ▏
               512 ns – 1 µs       28          0  ▏
                    1 – 2 µs      115          0  ▎
                  2 – 4.1 µs      470          0  █
                4.1 – 8.2 µs    1,886          0  ███▊
                 8.2 – 16 µs    7,559          0  ██████████████▊
                  16 – 33 µs   30,260          0  ███████████████████████████████████████████████████████████
                  33 – 66 µs   42,104          0  ██████████████████████████████████████████████████████████████████████████████████
                 66 – 131 µs   18,416         10  ███████████████████████████████████░
                131 – 262 µs    4,598         46  █████████░
                262 – 524 µs    1,148        199  ██░
               524 µs – 1 ms      284        815  █░░
                  1 – 2.1 ms       70      3,276  █░░░░░░
                2.1 – 4.2 ms       16      4,560  █░░░░░░░░
                4.2 – 8.4 ms        2      1,992  █░░░
                 8.4 – 17 ms        0        494  ░
                  17 – 34 ms        0        118  ░
                  34 – 67 ms        0         28  ░
                 67 – 134 ms        0          4  ░

            Not exact:
              3 events found no room in the ring buffer
              1.20 s of CPU time of new processes was charged to parents or cgroups
        "#]],
    );
}

#[test]
fn rows_beyond_the_top_are_added_up() {
    let layout = Layout {
        top: 2,
        histograms: 0,
        ..PLAIN
    };
    check(
        &samples::report(),
        layout,
        &expect![[r#"
            6 agents in 10.0 s: 1,721,384 waits for a CPU, 55.5 s in all

            AGENT                         WAITS      P50      P99      MAX  WAITED    ON CPU
            /kubepod…od-3f2a/agent-0017   119 k  49.2 µs  6.82 ms  83.9 ms  45.7 s    12.9 s
            /kubepod…7b1/mcp-filesystem  1.53 M  4.61 µs  32.8 µs  2.10 ms  8.99 s  3.09 min
            … and 4 more agents          72,942  2.56 µs   229 µs  4.19 ms  769 ms    8.48 s

            Not exact:
              3 events found no room in the ring buffer
              1.20 s of CPU time of new processes was charged to parents or cgroups
        "#]],
    );
}

#[test]
fn cpus_are_shown_like_agents() {
    let mut report = samples::report();
    report.group_by = GroupBy::Cpu;
    report.rows.truncate(2);
    for (cpu, row) in report.rows.iter_mut().enumerate() {
        row.name = format!("cpu {cpu}");
        row.agent = None;
    }
    check(
        &report,
        PLAIN,
        &expect![[r#"
            2 CPUs in 10.0 s: 118,518 waits for a CPU, 45.7 s in all

            CPU    WAITS      P50      P99      MAX   WAITED   ON CPU  VOL SW  INV SW
            cpu 1  119 k  49.2 µs  6.82 ms  83.9 ms   45.7 s   12.9 s   107 k  11,542
            cpu 0     15  3.07 µs  5.63 µs  5.63 µs  44.3 µs  1.42 ms      15       0

            cpu 1
              119 k waits: 90 % woken, 10 % preempted; 45.7 s in all
              p50 49.2 µs, p90 492 µs, p99 6.82 ms, max 83.9 ms
              12.9 s on CPU; switches: 107 k voluntary, 11,542 involuntary
                      waited    woken  preempted  █ woken  ░ preempted
                256 – 512 ns        5          0  ▏
               512 ns – 1 µs       28          0  ▏
                    1 – 2 µs      115          0  ▏
                  2 – 4.1 µs      470          0  ▌
                4.1 – 8.2 µs    1,886          0  ██
                 8.2 – 16 µs    7,559          0  ███████▋
                  16 – 33 µs   30,260          0  ██████████████████████████████▎
                  33 – 66 µs   42,104          0  ██████████████████████████████████████████
                 66 – 131 µs   18,416         10  ██████████████████░
                131 – 262 µs    4,598         46  ████░
                262 – 524 µs    1,148        199  █░
               524 µs – 1 ms      284        815  █░
                  1 – 2.1 ms       70      3,276  █░░░
                2.1 – 4.2 ms       16      4,560  █░░░░
                4.2 – 8.4 ms        2      1,992  █░
                 8.4 – 17 ms        0        494  ░
                  17 – 34 ms        0        118  ░
                  34 – 67 ms        0         28  ░
                 67 – 134 ms        0          4  ░

            Not exact:
              3 events found no room in the ring buffer
              1.20 s of CPU time of new processes was charged to parents or cgroups
        "#]],
    );
}

#[test]
fn an_empty_window_says_so() {
    let mut report = samples::report();
    report.rows.clear();
    report.losses = hostler_decide::signal::LossSignal::default();
    check(
        &report,
        PLAIN,
        &expect![[r#"
        No agent had anything to run in 10.0 s.
    "#]],
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    use unicode_width::UnicodeWidthStr as _;
    for width in [80, 100, 120, 200] {
        let layout = Layout {
            width,
            histograms: 9,
            ..PLAIN
        };
        for line in runq_text(&samples::report(), layout).lines() {
            assert!(line.width() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn colours_change_no_character() {
    let layout = Layout {
        histograms: 0,
        ..PLAIN
    };
    let colored = Layout {
        color: true,
        ..layout
    };
    let text = runq_text(&samples::report(), colored);
    assert!(text.contains("\x1b[1mAGENT"), "{text}");
    let plain = text.replace("\x1b[1m", "").replace("\x1b[0m", "");
    assert_eq!(plain, runq_text(&samples::report(), layout));
}
