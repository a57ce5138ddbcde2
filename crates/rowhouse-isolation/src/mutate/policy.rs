//! Defects in policies. Leaves tables, roles, views and functions to their own families.

use super::place::{Kind, beside, column, policy};
use crate::prove::{Plan, Relation, dollar_quoted};
use crate::settings::WhoseRow;

/// `alter policy` with another expression in which `{old}` is the former one and `{column}` the tenant's.
fn altered(
    relation: &Relation,
    plan: &Plan,
    command: &str,
    clause: &str,
    expression: &str,
) -> Option<String> {
    let (name, old) = policy(relation, command)?;
    let (column, _) = column(relation, plan)?;
    let expression = expression.replace("{old}", &old).replace("{column}", &column);
    Some(format!("alter policy {name} on {} {clause} ({expression})", relation.name))
}

/// The same for reading.
fn reading(relation: &Relation, plan: &Plan, expression: &str) -> Option<String> {
    altered(relation, plan, "r", "using", expression)
}

fn dropped(relation: &Relation, command: &str) -> Option<String> {
    let (name, _) = policy(relation, command)?;
    Some(format!("drop policy {name} on {}", relation.name))
}

/// Only where the column has a tenant's id.
fn of_tenant(relation: &Relation, plan: &Plan, expression: &str) -> Option<String> {
    let (_, whose) = column(relation, plan)?;
    (whose == WhoseRow::Tenant).then(|| reading(relation, plan, expression)).flatten()
}

/// Reading by what a function says; `{function}` is its name.
fn by_function(relation: &Relation, plan: &Plan, create: &str, expression: &str) -> Option<String> {
    let function = beside(relation, "prove_mutant_helper");
    let alter = reading(relation, plan, &expression.replace("{function}", &function))?;
    Some(format!("{}; {alter}", create.replace("{function}", &function).replace("{table}", &relation.name)))
}

const SECOND: &str = "prove_mutant_policy";

