//! What led to a step: the numbers, and the sentence that is made of them.

use std::fmt;

use serde::Serialize;

/// What was seen of an agent that is to be moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Why {
    /// CPU time that it uses in a second, in ns.
    pub demand_ns: u64,
    /// The node on which it runs most.
    pub main_node: u32,
    /// How much of its time it runs there, in percent.
    pub main_percent: u32,
    /// Where its anonymous memory lies, where that is known and there is any.
    pub memory: Option<Memory>,
    /// With whom it has most to do, if that is worth a move.
    pub companion: Option<Companion>,
    /// Why it does not stay where it runs, if that is for want of room.
    pub crowding: Option<Crowding>,
}

/// Where an agent's anonymous memory lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// All of it, in bytes.
    pub bytes: u64,
    /// The node on which most of it lies.
    pub node: u32,
    /// How much of it lies there, in percent.
    pub percent: u32,
    /// How far that is from where the agent runs most, see
    /// [`crate::topology::Node::distances`]; 10 where it is the same node.
    pub distance: u64,
}

/// Whom an agent wakes, or who wakes it, most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Companion {
    /// Its name; `None` if they are the agent's own threads.
    pub name: Option<String>,
    /// How often a second, in both directions.
    pub per_s: u64,
    /// How many of these cross nodes as both run now, in percent.
    pub crossing_percent: u32,
    /// And after the plan.
    pub crossing_percent_then: u32,
}

/// A node that has more to do than its part of the host's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Crowding {
    /// The node.
    pub node: u32,
    /// How busy its CPUs are, in percent; above 100 if more waits for them.
    pub busy_percent: u32,
    /// How busy those of the whole host are.
    pub host_percent: u32,
}

impl fmt::Display for Why {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            text,
            "it needs {} of a CPU and runs {} % of its time on node {}",
            percent_of_cpu(self.demand_ns),
            self.main_percent,
            self.main_node
        )?;
        if let Some(memory) = &self.memory {
            write!(text, "; {memory}", memory = memory.words(self.main_node))?;
        }
        if let Some(companion) = &self.companion {
            write!(text, "; {companion}")?;
        }
        if let Some(crowding) = &self.crowding {
            write!(
                text,
                "; node {} is {} % busy, the host {} %",
                crowding.node, crowding.busy_percent, crowding.host_percent
            )?;
        }
        Ok(())
    }
}

impl Memory {
    fn words(self, main_node: u32) -> String {
        let (all, percent) = (bytes(self.bytes), self.percent);
        if self.node == main_node {
            return format!("{percent} % of its {all} lie there");
        }
        format!(
            "{percent} % of its {all} lie on node {}, at distance {}",
            self.node, self.distance
        )
    }
}

impl fmt::Display for Companion {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = match &self.name {
            Some(name) => format!("{name} and it wake each other"),
            None => "its threads wake each other".to_owned(),
        };
        let often = match self.per_s {
            1 => "once".to_owned(),
            many => format!("{many} times"),
        };
        write!(
            text,
            "{with} {often} a second, {} % across nodes ({} % then)",
            self.crossing_percent, self.crossing_percent_then
        )
    }
}

/// CPU time a second in percent of one CPU.
fn percent_of_cpu(ns: u64) -> String {
    let percent = ns as f64 / 1e7;
    if percent < 9.95 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.0} %")
    }
}

fn bytes(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.iter().find(|(shift, _)| bytes >> shift > 0);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(shift, unit)| format!("{:.1} {unit}", bytes as f64 / f64::from(1_u32 << shift)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_holds_the_numbers_that_led_to_a_step() {
        let why = Why {
            demand_ns: 420_000_000,
            main_node: 1,
            main_percent: 94,
            memory: Some(Memory {
                bytes: 222_298_112,
                node: 0,
                percent: 97,
                distance: 21,
            }),
            companion: Some(Companion {
                name: Some("agents/tool".to_owned()),
                per_s: 1_240,
                crossing_percent: 80,
                crossing_percent_then: 0,
            }),
            crowding: Some(Crowding {
                node: 1,
                busy_percent: 96,
                host_percent: 55,
            }),
        };
        assert_eq!(
            why.to_string(),
            "it needs 42 % of a CPU and runs 94 % of its time on node 1; 97 % of its 212.0 MiB lie on \
             node 0, at distance 21; agents/tool and it wake each other 1240 times a second, 80 % \
             across nodes (0 % then); node 1 is 96 % busy, the host 55 %"
        );
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        let why = Why {
            demand_ns: 5_000_000,
            main_percent: 50,
            companion: Some(Companion {
                name: None,
                per_s: 30,
                crossing_percent: 50,
                crossing_percent_then: 0,
            }),
            ..Why::default()
        };
        assert_eq!(
            why.to_string(),
            "it needs 0.5 % of a CPU and runs 50 % of its time on node 0; its threads wake each other \
             30 times a second, 50 % across nodes (0 % then)"
        );
    }
}
