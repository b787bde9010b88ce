//! What differs between two configurations, key by key, for whoever reads the log.

use toml::{Table, Value};

use super::raw::RawConfig;

/// Of keys below this, the values are not told.
const SECRET: &str = "notify.";

/// A line for each key that differs: what it was and what it is.
pub(crate) fn difference(before: &RawConfig, now: &RawConfig) -> Vec<String> {
    let table = |raw: &RawConfig| Table::try_from(raw).expect("it is made of tables");
    let mut lines = Vec::new();
    compare(&mut lines, "", &table(before), &table(now));
    lines
}

fn compare(lines: &mut Vec<String>, path: &str, before: &Table, now: &Table) {
    let new = now.keys().filter(|key| !before.contains_key(*key));
    for key in before.keys().chain(new) {
        let name = format!("{path}{key}");
        match (before.get(key), now.get(key)) {
            (Some(was), Some(is)) if was == is => {}
            (Some(Value::Table(was)), Some(Value::Table(is))) => {
                compare(lines, &format!("{name}."), was, is);
            }
            // An address may hold what it takes to be heard there, and that is not for the log.
            _ if name.starts_with(SECRET) => lines.push(format!("{name} is another one")),
            (was, is) => lines.push(format!("{name}: {} -> {}", shown(was), shown(is))),
        }
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawConfig {
        toml::from_str(text).expect("a configuration")
    }

    #[test]
    fn each_key_that_differs_is_named_with_what_it_was_and_is() {
        let before = raw("tick = '1s'\n[peers]\nmodel = ['10.0.0.1']");
        let now = raw("tick = '500ms'\n[metrics]\ntop = 5\n[peers]\ntools = ['10.0.0.2']");
        assert_eq!(
            difference(&before, &now),
            [
                "tick: \"1s\" -> \"500ms\"",
                "metrics.top: 25 -> 5",
                "peers.model: [\"10.0.0.1\"] -> nothing",
                "peers.tools: nothing -> [\"10.0.0.2\"]",
            ]
        );
    }

    #[test]
    fn that_another_address_is_told_of_alerts_is_said_without_the_address() {
        let before = raw("[notify.webhook]\nurl = 'https://a/secret-1'");
        let now = raw(
            "[notify.webhook]\nurl = 'https://a/secret-2'\n[notify.alertmanager]\nurl = 'http://b'",
        );
        let lines = difference(&before, &now);
        assert_eq!(
            lines,
            [
                "notify.webhook.url is another one",
                "notify.alertmanager is another one"
            ]
        );
    }

    #[test]
    fn two_that_mean_the_same_do_not_differ() {
        assert!(difference(&raw("tick = '1000ms'"), &raw("")).is_empty());
    }
}
