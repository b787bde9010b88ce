//! The default configuration as a file, with what each key means, made of the types that it is read
//! into: so it can't say anything else than they do.

use std::{collections::BTreeSet, fmt::Write as _};

use documented::DocumentedFields as _;
use hostler_decide::identity::{RawMatch, RawRule};
use toml::{Table, Value};

use super::raw::{
    RawAlert, RawConfig, RawControl, RawHistory, RawLog, RawMetrics, RawNotify, RawPlan,
    RawSignals, RawTarget, RawTls,
};

const HEAD: &str = "\
# Hostler's configuration, with its defaults: what is behind a `#` without a space after it is what
# holds where nothing else is written. `hostler config check FILE` says what is wrong with a file,
# and SIGHUP makes a running Hostler read it again.
";

/// Widest line of comments.
const COLUMNS: usize = 100;

/// The default file: comments only, so that a later version's defaults hold for whoever has left it as
/// it is.
pub fn document() -> String {
    let example = Table::try_from(RawConfig::example()).expect("it is made of tables");
    let default = Table::try_from(RawConfig::default()).expect("it is made of tables");
    let mut text = HEAD.to_owned();
    let (values, tables): (Vec<_>, Vec<_>) =
        example.iter().partition(|(_, value)| !is_section(value));
    for (key, value) in values {
        entry(&mut text, "", key, value);
    }
    for (name, value) in tables {
        text.push('\n');
        comment(&mut text, doc("", name));
        let is_example = match default.get(name) {
            Some(Value::Table(table)) => table.is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            _ => true,
        };
        if is_example {
            text.push_str("# There is none by default; for example:\n");
        }
        section(&mut text, name, value);
    }
    text
}

fn is_section(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::Array(items) => items.iter().any(Value::is_table),
        _ => false,
    }
}

fn section(text: &mut String, name: &str, value: &Value) {
    match value {
        Value::Table(table) => {
            let _infallible = writeln!(text, "#[{name}]");
            keys(text, name, "", table, &mut BTreeSet::new());
        }
        Value::Array(items) => {
            let mut said = BTreeSet::new();
            for table in items.iter().filter_map(Value::as_table) {
                let _infallible = writeln!(text, "#[[{name}]]");
                keys(text, name, "", table, &mut said);
            }
        }
        _ => {}
    }
}

/// The keys of a table; those of a table in it are written with a dot. What was `said` already of another
/// table of its kind is not said again.
fn keys(text: &mut String, path: &str, before: &str, table: &Table, said: &mut BTreeSet<String>) {
    for (key, value) in table {
        let inner = format!("{path}.{key}");
        match value.as_table() {
            Some(table) if is_documented(&inner) => {
                comment(text, doc(path, key));
                keys(text, &inner, &format!("{before}{key}."), table, said);
            }
            _ => {
                if said.insert(inner) {
                    comment(text, doc(path, key));
                }
                let _infallible = writeln!(text, "#{before}{key} = {}", inline(value));
            }
        }
    }
}

fn entry(text: &mut String, path: &str, key: &str, value: &Value) {
    text.push('\n');
    comment(text, doc(path, key));
    let _infallible = writeln!(text, "#{key} = {}", inline(value));
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let pairs = table.iter().map(|(key, value)| format!("{key} = {value}"));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether the keys of a table have docs of their own.
fn is_documented(path: &str) -> bool {
    [
        "rule.match",
        "metrics.tls",
        "notify.webhook",
        "notify.alertmanager",
    ]
    .contains(&path)
}

/// What a key means; nothing for keys that the user makes up.
fn doc(path: &str, key: &str) -> &'static str {
    let found = match path {
        "" => RawConfig::get_field_docs(key),
        "log" => RawLog::get_field_docs(key),
        "signals" => RawSignals::get_field_docs(key),
        "history" => RawHistory::get_field_docs(key),
        "plan" => RawPlan::get_field_docs(key),
        "control" => RawControl::get_field_docs(key),
        "metrics" => RawMetrics::get_field_docs(key),
        "metrics.tls" => RawTls::get_field_docs(key),
        "notify" => RawNotify::get_field_docs(key),
        "notify.webhook" | "notify.alertmanager" => RawTarget::get_field_docs(key),
        "alert" => RawAlert::get_field_docs(match key {
            "match" => "names",
            "for" => "lasts",
            key => key,
        }),
        "rule" if key == "match" => RawRule::get_field_docs("matchers"),
        "rule" => RawRule::get_field_docs(key),
        "rule.match" => RawMatch::get_field_docs(key),
        _ => return "",
    };
    found.unwrap_or_default()
}

fn comment(text: &mut String, doc: &str) {
    let mut line = String::new();
    for word in doc.split_whitespace() {
        if !line.is_empty() && line.len() + word.len() + 3 > COLUMNS {
            let _infallible = writeln!(text, "# {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _infallible = writeln!(text, "# {line}");
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;

    /// The document with its values put into force.
    fn in_force() -> String {
        let mut lines: Vec<String> = Vec::new();
        for line in document().lines() {
            let setting = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
            lines.push(setting.unwrap_or(line).to_owned());
        }
        lines.join("\n")
    }

    #[test]
    fn the_default_file_is_as_it_was() {
        expect_file!["document.toml"].assert_eq(&document());
    }

    #[test]
    fn as_it_is_the_default_file_changes_nothing() {
        assert_eq!(toml::from_str(&document()), Ok(RawConfig::default()));
    }

    #[test]
    fn what_it_says_are_the_defaults_and_the_examples() {
        assert_eq!(toml::from_str(&in_force()), Ok(RawConfig::example()));
    }

    #[test]
    fn each_key_says_what_it_means() {
        let (mut last, mut section) = (String::new(), String::new());
        let mut said = BTreeSet::new();
        let text = document();
        let (_, sections) = text.split_once("\n\n").expect("a head and the rest");
        for line in sections.lines() {
            let is_setting = line.starts_with('#') && !line.starts_with("# ");
            let is_users = line.starts_with("#model") || line.starts_with("#tools");
            if line.starts_with("#[") {
                line.clone_into(&mut section);
            } else if is_setting && !is_users {
                let key = line.split_once(" = ").expect("a value").0;
                let is_new = said.insert((section.clone(), key.to_owned()));
                assert!(
                    !is_new || last.starts_with("# "),
                    "nothing is said of {line}"
                );
            }
            line.clone_into(&mut last);
        }
    }
}
