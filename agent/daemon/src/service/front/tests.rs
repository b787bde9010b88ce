//! What holds between the loop and the side that serves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hostler_common::{ledger::state, slot::SlotLease};
use hostler_decide::{
    identity::Kind,
    signal::{Agent, AgentSource},
    window::{RunQueueWindow, Window},
};

use super::*;
use crate::{
    metrics::Format,
    service::tick::{Pace, Told},
};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

const SECOND_NS: u64 = 1_000_000_000;

/// A front that listens nowhere and knows what host it is about.
fn front() -> Front {
    let config = Config::parse(
        "test",
        "metrics.listen = ''\ncontrol.socket = ''\nhistory.folder = ''",
    )
    .expect("it makes sense");
    let (questions, _) = channel(1);
    let mut front = Front::start(&config, questions).expect("threads can be started");
    front.begin(Beginning::default());
    front
}

/// A tick in which an agent was on a CPU for a second.
fn tick(second: u64) -> Tick {
    let id = SlotLease {
        slot: 70,
        generation: 1,
    };
    let agent = Arc::new(Agent {
        id,
        name: "agent".into(),
        group: "group".into(),
        kind: Kind::Agent,
        source: AgentSource::Cgroup,
        place: "/".into(),
    });
    let mut row = RunQueueWindow::default();
    row.ledger.threads = 1;
    row.ledger.ns[state::ON_CPU as usize] = SECOND_NS.cast_signed();
    Tick {
        window: Window {
            from_ns: second * SECOND_NS,
            to_ns: (second + 1) * SECOND_NS,
            agents: [(id, (agent, row))].into(),
            ..Window::default()
        },
        told: Told::default(),
        paces: vec![Pace {
            read: Duration::ZERO,
            window: Duration::ZERO,
            is_late: false,
        }],
        cost: None,
    }
}

fn metrics(front: &Front) -> String {
    let state = Arc::clone(&front.state);
    let asked = state.metrics(Format::Classic, http::Encoding::Plain);
    let text = front.runtime.block_on(asked).expect("it is measured");
    String::from_utf8_lossy(&text).into_owned()
}

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|other| other == line)
}

#[test]
fn ticks_that_find_no_room_wait_and_nothing_of_them_is_lost() {
    const TICKS: u64 = 50;
    let mut front = front();
    let state = Arc::clone(&front.state);
    let held = state.kept();
    for second in 0..TICKS {
        front
            .hand_over(tick(second))
            .expect("it hangs for a moment only");
    }
    assert!(front.waiting.is_some());
    drop(held);
    let give_up = Instant::now() + PATIENCE;
    let mut seconds = TICKS;
    loop {
        front.hand_over(tick(seconds)).expect("it goes on");
        seconds += 1;
        std::thread::sleep(Duration::from_millis(20));
        let text = metrics(&front);
        let all = format!("hostler_host_thread_seconds_total{{state=\"on_cpu\"}} {seconds}");
        if front.waiting.is_none() && has_line(&text, &all) {
            assert!(
                has_line(&text, &format!("hostler_ticks_total {seconds}")),
                "{text}"
            );
            break;
        }
        assert!(Instant::now() < give_up, "something was lost");
    }
    front.end();
}

#[test]
fn a_front_that_hangs_ends_the_daemon_instead_of_filling_memory() {
    let mut front = front();
    let state = Arc::clone(&front.state);
    let held = state.kept();
    // It takes two things at the most before it hangs, and all that waited by then goes with each.
    let most = (4 * MOST_WAITING + ROOM) as u64;
    let refused = (0..=most).find_map(|second| front.hand_over(tick(second)).err());
    assert!(matches!(refused, Some(ServiceError::FrontEnded)));
    drop(held);
    front.end();
}
