//! Rules for Prometheus: what all of them have in common.

use std::path::Path;

/// Name of the alert and its expression, in one line.
fn rules(text: &str) -> Vec<(String, String)> {
    let mut rules = Vec::new();
    let (mut name, mut expression) = (String::new(), None::<String>);
    for line in text.lines().map(str::trim) {
        if let Some(alert) = line.strip_prefix("- alert: ") {
            name = alert.to_owned();
        } else if let Some(first) = line.strip_prefix("expr: ") {
            expression = Some(first.trim_start_matches(">-").to_owned());
        } else if line.split_once(": ").is_some_and(|(key, _)| matches!(key, "for" | "labels")) {
            rules.extend(expression.take().map(|expression| (name.clone(), expression.trim().to_owned())));
        } else if let Some(expression) = &mut expression {
            expression.push_str(&format!(" {line}"));
        }
    }
    rules
}

/// What `increase` is of, and over how long.
fn increases(expression: &str) -> Vec<(&str, &str)> {
    let arguments = expression.split("increase(").skip(1).filter_map(|rest| rest.split_once("])"));
    arguments.filter_map(|(argument, _)| argument.rsplit_once('[')).collect()
}

/// `increase` counts from the first sample on: a counter with labels appears with its first event, which it would not see.
fn sees_first_sample(expression: &str) -> bool {
    let is_seen = |(series, window): &(&str, &str)| {
        expression
            .contains(&format!("({series} unless {series} offset {window}) or increase({series}[{window}])"))
    };
    increases(expression).iter().all(is_seen)
}

#[test]
fn alert_on_an_increase_also_sees_a_counter_that_appears_with_a_value() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/alerts");
    let (mut alerts, mut on_increase) = (0, 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let rules = rules(&text);
        assert_eq!(rules.len(), text.matches("- alert: ").count(), "{text}");
        for (name, expression) in rules {
            assert!(sees_first_sample(&expression), "{name}: {expression}");
            alerts += 1;
            on_increase += usize::from(!increases(&expression).is_empty());
        }
    }
    assert!(alerts > 20 && on_increase >= 8, "{alerts} {on_increase}");
}

#[test]
fn expression_that_misses_the_first_sample_is_told_apart() {
    let old = "sum(increase(rls_violations_total{kind=\"policy\"}[5m])) > 10";
    assert_eq!(increases(old), [("rls_violations_total{kind=\"policy\"}", "5m")]);
    assert!(!sees_first_sample(old));
    assert!(!sees_first_sample("(x unless x offset 5m) or increase(x[10m]) > 0"));
    assert!(sees_first_sample("(x unless x offset 5m) or increase(x[5m]) > 0"));
}
