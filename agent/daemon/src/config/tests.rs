//! What holds of configurations.

use super::*;

fn refusal(text: &str) -> String {
    Config::parse("a.toml", text)
        .expect_err("it makes no sense")
        .to_string()
}

#[test]
fn an_empty_file_means_the_defaults() {
    let config = Config::parse("a.toml", "").expect("it is empty");
    assert_eq!(config.raw, RawConfig::default());
    assert_eq!(config.tick, Duration::from_secs(1));
    assert_eq!(config.long_wait_ns, hostler_observe::LONG_WAIT_NS);
    assert!(
        config
            .metrics
            .expect("by default")
            .listen
            .ip()
            .is_loopback()
    );
}

#[test]
fn what_is_unknown_is_refused_with_its_line_wherever_it_stands() {
    for text in [
        "colour = 'red'",
        "[log]\ncolour = 'red'",
        "[signals]\ncolour = true",
        "[metrics]\ncolour = 'red'",
        "[[rule]]\nname = 'a'\ncolour = 'red'",
    ] {
        let refusal = refusal(text);
        assert!(refusal.starts_with("a.toml: "), "{refusal}");
        assert!(refusal.contains("`colour`"), "{refusal}");
        let line = format!("line {}", text.lines().count());
        assert!(refusal.contains(&line), "{refusal}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_key_and_what_would() {
    for (text, key, remedy) in [
        ("tick = '5ms'", "tick", "from 100ms to 4s"),
        ("log.level = 'loud'", "log.level", "none of off, error"),
        ("log.level = 'info,a=loud'", "log.level", "`loud`"),
        ("tick = '5'", "tick", "for example 500ms"),
        (
            "[signals]\nlong_wait = '1h'",
            "signals.long_wait",
            "from 1us to 1m",
        ),
        (
            "[metrics]\nlisten = 'here'",
            "metrics.listen",
            "127.0.0.1:9465",
        ),
        ("[metrics]\nseries = 5", "metrics.series", "from 100 to"),
        (
            "[metrics]\nlinger = '0s'",
            "metrics.linger",
            "from 1s to 1day",
        ),
        (
            "[metrics]\ntoken_file = '/no/such'",
            "metrics.token_file",
            "/no/such",
        ),
        (
            "metrics.tls = { certificate = '/no/such', key = '/no' }",
            "metrics.tls",
            "/no/such",
        ),
        ("[metrics]\npinned = ['[a']", "metrics.pinned", "'*mcp*'"),
        ("[control]\nsocket = 'here'", "control.socket", "whole path"),
        (
            "[control]\ngroup = 'no-such-group'",
            "control.group",
            "`no-such-group`",
        ),
        ("[history]\nfolder = 'here'", "history.folder", "whole path"),
        ("[history]\nsize_mib = 1", "history.size_mib", "from 16 to"),
        (
            "[history]\nminutes = '1m'",
            "history.minutes",
            "from 1h to 90days",
        ),
        ("[plan]\nmode = 'move'", "mode", "`advise`, `act`"),
        ("[plan]\ninterval = '1s'", "plan.interval", "from 10s to 1h"),
        ("[plan]\nleave = ['[a']", "plan.leave", "'*mcp*'"),
        (
            "signals.placement = false\n[plan]\nmode = 'advise'",
            "plan.mode",
            "signals.placement",
        ),
        ("[[alert]]\nname = 'a b'", "alert `a b`: name", "letters"),
        ("[[alert]]\nname = 'a'", "measure", "wait_p99"),
        (
            "[[alert]]\nname = 'a'\nmeasure = 'colour'",
            "measure",
            "none of cpu",
        ),
        ("[[alert]]\nname = 'a'\nmeasure = 'cpu'", "measure", "above"),
        (
            "[[alert]]\nname = 'a'\nmeasure = 'wait_p99'\nabove = 5",
            "alert `a`: above",
            "50ms",
        ),
        ("[[alert]]\nname = 'a'\nabsent = true", "absent", "`match`"),
        (
            "[[alert]]\nname = 'a'\nabsent = true\nmatch = ['b']\nabove = 1",
            "absent",
            "one or the other",
        ),
        (
            "[[alert]]\nname = 'a'\nof = 'host'\nmatch = ['b']",
            "match",
            "one host",
        ),
        (
            "[[alert]]\nname = 'a'\nfor = '2days'\nmeasure = 'cpu'\nabove = 1",
            "for",
            "from 0s to 1day",
        ),
        (
            "[notify.webhook]\nurl = 'ftp://a'",
            "notify.webhook.url",
            "https://",
        ),
        (
            "[notify.webhook]\nurl = 'http://a'\ntoken_file = '/no/such'",
            "token_file",
            "/no/such",
        ),
        ("[control]\nothers = 'all'", "others", "`nothing` or `read`"),
        ("[peers]\nlan = ['10.0.0.1']", "peers.lan", "gives itself"),
        ("[[rule]]\nname = 'a'", "rule", "`a`"),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(key), "{refusal}");
        assert!(refusal.contains(remedy), "{refusal}");
    }
}

#[test]
fn what_is_shown_of_a_configuration_means_the_same_again() {
    let text = "tick = '2s'\n[peers]\nmodel = ['10.0.0.1:443']\n[[rule]]\nname = 'a'\n\
                match.comm = 'a*'\n[metrics]\nlisten = ''";
    let config = Config::parse("a.toml", text).expect("it makes sense");
    assert!(config.metrics.is_none());
    let again = Config::parse("b.toml", &config.shown()).expect("it makes sense");
    assert_eq!(again.raw, config.raw);
}

#[test]
fn only_what_is_measured_asks_for_other_programs() {
    let config = |text: &str| Config::parse("a.toml", text).expect("it makes sense");
    let before = config("");
    assert!(before.measures_like(&config("tick = '2s'\n[metrics]\ntop = 1")));
    assert!(!before.measures_like(&config("[signals]\nwakes = true")));
    assert!(!before.measures_like(&config("[peers]\nmodel = ['10.0.0.1']")));
}

#[test]
fn a_file_that_is_not_there_or_no_file_is_refused_with_its_path() {
    for path in ["/no/such/file.toml", "/"] {
        let refusal = Config::read(Some(Path::new(path))).expect_err("it is no file");
        assert!(refusal.to_string().starts_with(path), "{refusal}");
    }
}
