//! Defects in tables and what hangs on them. Leaves policies to their own family.

use super::place::{Kind, beside, column, free_text, schema};
use crate::prove::{Plan, Relation, dollar_quoted, literal};

/// A trigger after each insert that runs `body` with its creator's rights.
fn trigger(relation: &Relation, body: &str) -> String {
    let function = beside(relation, "prove_mutant_trigger");
    format!(
        "create function {function}() returns trigger language plpgsql security definer set search_path = '' as {}; \
         create trigger prove_mutant after insert on {} for each row execute function {function}()",
        dollar_quoted(&format!("begin {body}; return null; end")),
        relation.name
    )
}

/// Every row shows up in a table of all tenants.
fn copies(relation: &Relation, _plan: &Plan) -> Option<String> {
    let copies = beside(relation, "prove_mutant_copies");
    let copy = trigger(relation, &format!("insert into {copies} select id, new::text from tenancy.tenants"));
    Some(format!(
        "create table {copies} (tenant_id uuid not null, body text); \
         alter table {copies} enable row level security; alter table {copies} force row level security; \
         create policy tenant_select on {copies} for select to authenticated using (tenant_id = (select auth.tenant_id())); \
         create policy owner_all on {copies} to rowhouse_owner, rowhouse_project using (true) with check (true); \
         grant select on {copies} to authenticated; {copy}"
    ))
}

fn touches_others(relation: &Relation, plan: &Plan) -> Option<String> {
    let (column, _) = column(relation, plan)?;
    let text = free_text(relation)?;
    Some(trigger(
        relation,
        &format!("update {} set {text} = reverse({text}) where {column} <> new.{column}", relation.name),
    ))
}

fn references_unchecked(relation: &Relation, _plan: &Plan) -> Option<String> {
    relation.has_reference_checks.then(|| {
        let name = literal(Some(&relation.name));
        let body = format!(
            "declare one record; begin \
               for one in select tgname from pg_trigger where tgrelid = {name}::regclass and tgname like 'tenant\\_reference\\_%' loop \
                 execute format('drop trigger %I on %s', one.tgname, {name}::regclass); \
               end loop; \
             end"
        );
        format!("do {}", dollar_quoted(&body))
    })
}

fn partition_granted(relation: &Relation, _plan: &Plan) -> Option<String> {
    (relation.kind == "p").then(|| {
        let body = format!(
            "begin execute format('grant select on %s to authenticated', \
             (select inhrelid::regclass from pg_inherits where inhparent = {}::regclass order by 1 limit 1)); end",
            literal(Some(&relation.name))
        );
        format!("do {}", dollar_quoted(&body))
    })
}

fn is_plain(relation: &Relation) -> Option<()> {
    (relation.kind == "r").then_some(())
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "rls_disabled",
        sql: |t, _| Some(format!("alter table {} disable row level security", t.name)),
    },
    Kind {
        name: "force_off",
        sql: |t, _| Some(format!("alter table {} no force row level security", t.name)),
    },
    Kind {
        name: "policies_dropped_and_rls_disabled",
        sql: |t, _| {
            let drops: Vec<String> = t
                .policies
                .iter()
                .map(|policy| format!("drop policy {} on {}", policy.name, t.name))
                .collect();
            Some(format!("{}; alter table {} disable row level security", drops.join("; "), t.name))
        },
    },
    Kind {
        name: "tenant_nullable",
        sql: |t, p| {
            let (column, _) = column(t, p)?;
            t.column(&column).filter(|column| !column.is_nullable)?;
            Some(format!("alter table {} alter column {column} drop not null", t.name))
        },
    },
    Kind {
        name: "unique_over_tenants",
        sql: |t, _| {
            is_plain(t)?;
            Some(format!("alter table {} add constraint prove_mutant_key unique ({})", t.name, free_text(t)?))
        },
    },
    Kind { name: "references_unchecked", sql: references_unchecked },
    Kind {
        name: "child_granted",
        sql: |t, _| {
            is_plain(t)?;
            let child = beside(t, "prove_mutant_child");
            Some(format!(
                "create table {child} () inherits ({}); grant select, insert on {child} to authenticated",
                t.name
            ))
        },
    },
    Kind { name: "partition_granted", sql: partition_granted },
    Kind {
        name: "copy_granted",
        sql: |t, _| {
            let copy = beside(t, "prove_mutant_copy");
            Some(format!(
                "create table {copy} (like {} including defaults); grant select on {copy} to authenticated",
                t.name
            ))
        },
    },
    Kind {
        name: "truncate_granted",
        sql: |t, _| Some(format!("grant truncate on {} to authenticated", t.name)),
    },
    Kind {
        name: "default_privileges",
        sql: |t, _| {
            Some(format!(
                "alter default privileges in schema {} grant select on tables to authenticated",
                schema(t)
            ))
        },
    },
    Kind { name: "trigger_copies", sql: copies },
    Kind { name: "trigger_touches_others", sql: touches_others },
];
