//! Totals as text or as values, as far as the limit of series allows: the host and Hostler itself always, then groups,
//! then agents, the pinned ones first and the others by rank.

use std::fmt::Arguments;

use hostler_decide::durations::Durations;

use super::{
    super::{
        catalogue::{
            COUNTS, DISTRIBUTED, DISTRIBUTIONS, HOST, LOSSES, OWN, OWN_PREFIX, Of, PROCESS, SERIES,
            SERIES_LEFT_OUT, Scope, TICK_SECONDS,
        },
        counts::{Counts, Distributions},
        families::{Families, Family},
        own_cost::OwnCost,
        sink::{HISTOGRAM_SERIES, Sink},
        text::{Format, Text, escaped},
    },
    Totals,
};

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Series in the text.
    pub series: usize,
    /// Series that found no room.
    pub left_out: usize,
}

/// Whoever has series: its labels, and what they tell.
struct Row<'a> {
    labels: String,
    counts: &'a Counts,
    distributions: Option<&'a Distributions>,
}

/// Room for series.
struct Room {
    series: usize,
    left_out: usize,
}

impl Totals {
    /// All of it in a format. What is left out is counted at once.
    pub fn write(&mut self, format: Format, own: &OwnCost) -> (String, Written) {
        let mut text = Text::new(format, 1 << 20);
        let written = self.write_into(&mut text, own);
        (text.end(), written)
    }

    /// What was measured, without what Hostler costs itself, as a text in a format.
    pub fn measured(&mut self, format: Format) -> String {
        let mut text = Text::new(format, 1 << 20);
        self.write_measured(&mut text);
        text.end()
    }

    /// The same as values.
    pub fn families(&mut self) -> Vec<Family> {
        let mut families = Families::default();
        self.write_measured(&mut families);
        families.end()
    }

    fn write_into(&mut self, sink: &mut impl Sink, own: &OwnCost) -> Written {
        self.write_host(sink);
        write_own(sink, own);
        let left_out = self.write_entities(sink);
        let series = sink.series();
        sink.begin(OWN_PREFIX, &SERIES);
        sink.sample(format_args!(""), series as f64);
        sink.begin(OWN_PREFIX, &SERIES_LEFT_OUT);
        sink.sample(format_args!(""), self.left_out as f64);
        Written {
            series: sink.series(),
            left_out,
        }
    }

    fn write_measured(&mut self, sink: &mut impl Sink) {
        self.write_host(sink);
        let left_out = self.write_entities(sink);
        if left_out > 0 {
            tracing::warn!(left_out, "series found no room");
        }
    }

    /// Groups and agents. How many series found no room.
    fn write_entities(&mut self, sink: &mut impl Sink) -> usize {
        let mut room = Room {
            series: self.policy.series.saturating_sub(sink.series() + 2),
            left_out: 0,
        };
        let groups = self.fitting(Scope::Group, self.group_rows(), &mut room);
        let agents = self.fitting(Scope::Agent, self.agent_rows(), &mut room);
        self.write_rows(sink, Scope::Group, &groups);
        self.write_rows(sink, Scope::Agent, &agents);
        drop((groups, agents));
        self.left_out += room.left_out as u64;
        room.left_out
    }

    /// Those rows for which there is room, which are the first where it is short.
    fn fitting<'a>(&self, scope: Scope, rows: Vec<Row<'a>>, room: &mut Room) -> Vec<Row<'a>> {
        let mut fit = Vec::with_capacity(rows.len());
        for row in rows {
            let series = self.series_of(scope, &row);
            match room.series.checked_sub(series) {
                Some(rest) => {
                    room.series = rest;
                    fit.push(row);
                }
                None => room.left_out += series,
            }
        }
        fit
    }

    fn group_rows(&self) -> Vec<Row<'_>> {
        let groups = self.groups.totals.iter().flatten();
        groups
            .map(|(name, whole)| Row {
                labels: format!("group=\"{}\"", escaped(name)),
                counts: &whole.counts,
                distributions: Some(&whole.distributions),
            })
            .collect()
    }

    fn agent_rows(&self) -> Vec<Row<'_>> {
        let chosen = self.agents.chosen(&self.policy).into_iter();
        chosen
            .map(|known| {
                let (agent, group) = (escaped(&known.name), escaped(&known.group_name));
                Row {
                    labels: format!("agent=\"{agent}\",group=\"{group}\""),
                    counts: &known.counts,
                    distributions: None,
                }
            })
            .collect()
    }

    fn write_host(&self, text: &mut impl Sink) {
        let host = Row {
            labels: String::new(),
            counts: &self.whole.counts,
            distributions: Some(&self.whole.distributions),
        };
        self.write_rows(text, Scope::Host, &[host]);
        if let Some(host) = &self.host {
            write_all(text, Scope::Host.prefix(), HOST, host);
        }
        write_all(text, OWN_PREFIX, LOSSES, &self.losses);
    }

    fn write_rows(&self, text: &mut impl Sink, scope: Scope, rows: &[Row<'_>]) {
        for of in COUNTS.iter().filter(|of| of.scopes.contains(&scope)) {
            text.begin(scope.prefix(), &of.metric);
            for row in rows {
                let mut take = |more: Arguments<'_>, value| {
                    let (labels, between) = (&row.labels, between(&row.labels, more));
                    text.sample(format_args!("{labels}{between}{more}"), value);
                };
                (of.samples)(row.counts, &self.facts, &mut take);
            }
        }
        for of in DISTRIBUTIONS
            .iter()
            .filter(|_| DISTRIBUTED.contains(&scope))
        {
            text.begin(scope.prefix(), &of.metric);
            for row in rows {
                let mut take = |more: Arguments<'_>, durations: &Durations, sum_s| {
                    let (labels, between) = (&row.labels, between(&row.labels, more));
                    text.histogram(format_args!("{labels}{between}{more}"), durations, sum_s);
                };
                if let Some(distributions) = row.distributions {
                    (of.samples)(distributions, &self.facts, &mut take);
                }
            }
        }
    }

    fn series_of(&self, scope: Scope, row: &Row<'_>) -> usize {
        let mut series = 0;
        for of in COUNTS.iter().filter(|of| of.scopes.contains(&scope)) {
            (of.samples)(row.counts, &self.facts, &mut |_, _| series += 1);
        }
        if let Some(distributions) = row.distributions {
            for of in DISTRIBUTIONS {
                let mut take = |_: Arguments<'_>, _: &Durations, _| series += HISTOGRAM_SERIES;
                (of.samples)(distributions, &self.facts, &mut take);
            }
        }
        series
    }
}

fn write_own(text: &mut impl Sink, own: &OwnCost) {
    write_all(text, OWN_PREFIX, OWN, own);
    text.begin(OWN_PREFIX, &TICK_SECONDS);
    for (phase, durations) in [("read", &own.paces.read), ("window", &own.paces.window)] {
        text.histogram(format_args!("phase=\"{phase}\""), durations, None);
    }
    if let Some(process) = &own.process {
        write_all(text, "", PROCESS, process);
    }
}

fn write_all<T>(text: &mut impl Sink, prefix: &str, metrics: &[Of<T>], of_whom: &T) {
    for of in metrics {
        text.begin(prefix, &of.metric);
        (of.samples)(of_whom, &mut |labels, value| text.sample(labels, value));
    }
}

/// What stands between the labels of a scope and those of a metric.
fn between(labels: &str, more: Arguments<'_>) -> &'static str {
    if labels.is_empty() || more.as_str() == Some("") {
        ""
    } else {
        ","
    }
}
