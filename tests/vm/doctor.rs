//! `hostler doctor` as a golden file of each guest: a change in what a kernel offers is seen.

use std::{env, fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    Test,
    guest::{Guest, hostler},
};

const NAME: &str = "doctor_says_of_this_guest_what_it_has_always_said";

pub(crate) const TESTS: &[Test] = &[(NAME, doctor_says_of_this_guest_what_it_has_always_said)];

/// The guests that there are golden files for.
const GUESTS: [(&str, usize); 3] = [("6.1", 2), ("6.12", 2), ("6.12", 4)];

/// In place of what differs from run to run, or with each update of a kernel.
const MASK: &str = "…";

/// The test's name and the reason, if there is no golden file for this guest.
pub(crate) fn lack(guest: &Guest) -> Option<(&'static str, String)> {
    let nodes = guest.nodes.len();
    let has_file = GUESTS.contains(&(&guest.series, nodes));
    let reason = format!(
        "no golden file for Linux {} with {nodes} nodes",
        guest.series
    );
    (!has_file).then_some((NAME, reason))
}

fn doctor_says_of_this_guest_what_it_has_always_said(guest: &Guest) {
    let mut report = hostler(&["doctor", "--json"]).remove(0);
    mask(&mut report);
    let text = serde_json::to_string_pretty(&report).expect("a value is JSON");
    let path = format!(
        "tests/vm/doctor/{}-{}-nodes.json",
        guest.series,
        guest.nodes.len()
    );
    if env::var_os("HOSTLER_BLESS").is_some_and(|value| value == "1") {
        println!("golden file begins: {path}\n{text}\ngolden file ends");
        return;
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let golden = fs::read_to_string(root.join(&path)).unwrap_or_default();
    assert!(
        golden.trim_end() == text,
        "{path} differs; if that is right, run `cargo xtask vm --test doctor_says --bless`:\n{}",
        differences(&golden, &text)
    );
}

fn mask(report: &mut Value) {
    let host = &mut report["host"];
    for key in ["kernel", "agents", "start-up"] {
        host[key] = json!(MASK);
    }
    let btf = host["kernel BTF"].as_str().expect("text");
    let place = btf.split(',').next().unwrap_or_default();
    host["kernel BTF"] = json!(format!("{place}, {MASK}"));
    for map in report["maps"].as_array_mut().expect("maps") {
        map["bytes"] = json!(MASK);
        if map["name"] == "THREADS" {
            map["entries"] = json!(MASK);
        }
    }
    for program in report["programs"].as_array_mut().expect("programs") {
        for (key, value) in program.as_object_mut().expect("a program") {
            if value.is_number() || value.is_null() {
                assert_ne!(key, "hook");
                *value = json!(MASK);
            }
        }
    }
}

/// The lines that only one of them has.
fn differences(golden: &str, text: &str) -> String {
    let only = |sign: &str, of: &str, other: &str| -> Vec<String> {
        let other: Vec<&str> = other.lines().collect();
        of.lines()
            .filter(|line| !other.contains(line))
            .map(|line| format!("{sign} {line}"))
            .collect()
    };
    [only("-", golden, text), only("+", text, golden)]
        .concat()
        .join("\n")
}
