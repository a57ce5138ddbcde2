//! Ways to stop a busy table, or the release that runs: each is refused by name.

use crate::support::{found, last};

/// What it is, the file, and the rule.
const TRAPS: &[(&str, &str, &str)] = &[
    ("index", "create index notes_body_idx on public.notes (body);", "require-concurrent-index-creation"),
    (
        "foreign key",
        "alter table public.notes add constraint notes_list_fkey foreign key (list) references public.lists (id);",
        "adding-foreign-key-constraint",
    ),
    (
        "check",
        "alter table public.notes add constraint notes_body_check check (body <> '');",
        "constraint-missing-not-valid",
    ),
    ("not null", "alter table public.notes alter column body set not null;", "adding-not-nullable-field"),
    ("type", "alter table public.notes alter column id type bigint;", "changing-column-type"),
    (
        "volatile default",
        "alter table public.notes add column key uuid default gen_random_uuid();",
        "adding-field-with-default",
    ),
    ("renamed column", "alter table public.notes rename column body to text;", "renaming-column"),
    ("renamed table", "alter table public.notes rename to remarks;", "renaming-table"),
    ("dropped column", "alter table public.notes drop column body;", "ban-drop-column"),
    ("dropped table", "drop table public.notes;", "ban-drop-table"),
    (
        "unique",
        "alter table public.notes add constraint notes_body_key unique (body);",
        "disallowed-unique-constraint",
    ),
    ("cluster", "cluster public.notes using notes_pkey;", "table-rewritten"),
    ("vacuum full", "-- rowhouse: no-transaction\nvacuum full public.notes;", "table-rewritten"),
    (
        "long lock",
        "alter table public.notes add column a text; alter table public.notes validate constraint notes_body_check;",
        "lock-held",
    ),
    (
        "backfill under a lock",
        "alter table public.notes add column a text; update public.notes set a = body;",
        "backfill-with-ddl",
    ),
    (
        "concurrently in a transaction",
        "create index concurrently a on public.notes (body);",
        "needs-no-transaction",
    ),
    ("required column", "alter table public.notes add column a text not null;", "adding-required-field"),
];

#[test]
fn each_known_trap_is_refused_by_name() {
    for (what, sql, rule) in TRAPS {
        let report = last(&[sql]);
        assert!(found(sql).iter().any(|found| found == rule), "{what}: {:#?}", report.findings);
        assert!(!report.passes(), "{what}");
    }
}

#[test]
fn table_made_in_the_same_file_may_be_changed_in_any_way() {
    let make = "create table public.notes (id bigint primary key, body text); select tenancy.protect('public.notes');\n";
    for (what, sql, rule) in TRAPS {
        let is_about_one_table = !["concurrently in a transaction"].contains(what);
        let found = found(&format!("{make}{sql}"));
        assert!(!is_about_one_table || found.iter().all(|found| found != rule), "{what}: {found:?}");
    }
}

#[test]
fn what_breaks_the_release_that_runs_is_a_warning_in_phase_contract() {
    let report = last(&["-- rowhouse: phase contract\nalter table public.notes drop column body;"]);
    assert!(report.passes() && report.findings.len() == 1, "{:#?}", report.findings);
}

#[test]
fn safe_ways_pass() {
    for sql in [
        "-- rowhouse: no-transaction\ncreate index concurrently if not exists notes_body_idx on public.notes (body);",
        "alter table public.notes add constraint notes_body_check check (body <> '') not valid;",
        "alter table public.notes validate constraint notes_body_check;",
        "alter table public.notes add column color text not null default 'red';",
        "alter table public.notes add constraint notes_body_key unique using index notes_body_key;",
        "create view public.bodies with (security_invoker) as select body from public.notes;",
        "insert into public.colors (name) values ('red'); alter table public.notes add column a text;",
    ] {
        assert_eq!(found(sql), Vec::<String>::new(), "{sql}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_place() {
    let report = last(&["alter table public.notes;\nalter tabel public.notes add column a text;"]);
    assert!(report.findings.iter().any(|f| f.rule == "syntax" && f.line <= 2), "{:#?}", report.findings);
    assert!(!report.passes());
}
