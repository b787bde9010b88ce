//! What is planned for an agent whose threads run on one node and whose memory lies on another.

use serde_json::Value;

use crate::{
    Test,
    guest::{Guest, Running},
    holder::Holder,
    placement::PAGES,
};

pub(crate) const TESTS: &[Test] = &[(
    "an_agent_whose_memory_lies_elsewhere_than_it_runs_is_to_be_brought_together",
    an_agent_whose_memory_lies_elsewhere_than_it_runs_is_to_be_brought_together,
)];

/// The step of an agent, if there is one.
fn step<'a>(plan: &'a Value, name: &str) -> Option<&'a Value> {
    let steps = plan["steps"].as_array().expect("a list");
    steps.iter().find(|step| step["agent"] == name)
}

fn an_agent_whose_memory_lies_elsewhere_than_it_runs_is_to_be_brought_together(guest: &Guest) {
    let [mut apart, mut together] = ["apart", "together"].map(|label| Holder::start(label, PAGES));
    apart.tell(&format!("run-on {}", guest.nodes[1][0]));
    apart.tell("touch");
    apart.tell(&format!("run-on {}", guest.nodes[0][0]));
    together.tell(&format!("run-on {}", guest.nodes[1][1]));
    together.tell("touch");
    let running = Running::start(&["plan", "--json", "--duration", "2m"]);
    for _ in 0..3 {
        apart.tell("compute 600");
        together.tell("compute 600");
    }
    running.interrupt();
    let plan = running.report();
    let step = step(&plan, &apart.name).unwrap_or_else(|| panic!("no step in {plan}"));
    let why = &step["why"];
    assert_eq!(why["main_node"], 0, "{step}");
    assert_eq!(why["memory"]["node"], 1, "{step}");
    let because = step["because"].as_str().expect("a sentence");
    assert!(because.contains("lie on node 1, at distance "), "{because}");
    let cpus = step["action"]["cpus"].as_array().expect("a list");
    let node = step["action"]["nodes"][0].as_u64().expect("one node");
    let node = usize::try_from(node).expect("there are few");
    let expected: Vec<Value> = guest.nodes[node].iter().map(|&cpu| cpu.into()).collect();
    assert_eq!(*cpus, expected, "{step}");
    let (now, then) = (&plan["now"]["remote_ns"], &plan["then"]["remote_ns"]);
    assert!(then.as_u64() < now.as_u64(), "{plan}");
}
