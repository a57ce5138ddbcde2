use rowhouse_module::Module;

use super::BackupModule;

#[test]
fn alerts_and_manual_name_the_metrics_that_are_written() {
    let alerts = include_str!("../../../../docs/alerts/backup.rules.yml");
    let manual = include_str!("../../../../docs/backups.md");
    let metrics = BackupModule.metrics();
    for text in [alerts, manual] {
        for (at, _) in text.match_indices("rowhouse_backup_") {
            let name: String =
                text[at..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            assert!(metrics.iter().any(|metric| metric.name == name), "{name}");
        }
    }
    let unnamed: Vec<&str> = metrics
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !manual.contains(&format!("`{name}`")))
        .collect();
    assert_eq!(unnamed, Vec::<&str>::new());
}
