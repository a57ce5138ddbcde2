//! What the files before have left counts.

use rowhouse_lint::{Context, Judged, Reader, lint};

use crate::support::{context, last, migrations};

const MAKE: &str =
    "create table public.notes (id bigint primary key, body text); select tenancy.protect('public.notes');";

fn rules(files: &[&str]) -> Vec<String> {
    last(files).findings.into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn index_of_an_earlier_file_serves_a_foreign_key() {
    let key = "alter table public.notes add column list bigint; \
        alter table public.notes add constraint notes_list_fkey foreign key (list) references public.lists (id) not valid;";
    let index =
        "-- rowhouse: no-transaction\ncreate index concurrently if not exists a on public.notes (list, id);";
    assert_eq!(rules(&[MAKE, key]), ["foreign-key-without-index"]);
    assert_eq!(rules(&[MAKE, index, key]), Vec::<String>::new());
}

#[test]
fn column_that_a_view_a_policy_or_a_function_of_an_earlier_file_names_is_not_dropped() {
    let drop = "-- rowhouse: phase contract\nalter table public.notes drop column body cascade;";
    for reader in [
        "create view public.bodies as select body from public.notes;",
        "create policy own on public.notes for select using (body = current_user);",
        "create function public.f() returns text language plpgsql as $$ begin return (select body from notes); end $$;",
    ] {
        let rules = rules(&[MAKE, reader, drop]);
        assert!(rules.contains(&"column-still-referenced".to_owned()), "{reader}: {rules:?}");
    }
    let view = "create view public.bodies as select body from public.notes;";
    let gone = rules(&[MAKE, view, "drop view public.bodies;", drop]);
    assert!(!gone.contains(&"column-still-referenced".to_owned()), "{gone:?}");
}

#[test]
fn function_of_the_database_counts_too() {
    let files = migrations(&["-- rowhouse: phase contract\nalter table public.notes drop column body;"]);
    let reader = Reader { object: "function public.f".to_owned(), text: "select body from notes".to_owned() };
    let context = Context { readers: vec![reader], ..context() };
    let report = lint(&files, Judged::Alone(&[files[0].name.clone()]), &context);
    assert!(report.findings.iter().any(|f| f.rule == "column-still-referenced"), "{:#?}", report.findings);
}

#[test]
fn what_an_earlier_file_of_the_same_run_makes_nobody_uses_yet() {
    let index = "create index notes_body_idx on public.notes (body);";
    let files = migrations(&[MAKE, index]);
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let alone = lint(&files, Judged::Alone(&names), &context());
    assert_eq!(alone.findings.len(), 1, "{:#?}", alone.findings);
    assert_eq!(lint(&files, Judged::Together(&names), &context()).findings, []);
    let second = lint(&files, Judged::Together(&names[1..]), &context());
    assert_eq!(second.findings.len(), 1, "the first was applied long ago");
}

#[test]
fn tables_outside_the_exposed_schemas_need_no_row_level_security() {
    assert_eq!(rules(&["create table internal.notes (id bigint primary key);"]), Vec::<String>::new());
    assert_eq!(rules(&["create table notes (id bigint primary key);"]), ["table-without-isolation"]);
    assert_eq!(rules(&["create temp table notes (id bigint primary key);"]), Vec::<String>::new());
}
