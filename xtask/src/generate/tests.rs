use super::{check, configuration};

#[test]
fn committed_configuration_page_is_fresh() {
    assert!(check(&crate::root()).unwrap(), "run `cargo xtask gen`");
}

#[test]
fn missing_or_edited_page_is_stale() {
    let folder = std::env::temp_dir().join(format!("rowhouse-gen-{}", std::process::id()));
    assert!(!check(&folder).unwrap());
    std::fs::create_dir_all(folder.join("docs")).unwrap();
    std::fs::write(folder.join("docs/configuration.md"), configuration() + "by hand\n").unwrap();
    assert!(!check(&folder).unwrap());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn page_shows_every_setting_with_its_variable() {
    let page = configuration();
    assert!(page.contains("| `server.port` | `ROWHOUSE_SERVER__PORT` | whole number | `54321` |"), "{page}");
    assert!(
        page.contains("| `environment` | `ROWHOUSE_ENVIRONMENT` | `development`, `production` |"),
        "{page}"
    );
}
