use std::fs;

use super::{Migration, SourceError, read_project};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn files_are_sorted_by_their_timestamps() {
    let folder = folder(&[
        ("20260102000000_b.sql", "2"),
        ("20260101000000_a.sql", "1"),
        ("20260101000000_a.down.sql", "x"),
        ("notes.md", ""),
    ]);
    let names: Vec<_> = read_project(folder.path()).unwrap().into_iter().map(|m| m.name).collect();
    assert_eq!(names, ["20260101000000_a.sql", "20260102000000_b.sql"]);
}

#[test]
fn malformed_name_and_duplicate_timestamp_are_refused() {
    assert!(
        matches!(read_project(folder(&[("todos.sql", "")]).path()), Err(SourceError::BadName(name)) if name == "todos.sql")
    );
    let doubled = folder(&[("20260101000000_a.sql", ""), ("20260101000000_b.sql", "")]);
    assert!(matches!(read_project(doubled.path()), Err(SourceError::SameTime(..))));
}

#[test]
fn missing_folder_means_no_migrations() {
    assert!(read_project(std::path::Path::new("/nonexistent")).unwrap().is_empty());
}

#[test]
fn first_line_may_ask_for_no_transaction() {
    let migration = |sql: &str| Migration { sql: sql.to_owned(), ..Migration::new("", "") };
    assert!(
        !migration("-- rowhouse: no-transaction\ncreate index concurrently i on t (a);").is_transactional()
    );
    assert!(migration("create table t ();").is_transactional());
}

#[test]
fn checksum_is_sha256_of_the_text() {
    let empty = Migration::new("", "");
    assert_eq!(empty.checksum(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
