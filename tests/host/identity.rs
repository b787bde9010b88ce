//! Who is who: rules, cgroups within cgroups, and processes that move, exec or reuse an id.

use std::{fs, io::Write, process::Child, time::Duration};

use nix::sys::{
    resource::{UsageWho, getrusage},
    signal::Signal,
    time::TimeVal,
};

use serde_json::Value;

use crate::{
    Need, Test,
    host::{Host, Running, TestCgroup, reports, start_hostler},
    load::LINES_THEN,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "a_rule_makes_one_agent_of_processes_in_several_cgroups",
        needs: &[Need::WritableCgroups],
        run: a_rule_makes_one_agent_of_processes_in_several_cgroups,
    },
    Test {
        name: "a_child_of_a_rule_s_agent_is_its_agent_s_also_in_another_cgroup",
        needs: &[Need::WritableCgroups],
        run: a_child_of_a_rule_s_agent_is_its_agent_s_also_in_another_cgroup,
    },
    Test {
        name: "a_child_whose_parent_ends_at_once_is_its_agent_s",
        needs: &[Need::WritableCgroups],
        run: a_child_whose_parent_ends_at_once_is_its_agent_s,
    },
    Test {
        name: "a_process_that_execs_what_a_rule_matches_is_that_agent_s_from_then_on",
        needs: &[Need::WritableCgroups],
        run: a_process_that_execs_what_a_rule_matches_is_that_agent_s_from_then_on,
    },
    Test {
        name: "a_rule_holds_also_where_threads_come_from_proc",
        needs: &[Need::WritableCgroups],
        run: a_rule_holds_also_where_threads_come_from_proc,
    },
    Test {
        name: "threads_in_a_threaded_cgroup_are_their_domain_s",
        needs: &[Need::WritableCgroups],
        run: threads_in_a_threaded_cgroup_are_their_domain_s,
    },
    Test {
        name: "a_cgroup_and_the_one_in_it_are_two_agents",
        needs: &[Need::WritableCgroups],
        run: a_cgroup_and_the_one_in_it_are_two_agents,
    },
    Test {
        name: "a_process_whose_second_thread_execs_stays_its_cgroup_s",
        needs: &[Need::WritableCgroups],
        run: a_process_whose_second_thread_execs_stays_its_cgroup_s,
    },
    Test {
        name: "a_process_with_a_reused_id_is_not_taken_for_the_one_before",
        needs: &[Need::WritableCgroups, Need::ChosenProcessIds],
        run: a_process_with_a_reused_id_is_not_taken_for_the_one_before,
    },
];

/// How long the loads compute, in ms: longer than it takes to notice them.
const COMPUTE_MS: u64 = 2_500;

fn a_rule_makes_one_agent_of_processes_in_several_cgroups(host: &Host) {
    team(host, &[]);
}

fn a_rule_holds_also_where_threads_come_from_proc(host: &Host) {
    team(host, &["--threads-from", "procfs"]);
}

/// Two processes with one variable in two cgroups, one of them older than Hostler.
fn team(host: &Host, source: &[&str]) {
    let (left, right) = (host.cgroup("left"), host.cgroup("right"));
    let compute = COMPUTE_MS.to_string();
    let words = ["env", "HOSTLER_TEST_TEAM=red"];
    let older = left.start_own(&words, &[LINES_THEN, "spin", "1", &compute]);
    let rule = [
        "--rule",
        "team=env:HOSTLER_TEST_TEAM=*,agent:{env:HOSTLER_TEST_TEAM}",
    ];
    let tracer = trace(&[&rule, source].concat());
    let younger = right.start_own(&words, &["spin", "1", &compute]);
    end(say_go(older));
    end(younger);
    let report = report(tracer);
    let team = row(&report, "team/red").expect("the rule made an agent");
    assert_eq!(
        [&team["group"], &team["kind"], &team["source"]],
        ["team", "agent", "rule"]
    );
    // Both compute on CPU 0, and the older is the team's from the beginning.
    let [of_team, of_left, of_right] =
        ["team/red", &left.name, &right.name].map(|name| on_cpu_ms(&report, name));
    let sum = of_team + of_left + of_right;
    assert!(of_left * 20 < sum, "{of_left} ms of {sum} are the cgroup's");
    assert!(
        of_team * 10 > sum * 5,
        "{of_team} ms of {sum} are the team's: {report:#}"
    );
}

