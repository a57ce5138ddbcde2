use super::{Column, ForeignKey, QualifiedName, RelationKind, Snapshot, Table};

fn table(name: &str, columns: &[&str], key: &[&str]) -> Table {
    Table {
        name: QualifiedName::new("public", name),
        columns: columns.iter().map(|column| Column::new(*column, "integer")).collect(),
        primary_key: key.iter().map(|column| (*column).to_owned()).collect(),
        ..Table::default()
    }
}

fn key(name: &str, table: &str, column: &str, foreign: &str) -> ForeignKey {
    ForeignKey {
        constraint: name.to_owned(),
        table: QualifiedName::new("public", table),
        columns: vec![column.to_owned()],
        foreign: QualifiedName::new("public", foreign),
        foreign_columns: vec!["id".to_owned()],
        one_to_one: false,
    }
}

#[test]
fn foreign_key_relates_both_ends() {
    let tables = vec![table("todos", &["id", "list_id"], &["id"]), table("lists", &["id"], &["id"])];
    let keys = [key("todos_list_id_fkey", "todos", "list_id", "lists")];
    let snapshot = Snapshot::new(&["public".to_owned()], tables, vec![], &keys);
    let forth = &snapshot.table("public", "todos").unwrap().relations;
    assert_eq!(forth.len(), 1);
    assert_eq!(forth[0].kind, RelationKind::ManyToOne);
    assert_eq!(forth[0].columns, [("list_id".to_owned(), "id".to_owned())]);
    let back = &snapshot.table("public", "lists").unwrap().relations;
    assert_eq!(back[0].kind, RelationKind::OneToMany);
    assert_eq!(back[0].columns, [("id".to_owned(), "list_id".to_owned())]);
}

#[test]
fn junction_with_both_keys_in_its_primary_key_relates_its_ends() {
    let tables = vec![
        table("users", &["id"], &["id"]),
        table("groups", &["id"], &["id"]),
        table("members", &["user_id", "group_id"], &["user_id", "group_id"]),
    ];
    let keys = [
        key("members_user_id_fkey", "members", "user_id", "users"),
        key("members_group_id_fkey", "members", "group_id", "groups"),
    ];
    let snapshot = Snapshot::new(&["public".to_owned()], tables, vec![], &keys);
    let users = &snapshot.table("public", "users").unwrap().relations;
    let through = users.iter().find(|relation| relation.target.name == "groups").unwrap();
    let RelationKind::ManyToMany(junction) = &through.kind else { panic!("{through:?}") };
    assert_eq!(junction.table.name, "members");
    assert_eq!(junction.constraint, "members_group_id_fkey");
    assert_eq!(junction.columns, [("id".to_owned(), "group_id".to_owned())]);
    assert_eq!(through.columns, [("id".to_owned(), "user_id".to_owned())]);
}

#[test]
fn objects_of_schemas_that_are_not_served_are_dropped() {
    let mut hidden = table("secrets", &["id"], &["id"]);
    hidden.name.schema = "private".to_owned();
    let snapshot = Snapshot::new(&["public".to_owned()], vec![hidden], vec![], &[]);
    assert!(snapshot.table("private", "secrets").is_none());
    assert_eq!(snapshot.table_names("public").count(), 0);
}
