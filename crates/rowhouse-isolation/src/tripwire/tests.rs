use std::sync::Arc;
use std::time::Duration;

use rowhouse_kernel::{SharedRng, SystemRng};

use super::{METRICS, jittered};

#[test]
fn alerts_and_manual_name_the_metrics_that_are_written() {
    let alerts = include_str!("../../../../docs/alerts/isolation.rules.yml");
    let manual = include_str!("../../../../docs/isolation/watch.md");
    for text in [alerts, manual] {
        for (at, _) in text.match_indices("rowhouse_rls") {
            let name: String =
                text[at..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            assert!(METRICS.iter().any(|metric| metric.name == name), "{name}");
        }
    }
    assert!(METRICS.iter().all(|metric| manual.contains(metric.name)));
    for line in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(manual.contains(&format!("`{line}`")), "{line}");
    }
}

#[test]
fn looks_are_spread_by_a_fifth() {
    let rng: SharedRng = Arc::new(SystemRng);
    let (least, most) = (Duration::from_secs(48), Duration::from_secs(72));
    assert!((0..100).all(|_| (least..=most).contains(&jittered(Duration::from_secs(60), &rng))));
}
