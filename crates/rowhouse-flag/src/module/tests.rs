use super::METRICS;

#[test]
fn alerts_and_manual_name_the_metrics_that_are_written() {
    let alerts = include_str!("../../../../docs/alerts/flags.rules.yml");
    let manual = include_str!("../../../../docs/flags.md");
    for text in [alerts, manual] {
        for (at, _) in text.match_indices("rowhouse_flags") {
            let name: String =
                text[at..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            assert!(METRICS.iter().any(|metric| metric.name == name), "{name}");
        }
    }
    assert!(METRICS.iter().all(|metric| manual.contains(&format!("`{}`", metric.name))));
}
