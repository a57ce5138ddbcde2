use super::{check, configuration, is_fresh};

#[test]
fn committed_configuration_page_is_fresh() {
    assert!(check(&crate::root()).unwrap(), "run `cargo xtask gen`");
}

#[test]
fn missing_or_edited_page_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!is_fresh(folder.path(), "page.md", "text\n"));
    std::fs::write(folder.path().join("page.md"), "text\nby hand\n").unwrap();
    assert!(!is_fresh(folder.path(), "page.md", "text\n"));
    assert!(is_fresh(folder.path(), "page.md", "text\nby hand\n"));
}

#[test]
fn page_lists_every_setting_with_its_variable() {
    let page = configuration();
    assert!(page.contains("| `server.port` | `ROWHOUSE_SERVER__PORT` | whole number | `54321` |"), "{page}");
    assert!(
        page.contains("| `environment` | `ROWHOUSE_ENVIRONMENT` | `development`, `production` |"),
        "{page}"
    );
}
