//! The machine's apt sources: which archives it trusts, and with which keys.
//!
//! Both of apt's formats are read, one-line (`deb [signed-by=KEY] URI SUITE COMPONENT…`) and
//! deb822 (stanzas of fields).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::apt::run;

/// One archive the machine installs from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) uri: String,
    pub(super) suites: Vec<String>,
    pub(super) components: Vec<String>,
    /// Key rings, fingerprints, or a whole armoured key (then several lines), as deb822 has it.
    pub(super) signed_by: Option<String>,
}

impl Source {
    /// Whether this looks like a release's main archive, by its suites alone: which project's it
    /// is, its signed release file will say. Archives of security updates have other paths.
    pub(super) fn may_be_main_archive(&self) -> bool {
        let security = |suite: &String| suite.contains("security") || suite.contains('/');
        self.components.iter().any(|component| component == "main")
            && self.suites.iter().any(|suite| !security(suite))
            && !self.uri.starts_with("cdrom:")
    }

    /// A deb822 stanza for other suites of the same archive, with the same keys. Options that
    /// would weaken the verification (`Trusted: yes`) are not taken over.
    pub(super) fn stanza_for(&self, suite: &str) -> String {
        let mut stanza = format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\nArchitectures: amd64\n",
            self.uri
        );
        if let Some(keys) = &self.signed_by {
            stanza.push_str("Signed-By: ");
            stanza.push_str(keys);
            stanza.push('\n');
        }
        stanza.push('\n');
        stanza
    }
}

/// What the machine's own apt configuration says.
pub(super) struct Machine {
    /// Those that could be Debian's main archive.
    pub(super) archives: Vec<Source>,
    /// Settings for downloads (proxies and the like), as lines of configuration.
    pub(super) download_settings: String,
}

impl Machine {
    pub(super) fn read() -> Result<Self> {
        let dump = run(Command::new("apt-config").arg("dump"))
            .context("asking apt for its configuration (is this a Debian machine?)")?;
        let download_settings = String::from_utf8_lossy(&dump.stdout)
            .lines()
            .filter(|line| line.starts_with("Acquire::"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let mut files = Vec::new();
        for directory_or_file in ["Dir::Etc::sourcelist/f", "Dir::Etc::sourceparts/d"] {
            let path = configured_path(directory_or_file)?;
            match fs::read_dir(&path) {
                Ok(entries) => files.extend(entries.filter_map(Result::ok).map(|it| it.path())),
                Err(_) => files.push(path),
            }
        }
        files.sort();
        let mut archives: Vec<Source> = files.iter().flat_map(|file| read_sources(file)).collect();
        archives.retain(Source::may_be_main_archive);
        archives.dedup_by(|right, left| right.uri == left.uri);
        Ok(Self {
            archives,
            download_settings,
        })
    }
}

fn read_sources(file: &Path) -> Vec<Source> {
    let Ok(text) = fs::read_to_string(file) else {
        return Vec::new();
    };
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("list") => parse_one_line_format(&text),
        Some("sources") => parse_deb822_format(&text),
        _ => Vec::new(),
    }
}

fn configured_path(key: &str) -> Result<PathBuf> {
    let output = run(Command::new("apt-config").args(["shell", "VALUE", key]))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = text.trim().trim_start_matches("VALUE=").trim_matches('\'');
    Ok(PathBuf::from(value))
}

/// Reads a `.list` file.
pub(super) fn parse_one_line_format(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let rest = line.strip_prefix("deb")?;
    let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="))
        .map(|keys| keys.replace(',', " "));
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uri: words.next()?,
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by,
    })
}

/// Reads a `.sources` file.
pub(super) fn parse_deb822_format(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(sources_of_stanza(&stanza));
            stanza.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            stanza.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn sources_of_stanza(stanza: &[(String, String)]) -> Vec<Source> {
    let field = |name: &str| {
        stanza
            .iter()
            .find(|(field, _)| field == name)
            .map_or("", |(_, value)| value.as_str())
    };
    let words = |name: &str| {
        field(name)
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let disabled = ["no", "false", "off", "0"].contains(&field("enabled"));
    if disabled || !words("types").iter().any(|kind| kind == "deb") {
        return Vec::new();
    }
    let signed_by = Some(field("signed-by").to_owned()).filter(|keys| !keys.is_empty());
    let source = |uri| Source {
        uri,
        suites: words("suites"),
        components: words("components"),
        signed_by: signed_by.clone(),
    };
    words("uris").into_iter().map(source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str, suites: &[&str], keys: Option<&str>) -> Source {
        Source {
            uri: uri.to_owned(),
            suites: suites.iter().map(|&suite| suite.to_owned()).collect(),
            components: vec!["main".to_owned()],
            signed_by: keys.map(str::to_owned),
        }
    }

    #[test]
    fn a_line_gives_its_uri_suite_components_and_keys() {
        let text = "# deb http://old.test/d x main\n\
                    deb [arch=amd64 signed-by=/a.gpg,/b.gpg] http://one.test/d bookworm main # why\n\
                    deb-src http://one.test/d bookworm main\n\
                    deb http://two.test/d bookworm main\n";
        let expected = [
            source("http://one.test/d", &["bookworm"], Some("/a.gpg /b.gpg")),
            source("http://two.test/d", &["bookworm"], None),
        ];
        assert_eq!(parse_one_line_format(text), expected);
    }

    #[test]
    fn a_stanza_gives_one_source_per_uri_and_keeps_an_inline_key() {
        let text = "Types: deb deb-src\n# a comment\nURIs: http://one.test/d http://two.test/d\n\
                    Suites: bookworm bookworm-updates\nComponents: main\n\
                    signed-by:\n -----BEGIN-----\n .\n abc\n\n\
                    Types: deb\nURIs: http://off.test\nSuites: x\nEnabled: no\n";
        let keys = Some("\n -----BEGIN-----\n .\n abc");
        let suites = ["bookworm", "bookworm-updates"];
        let expected = [
            source("http://one.test/d", &suites, keys),
            source("http://two.test/d", &suites, keys),
        ];
        assert_eq!(parse_deb822_format(text), expected);
    }

    #[test]
    fn a_stanza_for_another_suite_keeps_the_archive_and_its_keys() {
        let source = source("http://one.test/d", &["bookworm"], Some("/a.gpg"));
        let stanza = source.stanza_for("bookworm-backports");
        let derived = parse_deb822_format(&stanza);
        assert_eq!(
            derived,
            [Source {
                suites: vec!["bookworm-backports".into()],
                ..source
            }]
        );
    }

    #[test]
    fn archives_of_security_updates_are_not_main_archives() {
        assert!(source("http://one.test/d", &["bookworm"], None).may_be_main_archive());
        assert!(!source("http://one.test/s", &["bookworm-security"], None).may_be_main_archive());
        assert!(!source("http://one.test/s", &["bullseye/updates"], None).may_be_main_archive());
    }
}
