use super::{Key, KeyKind, Names, Shown};
use crate::catalog::QualifiedName;

const LISTS: u32 = 1;
const TODOS: u32 = 2;
const VIEW: u32 = 3;

fn keys() -> Vec<Key> {
    let primary = |table| Key {
        table,
        kind: KeyKind::Primary,
        name: "pkey".to_owned(),
        columns: vec![1],
        foreign: 0,
        foreign_columns: vec![],
    };
    let foreign = Key {
        table: TODOS,
        kind: KeyKind::Foreign,
        name: "todos_list_id_fkey".to_owned(),
        columns: vec![2],
        foreign: LISTS,
        foreign_columns: vec![1],
    };
    vec![primary(LISTS), primary(TODOS), foreign]
}

fn names() -> Names {
    let mut names = Names::default();
    for (oid, name) in [(LISTS, "lists"), (TODOS, "todos"), (VIEW, "open_todos")] {
        names.relations.insert(oid, QualifiedName::new("public", name));
    }
    for (column, name) in [
        ((LISTS, 1), "id"),
        ((TODOS, 1), "id"),
        ((TODOS, 2), "list_id"),
        ((VIEW, 1), "list"),
        ((VIEW, 2), "todo"),
    ] {
        names.columns.insert(column, name.to_owned());
    }
    names
}

#[test]
fn view_that_shows_a_key_has_it() {
    let shown = Shown::new(&[((VIEW, 1), (TODOS, 2)), ((VIEW, 2), (TODOS, 1))]);
    assert_eq!(shown.primary_keys(&keys())[&VIEW], [2]);
    let found = shown.foreign_keys(&keys(), &names());
    let pairs: Vec<_> = found.iter().map(|key| (key.table.name.as_str(), key.columns[0].as_str())).collect();
    assert_eq!(pairs, [("todos", "list_id"), ("open_todos", "list")]);
}

#[test]
fn view_without_the_column_has_no_key() {
    let shown = Shown::new(&[((VIEW, 1), (TODOS, 3))]);
    assert!(shown.primary_keys(&keys()).is_empty());
    assert_eq!(shown.foreign_keys(&keys(), &names()).len(), 1);
}

#[test]
fn column_shown_twice_gives_two_ways() {
    let shown = Shown::new(&[((VIEW, 1), (TODOS, 2)), ((VIEW, 2), (TODOS, 2))]);
    let found = shown.foreign_keys(&keys(), &names());
    let columns: Vec<_> = found.iter().skip(1).map(|key| key.columns[0].as_str()).collect();
    assert_eq!(columns, ["list", "todo"]);
}
