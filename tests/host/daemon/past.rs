//! What the daemon keeps of the past, whatever happens to it or to its disk, and what it tells others of.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::signal::Signal,
};
use serde_json::Value;

use super::{Daemon, HISTORY, said};
use crate::{
    Need, Test,
    host::{Host, PATIENCE, hostler, start_hostler_with},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "a_killed_daemon_loses_at_most_its_last_second_and_the_next_one_says_so_and_goes_on",
        needs: &[Need::OwnMachine],
        run: a_killed_daemon_loses_at_most_its_last_second_and_the_next_one_says_so_and_goes_on,
    },
    Test {
        name: "a_full_disk_is_said_and_counted_and_the_ticks_go_on",
        needs: &[Need::OwnMachine],
        run: a_full_disk_is_said_and_counted_and_the_ticks_go_on,
    },
    Test {
        name: "what_an_agent_did_is_in_its_trend_and_in_the_report",
        needs: &[Need::WritableCgroups, Need::OwnMachine],
        run: what_an_agent_did_is_in_its_trend_and_in_the_report,
    },
    Test {
        name: "an_alert_is_told_and_a_webhook_that_hangs_holds_up_nothing",
        needs: &[Need::OwnMachine],
        run: an_alert_is_told_and_a_webhook_that_hangs_holds_up_nothing,
    },
];

const WRITTEN: &str = "hostler_history_written_stretches_total ";
const LOST: &str = "hostler_history_lost_stretches_total ";

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since.expect("it is later than 1970").as_millis();
    ms.try_into().expect("it is not that late")
}

/// The trend of the host in the last minute, second by second.
fn trend(history: &Path) -> Value {
    let history = history.to_str().expect("text");
    let words = [
        "trend",
        "--json",
        "--last",
        "1m",
        "--parts",
        "60",
        "--history",
        history,
    ];
    let (json, _) = said(&hostler(&words));
    serde_json::from_str(&json).expect("JSON")
}

/// When the last part of a trend ends of which something is known, and which are known.
fn known(trend: &Value) -> (u64, Vec<usize>) {
    let number = |key: &str| trend[key].as_u64().expect("a number");
    let cpu = trend["measures"]["cpu"].as_array().expect("there is one");
    let known: Vec<usize> = (0..cpu.len())
        .filter(|&part| !cpu[part].is_null())
        .collect();
    let last = *known.last().expect("something is known") as u64;
    let end_ms = number("from_ms") + (last + 1) * number("part_ms");
    (end_ms, known)
}

fn a_killed_daemon_loses_at_most_its_last_second_and_the_next_one_says_so_and_goes_on(
    _host: &Host,
) {
    let mut daemon = Daemon::start("");
    daemon.wait_for(WRITTEN, |written| written >= 4.0);
    daemon.running.send(Signal::SIGKILL);
    let killed_ms = now_ms();
    let Daemon {
        running,
        folder,
        file,
        address,
    } = daemon;
    running.wait();
    let history = folder.path().join(HISTORY);
    let before = trend(&history);
    let (end_ms, seconds) = known(&before);
    // The second in which it was killed was not over, and the one before may have been on its way.
    assert!(
        end_ms + 2_500 > killed_ms,
        "{} ms are lost",
        killed_ms - end_ms
    );
    // A tick that is a little late may leave a second without one, and the next one with two; more than
    // that was lost.
    assert!(
        seconds.windows(2).all(|pair| pair[1] - pair[0] <= 2),
        "{before}"
    );
    assert!(seconds[seconds.len() - 1] - seconds[0] >= 2, "{before}");

    let words = ["run", "--config", file.to_str().expect("text")];
    let next = Daemon {
        running: start_hostler_with(&words, &[]),
        address,
        file,
        folder,
    };
    next.wait_until_it_is_ready();
    next.wait_for(WRITTEN, |written| written >= 2.0);
    let (_, more) = known(&trend(&history));
    let (more, before) = (more.len(), seconds.len());
    assert!(
        more > before || now_ms() > killed_ms + 50_000,
        "{more} after {before}"
    );
    next.wait_for(LOST, |lost| lost < 0.5);
    let log = next.running.beginning();
    assert!(log.contains("was ended before it could close it"), "{log}");
    next.end();
}

/// A small disk, which is gone with the test.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn at(path: &'a Path, kib: u32) -> Self {
        fs::create_dir_all(path).expect("there is room");
        let size = format!("size={kib}k");
        let kind = Some("tmpfs");
        mount(kind, path, kind, MsFlags::empty(), Some(&*size)).expect("it can be mounted");
        Self(path)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        umount2(self.0, MntFlags::MNT_DETACH).expect("it is mounted");
    }
}

