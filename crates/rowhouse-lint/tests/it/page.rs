//! What we hand out: the examples and the SQL on the pages are as lint wants files to be.

use std::path::{Path, PathBuf};

use rowhouse_db::migrate::read_project;
use rowhouse_lint::{Judged, lint};

use crate::support::{context, last, lines};

/// A block with a line that begins like this is part of a migration.
const BEGINNINGS: [&str; 4] = ["create table ", "alter table ", "create index ", "create unique index "];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

#[test]
fn nothing_is_found_in_the_migrations_of_an_example() {
    let examples = folders(&root().join("examples"));
    assert!(!examples.is_empty());
    for example in examples {
        let files = read_project(&example.join("migrations")).unwrap();
        let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
        let report = lint(&files, Judged::Alone(&names), &context());
        assert!(
            report.files > 0 && report.findings.is_empty(),
            "{}: {:#?}",
            example.display(),
            report.findings
        );
    }
}

/// The pages, without those made from the rules' folders, which show what is refused.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let deeper = entries.flat_map(|path| if path.is_dir() { pages(&path) } else { vec![path] });
    deeper
        .filter(|path| {
            path.extension().is_some_and(|end| end == "md") && !path.ends_with("migrations/lint.md")
        })
        .collect()
}

fn blocks(page: &str) -> impl Iterator<Item = &str> {
    let blocks = page.split("```sql\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    blocks.filter(|block| block.lines().any(|line| BEGINNINGS.iter().any(|start| line.starts_with(start))))
}

#[test]
fn nothing_is_found_in_the_migrations_on_the_pages() {
    let mut judged = 0;
    for path in pages(&root().join("docs")) {
        let page = std::fs::read_to_string(&path).unwrap();
        for block in blocks(&page) {
            judged += 1;
            assert_eq!(lines(&last(&[block]).findings), Vec::<String>::new(), "{}:\n{block}", path.display());
        }
    }
    assert!(judged >= 6, "{judged}");
}