fn a_child_of_a_rule_s_agent_is_its_agent_s_also_in_another_cgroup(host: &Host) {
    let script = "read line; (echo 0 > \"$0/cgroup.procs\" && exec \"$@\"); true";
    child_elsewhere(host, script, 400);
}

fn a_child_whose_parent_ends_at_once_is_its_agent_s(host: &Host) {
    // The inner shell is gone before anybody can look, and the load is an orphan for most of its
    // time; the outer shell waits for the end of its output.
    let script = "read line; \
        out=$(sh -c '(echo 0 > \"$0/cgroup.procs\" && exec \"$@\") &' \"$0\" \"$@\"); true";
    child_elsewhere(host, script, COMPUTE_MS);
}

/// A rule matches the cgroup of a shell that starts a load in another one, by `script`: the load is
/// to be the rule's agent's.
fn child_elsewhere(host: &Host, script: &str, compute_ms: u64) {
    let (home, elsewhere) = (host.cgroup("home"), host.cgroup("elsewhere"));
    let load = load_words(&["spin", "1", &compute_ms.to_string()]);
    let words: Vec<&str> = ["sh", "-c", script, elsewhere.path_text()]
        .into_iter()
        .chain(load.iter().map(String::as_str))
        .collect();
    let parent = home.start(&words);
    let rule = format!("home=cgroup:{},agent:all", home.name);
    let tracer = trace(&["--rule", &rule]);
    end(say_go(parent));
    let report = report(tracer);
    let (kept, lost) = (
        on_cpu_ms(&report, "home/all"),
        on_cpu_ms(&report, &elsewhere.name),
    );
    assert!(
        kept > 0 && lost * 20 <= kept,
        "{kept} ms and {lost} ms: {report:#}"
    );
}

fn a_process_that_execs_what_a_rule_matches_is_that_agent_s_from_then_on(host: &Host) {
    let cgroup = host.cgroup("exec");
    let compute = COMPUTE_MS.to_string();
    let load = load_words(&["spin", "1", &compute]);
    let words: Vec<&str> = [
        "sh",
        "-c",
        "read line; HOSTLER_TEST_ROLE=it exec \"$@\"",
        "sh",
    ]
    .into_iter()
    .chain(load.iter().map(String::as_str))
    .collect();
    let process = cgroup.start(&words);
    let tracer = trace(&[
        "--rule",
        "role=env:HOSTLER_TEST_ROLE=it,agent:one,kind:system",
    ]);
    end(say_go(process));
    let report = report(tracer);
    let (after, before) = (
        on_cpu_ms(&report, "role/one"),
        on_cpu_ms(&report, &cgroup.name),
    );
    assert_eq!(
        row(&report, "role/one").expect("it is there")["kind"],
        "system"
    );
    assert!(
        after > 0,
        "{after} ms after and {before} ms before: {report:#}"
    );
    let provisional_ms = report["losses"]["provisional_ns"]
        .as_u64()
        .expect("a count")
        / 1_000_000;
    assert!(
        provisional_ms + 20 >= before / 2,
        "{before} ms were charged to the cgroup, {provisional_ms} ms were counted as such"
    );
}

fn threads_in_a_threaded_cgroup_are_their_domain_s(host: &Host) {
    let domain = host.cgroup("domain");
    let threaded = domain.path().join("threaded");
    fs::create_dir(&threaded).expect("a cgroup can be made");
    fs::write(threaded.join("cgroup.type"), "threaded").expect("it can be threaded");
    let tracer = trace(&[]);
    let mut load = domain.start_load(&["spin", "2", "400"]);
    let folder = format!("/proc/{}/task", load.id());
    let threads = || -> Vec<String> {
        let entries = fs::read_dir(&folder).expect("it runs");
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok();
        entries.flatten().filter_map(name).collect()
    };
    while threads().len() < 3 {
        std::thread::sleep(Duration::from_millis(1));
    }
    for tid in threads() {
        fs::write(threaded.join("cgroup.threads"), tid).expect("a thread can move");
    }
    assert!(load.wait().expect("it ends").success());
    let report = report(tracer);
    fs::remove_dir(&threaded).expect("it is empty");
    let of_domain = on_cpu_ms(&report, &domain.name);
    assert!(of_domain > 0, "{of_domain} ms: {report:#}");
    let inner = format!("{}/threaded", domain.name);
    assert_eq!(on_cpu_ms(&report, &inner), 0, "{report:#}");
}