pub(super) const KINDS: &[Kind] = &[
    Kind { name: "select_true", sql: |t, p| reading(t, p, "true") },
    Kind { name: "update_using_true", sql: |t, p| altered(t, p, "w", "using", "true") },
    Kind { name: "update_check_true", sql: |t, p| altered(t, p, "w", "with check", "true") },
    Kind { name: "insert_check_true", sql: |t, p| altered(t, p, "a", "with check", "true") },
    Kind {
        name: "insert_check_signed_in",
        sql: |t, p| altered(t, p, "a", "with check", "(select auth.uid()) is not null"),
    },
    Kind { name: "delete_using_true", sql: |t, p| altered(t, p, "d", "using", "true") },
    Kind { name: "select_policy_dropped", sql: |t, _| dropped(t, "r") },
    Kind { name: "insert_policy_dropped", sql: |t, _| dropped(t, "a") },
    Kind { name: "update_policy_dropped", sql: |t, _| dropped(t, "w") },
    Kind { name: "delete_policy_dropped", sql: |t, _| dropped(t, "d") },
    Kind {
        name: "second_select_policy",
        sql: |t, _| {
            Some(format!("create policy {SECOND} on {} for select to authenticated using (true)", t.name))
        },
    },
    Kind {
        name: "second_update_policy",
        sql: |t, _| {
            Some(format!(
                "create policy {SECOND} on {} for update to authenticated using (true) with check (true)",
                t.name
            ))
        },
    },
    Kind {
        name: "second_policy_for_all",
        sql: |t, _| {
            Some(format!(
                "create policy {SECOND} on {} to authenticated using ((select auth.uid()) is not null)",
                t.name
            ))
        },
    },
    Kind {
        name: "policy_for_anon",
        sql: |t, _| {
            Some(format!(
                "create policy {SECOND} on {0} for select to anon using (true); grant select on {0} to anon",
                t.name
            ))
        },
    },
    Kind {
        name: "policy_without_roles",
        sql: |t, _| {
            Some(format!(
                "alter policy {} on {1} to public using (true); grant select on {1} to anon",
                policy(t, "r")?.0,
                t.name
            ))
        },
    },
    Kind {
        name: "owner_policy_widened",
        sql: |t, _| {
            let owner = t.policies.iter().find(|policy| !policy.is_for_callers && policy.using.is_some())?;
            Some(format!(
                "alter policy {} on {} to public using (true) with check (true)",
                owner.name, t.name
            ))
        },
    },
    Kind { name: "or_true", sql: |t, p| reading(t, p, "({old}) or true") },
    Kind { name: "or_other_row", sql: |t, p| reading(t, p, "({old}) or {column} is not null") },
    Kind { name: "inverted", sql: |t, p| reading(t, p, "not ({old})") },
    Kind { name: "column_compared_with_itself", sql: |t, p| reading(t, p, "{column} = {column}") },
    Kind { name: "signed_in_is_enough", sql: |t, p| reading(t, p, "(select auth.uid()) is not null") },
    Kind { name: "role_is_enough", sql: |t, p| reading(t, p, "(select auth.role()) = 'authenticated'") },
    Kind {
        name: "null_tenant_allowed",
        sql: |t, p| {
            let (column, _) = column(t, p)?;
            let check = altered(t, p, "a", "with check", "({old}) or {column} is null")?;
            let read = reading(t, p, "({old}) or {column} is null")?;
            Some(format!("alter table {} alter column {column} drop not null; {check}; {read}", t.name))
        },
    },
    Kind {
        name: "missing_claim_allows",
        sql: |t, p| of_tenant(t, p, "{column} = coalesce((select auth.tenant_id()), {column})"),
    },
    Kind {
        name: "missing_setting_allows",
        sql: |t, p| reading(t, p, "({old}) or nullif(current_setting('app.prove_mutant', true), '') is null"),
    },
    Kind {
        name: "organization_for_tenant",
        sql: |t, p| of_tenant(t, p, "{column} = (select auth.org_id())"),
    },
    Kind { name: "user_for_tenant", sql: |t, p| of_tenant(t, p, "{column} = (select auth.uid())") },
    Kind {
        name: "tenants_of_organization",
        sql: |t, p| {
            column(t, p).filter(|(_, whose)| *whose == WhoseRow::Tenant)?;
            by_function(
                t,
                p,
                "create function {function}() returns setof uuid language sql stable security definer set search_path = '' as 'select id from tenancy.tenants where organization_id = auth.org_id()'",
                "{column} in (select {function}())",
            )
        },
    },
    Kind {
        name: "metadata_for_tenant",
        sql: |t, p| {
            of_tenant(t, p, "{column} = ((select auth.jwt()) -> 'user_metadata' ->> 'tenant_id')::uuid")
        },
    },
    Kind {
        name: "metadata_or_tenant",
        sql: |t, p| {
            reading(
                t,
                p,
                "({old}) or {column}::text = (select auth.jwt()) -> 'user_metadata' ->> 'tenant_id' or {column}::text = (select auth.jwt()) -> 'user_metadata' ->> 'user_id'",
            )
        },
    },
    Kind {
        name: "metadata_makes_admin",
        sql: |t, p| reading(t, p, "({old}) or (select auth.jwt()) -> 'user_metadata' ->> 'role' = 'admin'"),
    },
    Kind {
        name: "subquery_without_row",
        sql: |t, p| {
            let (name, old) = policy(t, "r")?;
            let function = beside(t, "prove_mutant_helper");
            let (column, _) = column(t, p)?;
            let body = format!("select exists (select from {} where {column} is not null)", t.name);
            Some(format!(
                "create function {function}() returns boolean language sql stable security definer set search_path = '' as {1}; alter policy {name} on {0} using (({old}) or (select {function}()))",
                t.name,
                dollar_quoted(&body)
            ))
        },
    },
    Kind {
        name: "helper_is_constant",
        sql: |t, p| {
            by_function(
                t,
                p,
                "create function {function}(text) returns boolean language sql stable set search_path = '' as 'select true'",
                "{function}({column}::text)",
            )
        },
    },
    Kind {
        name: "helper_is_leakproof",
        sql: |t, p| {
            by_function(
                t,
                p,
                "create function {function}(text) returns boolean language plpgsql stable leakproof set search_path = '' as 'begin return $1 is not null; end'",
                "({old}) and {function}({column}::text)",
            )
        },
    },
    Kind {
        name: "restrictive_for_permissive",
        sql: |t, _| {
            let (name, old) = policy(t, "r")?;
            Some(format!(
                "drop policy {name} on {0}; create policy {name} on {0} as restrictive for select to authenticated using ({old}); create policy {SECOND} on {0} for select to authenticated using (true); drop policy {name} on {0}",
                t.name
            ))
        },
    },
];