fn a_full_disk_is_said_and_counted_and_the_ticks_go_on(_host: &Host) {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("disk");
    let disk = Disk::at(&path, 1_024);
    let filler = path.join("filler");
    let history = format!("history.folder = '{}'", path.display());
    let mut daemon = Daemon::start("");
    let text = daemon.configuration(daemon.address, "").replace(
        &format!(
            "history.folder = '{}'",
            daemon.folder.path().join(HISTORY).display()
        ),
        &history,
    );
    daemon.reload(&text);
    let written = daemon.value(WRITTEN).expect("it is told");
    daemon.wait_for(WRITTEN, |now| now >= written + 3.0);
    assert!(
        fs::read_dir(&path).expect("it is there").count() == 1,
        "the history is there"
    );
    // As much as there is room for.
    let full = fs::write(&filler, vec![1; 2 << 20]).expect_err("it is a small disk");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let begun = daemon.ticks();
    daemon.wait_for(LOST, |lost| lost >= 2.0);
    daemon.wait_for("hostler_ticks_total ", |ticks| ticks >= begun + 3.0);
    let status = said(&daemon.ask(&["status"])).0;
    assert!(status.contains("not kept: "), "{status}");
    // With room again it goes on by itself.
    fs::remove_file(&filler).expect("it is there");
    let written = daemon.value(WRITTEN).expect("it is told");
    daemon.wait_for(WRITTEN, |now| now >= written + 2.0);
    let status = said(&daemon.ask(&["status"])).0;
    assert!(status.contains("kept in "), "{status}");
    let log = daemon.end();
    assert!(log.contains("the history is not kept"), "{log}");
    drop(disk);
}

fn what_an_agent_did_is_in_its_trend_and_in_the_report(host: &Host) {
    let cgroup = host.cgroup("past<b>");
    let daemon = Daemon::start("");
    let written = daemon.value(WRITTEN).expect("it is told");
    let mut load = cgroup.start_load(&["toil", "700"]);
    load.wait().expect("it ends");
    daemon.wait_for(WRITTEN, |now| now >= written + 3.0);
    let history = daemon.folder.path().join(HISTORY);
    let history = history.to_str().expect("text");
    let ask = |words: &[&str]| said(&hostler(&[words, &["--history", history]].concat())).0;

    let json = ask(&[
        "trend",
        &cgroup.name,
        "--json",
        "--last",
        "1m",
        "--measure",
        "cpu",
    ]);
    let trend: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(trend["name"], Value::from(&*cgroup.name));
    let part_s = trend["part_ms"].as_f64().expect("a number") / 1e3;
    let values = trend["measures"]["cpu"].as_array().expect("a list").iter();
    let cpu_s: f64 = values
        .filter_map(Value::as_f64)
        .map(|cpus| cpus * part_s)
        .sum();
    let truth_s = cgroup.usage_ns() as f64 / 1e9;
    assert!(
        (cpu_s / truth_s - 1.0).abs() < 0.15,
        "{cpu_s} s of {truth_s} s"
    );

    let text = ask(&["trend", &cgroup.name, "--measure", "cpu"]);
    assert!(
        text.contains("cpu: CPUs used") && text.contains('█'),
        "{text}"
    );
    let report = ask(&["report", "--by", "cpu", "--json", "--top", "1000"]);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let agents = report["agents"].as_array().expect("a list");
    assert!(
        agents.iter().any(|agent| agent["name"] == *cgroup.name),
        "{report}"
    );
    // A name is the host's, and a page must not take it for anything else.
    let page = ask(&["report", "--html", "-", "--top", "1000"]);
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg"));
    assert!(page.contains("past&lt;b&gt;") && !page.contains("past<b>"));
    assert!(
        !page.contains("http://") || !page.contains("src="),
        "it needs something else"
    );

    let refused = hostler(&["trend", "no-such-agent", "--history", history]);
    assert_eq!(refused.status.code(), Some(2));
    daemon.end();
}

fn an_alert_is_told_and_a_webhook_that_hangs_holds_up_nothing(_host: &Host) {
    // Who connects waits for ever.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it has one");
    let mut daemon = Daemon::start(&format!(
        "[notify.webhook]\nurl = 'http://{address}/'\ntimeout = '1s'\n\
         [notify.alertmanager]\nurl = 'http://{address}/'\ntimeout = '1s'\n\
         [[alert]]\nname = 'always'\nof = 'host'\nmeasure = 'threads'\nabove = 0\nover = '1s'\n\
         for = '0s'\nsummary = 'There are threads.'\n\
         [[alert]]\nname = 'gone'\nmatch = ['no-such-agent']\nabsent = true\nover = '1s'\nfor = '1s'"
    ));
    let (begun, ticks) = (Instant::now(), daemon.ticks());
    daemon.wait_for(
        "hostler_alerts_firing{alert=\"always\",severity=\"warning\"} ",
        |count| count > 0.5,
    );
    daemon.wait_for(
        "hostler_alerts_firing{alert=\"gone\",severity=\"warning\"} ",
        |count| count > 0.5,
    );
    for to in ["webhook", "alertmanager"] {
        let failed = format!("hostler_alert_deliveries_total{{to=\"{to}\",result=\"failed\"}} ");
        daemon.wait_for(&failed, |count| count >= 1.0);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let passed = daemon.ticks() - ticks;
    assert!(passed > seconds / 2.0, "{passed} ticks in {seconds} s");
    let (status, _) = said(&daemon.ask(&["status"]));
    assert!(status.contains("2 fire:"), "{status}");
    assert!(status.contains("There are threads."), "{status}");
    daemon.reload(&daemon.configuration(daemon.address, ""));
    let give_up = Instant::now() + PATIENCE;
    while daemon
        .value("hostler_alerts_firing{alert=\"always\",severity=\"warning\"} ")
        .is_some()
    {
        assert!(Instant::now() < give_up, "its rule is gone, and it fires");
        std::thread::sleep(Duration::from_millis(100));
    }
    let ending = Instant::now();
    let log = daemon.end();
    assert!(ending.elapsed() < PATIENCE / 2, "{:?}", ending.elapsed());
    for said in ["alert fires", "alert is over", "an alert could not be told"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    drop(listener);
}