fn a_cgroup_and_the_one_in_it_are_two_agents(host: &Host) {
    let outer = host.cgroup("outer");
    let inner = outer.inner("inner");
    let tracer = trace(&[]);
    let (first, second) = (
        outer.start_load(&["spin", "1", "400"]),
        inner.start_load(&["spin", "2", "400"]),
    );
    end(first);
    end(second);
    let report = report(tracer);
    // Three threads share CPU 0 for 400 ms.
    let (of_outer, of_inner) = (
        on_cpu_ms(&report, &outer.name),
        on_cpu_ms(&report, &inner.name),
    );
    assert!(
        0 < of_outer && of_outer < of_inner,
        "{of_outer} ms and {of_inner} ms"
    );
}

fn a_process_whose_second_thread_execs_stays_its_cgroup_s(host: &Host) {
    let cgroup = host.cgroup("thread-exec");
    let tracer = trace(&[]);
    let before_ms = children_ran_ms();
    end(cgroup.start_load(&["exec-by-thread", "400"]));
    let ran_ms = children_ran_ms() - before_ms;

    let report = report(tracer);
    // The kernel's own count has the shell's way into the cgroup, too.
    let on_cpu = on_cpu_ms(&report, &cgroup.name);
    assert!(
        on_cpu * 10 >= ran_ms * 8,
        "{on_cpu} ms of {ran_ms}: {report:#}"
    );
}

fn a_process_with_a_reused_id_is_not_taken_for_the_one_before(host: &Host) {
    let (first, second) = (host.cgroup("first"), host.cgroup("second"));
    let rule = format!("first=cgroup:{},agent:one", first.name);
    let sleeper = first.start_load(&[LINES_THEN, "sleep", "1"]);
    let id = sleeper.id();
    let tracer = trace(&["--rule", &rule]);
    end(say_go(sleeper));
    let again = (0..50)
        .find_map(|_| {
            fs::write("/proc/sys/kernel/ns_last_pid", (id - 1).to_string()).ok()?;
            let mut load = second.start_load(&["spin", "1", "400"]);
            if load.id() == id {
                return Some(load);
            }
            load.kill().expect("it runs");
            load.wait().expect("it ends");
            None
        })
        .expect("the id is given again at last");
    end(again);
    let report = report(tracer);
    let (of_first, of_second) = (
        on_cpu_ms(&report, "first/one"),
        on_cpu_ms(&report, &second.name),
    );
    assert!(
        of_first * 4 < of_second,
        "{of_first} ms and {of_second} ms: {report:#}"
    );
}

/// CPU time of all processes that this one has started and waited for.
fn children_ran_ms() -> u64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel counts");
    let ms = |time: TimeVal| time.tv_sec() * 1_000 + time.tv_usec() / 1_000;
    u64::try_from(ms(usage.user_time()) + ms(usage.system_time())).expect("a time")
}

fn trace(words: &[&str]) -> Running {
    start_hostler(&[&["trace", "runq", "--json"], words].concat())
}

fn load_words(words: &[&str]) -> Vec<String> {
    let own = std::env::current_exe().expect("this binary has a path");
    let own = own.to_str().expect("its path is text");
    [&[own, crate::load::WORD], words]
        .concat()
        .iter()
        .map(|&word| word.to_owned())
        .collect()
}

/// Lets a process go on that waits for a line.
fn say_go(mut process: Child) -> Child {
    let mut input = process.stdin.take().expect("it is a pipe");
    input.write_all(b"go\n").expect("it reads");
    process
}

fn end(process: Child) {
    let output = process.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "the load failed: {}",
        output.status
    );
}

fn report(mut tracer: Running) -> Value {
    tracer.send(Signal::SIGINT);
    let mut reports = reports(&tracer.wait());
    assert_eq!(reports.len(), 1, "one report at the end");
    reports.remove(0)
}

fn row<'a>(report: &'a Value, name: &str) -> Option<&'a Value> {
    let rows = report["rows"].as_array().expect("a report has rows");
    rows.iter().find(|row| row["name"] == name)
}

/// An agent's time on CPUs; 0 if it is not in the report.
fn on_cpu_ms(report: &Value, name: &str) -> u64 {
    row(report, name).map_or(0, |row| {
        row["on_cpu_ns"].as_u64().expect("a count") / 1_000_000
    })
}

impl TestCgroup {
    /// Starts one of this binary's own loads in the cgroup, by way of another command.
    fn start_own(&self, before: &[&str], load: &[&str]) -> Child {
        let load = load_words(load);
        let load = load.iter().map(String::as_str);
        self.start(&before.iter().copied().chain(load).collect::<Vec<_>>())
    }
}
