//! Ways to stop a busy table, or the release that runs: each is refused by name.

use crate::support::{found, last};

/// One trap a test: `trap_…_is_refused`. The table [`TRAPS`] has all of them with file and rule.
macro_rules! traps {
    ($($name:ident: $sql:literal, $rule:literal;)*) => {
        const TRAPS: &[(&str, &str, &str)] = &[$((stringify!($name), $sql, $rule)),*];

        $(#[test]
        fn $name() {
            let report = last(&[$sql]);
            let found = report.findings.iter().any(|finding| finding.rule == $rule);
            assert!(found && !report.passes(), "{:#?}", report.findings);
        })*
    };
}

traps! {
    trap_index_is_refused:
        "create index notes_body_idx on public.notes (body);", "require-concurrent-index-creation";
    trap_foreign_key_is_refused:
        "alter table public.notes add constraint notes_list_fkey foreign key (list) references public.lists (id);",
        "adding-foreign-key-constraint";
    trap_check_is_refused:
        "alter table public.notes add constraint notes_body_check check (body <> '');", "constraint-missing-not-valid";
    trap_not_null_is_refused:
        "alter table public.notes alter column body set not null;", "adding-not-nullable-field";
    trap_column_type_is_refused: "alter table public.notes alter column id type bigint;", "changing-column-type";
    trap_volatile_default_is_refused:
        "alter table public.notes add column key uuid default gen_random_uuid();", "adding-field-with-default";
    trap_stored_generated_column_is_refused:
        "alter table public.notes add column n int generated always as (length(body)) stored;", "stored-generated-column";
    trap_unique_is_refused:
        "alter table public.notes add constraint notes_body_key unique (body);", "disallowed-unique-constraint";
    trap_exclusion_is_refused:
        "alter table public.notes add constraint notes_span_excl exclude using gist (span with &&);", "exclusion-constraint";
    trap_cluster_is_refused: "cluster public.notes using notes_pkey;", "table-rewritten";
    trap_vacuum_full_is_refused: "-- rowhouse: no-transaction\nvacuum full public.notes;", "table-rewritten";
    trap_explicit_lock_is_refused: "lock table public.notes in access exclusive mode;", "table-locked";
    trap_long_statement_under_a_lock_is_refused:
        "alter table public.notes add column a text; alter table public.notes validate constraint notes_body_check;",
        "lock-held";
    trap_backfill_under_a_lock_is_refused:
        "alter table public.notes add column a text; update public.notes set a = body;", "backfill-with-ddl";
    trap_concurrently_in_a_transaction_is_refused:
        "create index concurrently a on public.notes (body);", "needs-no-transaction";
    trap_required_column_is_refused: "alter table public.notes add column a text not null;", "adding-required-field";
    trap_renamed_column_is_refused: "alter table public.notes rename column body to text;", "renaming-column";
    trap_renamed_table_is_refused: "alter table public.notes rename to remarks;", "renaming-table";
    trap_dropped_column_is_refused: "alter table public.notes drop column body;", "ban-drop-column";
    trap_dropped_table_is_refused: "drop table public.notes;", "ban-drop-table";
}

#[test]
fn table_made_in_the_same_file_may_be_changed_in_any_way() {
    let make = "create table public.notes (id bigint primary key, body text); select tenancy.protect('public.notes');\n";
    for (what, sql, rule) in TRAPS {
        let is_about_one_table = *what != "trap_concurrently_in_a_transaction_is_refused";
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
