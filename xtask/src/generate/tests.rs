use super::{check, is_fresh};

#[test]
fn committed_pages_are_fresh() {
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
