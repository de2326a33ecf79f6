//! That what is shipped for Prometheus and Grafana names what there is.

use crate::site::Site;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// Returns the metrics that an expression names.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_name(letter)).filter(|word| word.starts_with("wcas_"));
    words.map(|word| word.trim_end_matches("_bucket").to_owned()).collect()
}

/// Returns the families that the server tells, each with its kind.
fn told(site: &Site) -> BTreeSet<String> {
    let text = site.page("/metrics");
    let mut families = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned()), "{name} twice");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let name = name.split('{').next().unwrap();
            assert!(families.iter().any(|family| name.starts_with(family.as_str())), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    families
}

#[test]
fn the_dashboard_and_the_alerts_name_metrics_that_there_are() {
    let site = Site::full();
    let families = told(&site);
    let board: serde_json::Value = serde_json::from_str(&shipped("grafana-dashboard.json")).unwrap();
    let mut expressions = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        expressions.extend(targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    // It is YAML of a plain kind: a key and a value a line.
    let alerts = shipped("alerts.yaml");
    let (mut names, mut rules) = (BTreeSet::new(), 0);
    for line in alerts.lines().filter(|line| !line.trim_start().starts_with('#')) {
        assert!(!line.contains('\t') && line.contains(':'), "{line}");
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            assert!(names.insert(name.to_owned()), "{name} twice");
        } else if let Some(rule) = line.trim().strip_prefix("expr: ") {
            assert!(!rule.contains(": ") && !rule.contains(" #"), "YAML would read {rule} otherwise");
            expressions.push(rule.to_owned());
            rules += 1;
        }
    }
    assert!(names.len() == rules && rules > 10, "{names:?}");
    for expression in expressions {
        let wanted = named(&expression);
        assert!(!wanted.is_empty(), "{expression}");
        let missing: Vec<_> = wanted.difference(&families).collect();
        assert!(missing.is_empty(), "{missing:?} of {expression} are not told");
        let depth =
            expression.chars().fold(0, |depth, letter| depth + i32::from(letter == '(') - i32::from(letter == ')'));
        assert_eq!(depth, 0, "{expression}");
    }
}

#[test]
fn the_page_and_the_metrics_tell_the_same_of_the_store() {
    let site = Site::full();
    let metric = |name: &str| {
        let text = site.page("/metrics");
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).map(str::to_owned);
        line.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
    };
    assert_eq!(metric("wcas_last_gc_timestamp_seconds"), None);
    assert!(site.page("/_/health/").contains("none that is known"));
    site.env.ok(["gc"]);
    assert!(metric("wcas_last_gc_timestamp_seconds").is_some());
    assert!(!site.page("/_/health/").contains("none that is known"));
    let stats = site.env.json(["stats"]);
    assert_eq!(metric("wcas_saved_bytes"), stats["saved_bytes"].as_u64());
    assert_eq!(metric("wcas_lost_blobs"), Some(0));
}
