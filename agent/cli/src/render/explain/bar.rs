//! The ledger of one agent as a bar across the screen, and what its parts mean.

use hostler_common::ledger::state;
use hostler_decide::window::LedgerWindow;

use crate::render::{ledger::STATES, paint::Paint, units::share, wrap::wrapped};

/// What the states are called, in the order of [`STATES`].
const WORDS: [&str; STATES.len()] = [
    "on CPU",
    "woken, waiting",
    "preempted, waiting",
    "throttled",
    "on block I/O",
    "blocked",
    "asleep",
];

/// The bar, `width` columns wide, and its legend; nothing if no time passed.
pub(super) fn lines(ledger: &LedgerWindow, width: usize, paint: Paint) -> Vec<String> {
    let spent = STATES.map(|(state, ..)| ledger.spent_ns(state));
    let all_ns = spent.iter().copied().fold(0, u64::saturating_add);
    if all_ns == 0 {
        return Vec::new();
    }
    let mut bar = String::new();
    let mut before_ns = 0;
    let mut legend = Vec::new();
    for (((state, _, _, sign), word), ns) in STATES.into_iter().zip(WORDS).zip(spent) {
        let end_ns = before_ns + ns;
        let places = place(end_ns, all_ns, width) - place(before_ns, all_ns, width);
        bar.push_str(&painted(state, &sign.to_string().repeat(places), paint));
        if ns > 0 {
            legend.push((state, sign, format!("{word} {}", share(ns, all_ns))));
        }
        before_ns = end_ns;
    }
    let mut lines = vec![bar];
    lines.extend(legend_lines(&legend, width, paint));
    lines
}

fn place(ns: u64, all_ns: u64, width: usize) -> usize {
    let place = u128::from(ns) * width as u128 / u128::from(all_ns);
    usize::try_from(place).unwrap_or(width)
}

/// Signs are coloured after the lines are laid out, since colours take no columns.
fn legend_lines(legend: &[(u32, char, String)], width: usize, paint: Paint) -> Vec<String> {
    let parts: Vec<String> = legend
        .iter()
        .map(|(_, sign, text)| format!("{sign} {text}"))
        .collect();
    let mut lines = wrapped(parts.iter().map(String::as_str), "  ", width);
    for line in &mut lines {
        for (state, sign, text) in legend {
            let painted = format!("{} {text}", painted(*state, &sign.to_string(), paint));
            *line = line.replace(&format!("{sign} {text}"), &painted);
        }
    }
    lines
}

fn painted(state: u32, signs: &str, paint: Paint) -> String {
    match state {
        state::ON_CPU => signs.to_owned(),
        state::WAITING_WOKEN => paint.woken(signs),
        state::WAITING_PREEMPTED => paint.preempted(signs),
        state::ASLEEP => paint.faint(signs),
        _ => paint.warning(signs),
    }
}
