//! Functions that look past row-level security, and helpers of the platform that believe too much. Leaves views to `view`.

use super::place::{Kind, beside, column};
use crate::prove::{Plan, Relation, dollar_quoted};

/// A function of callers; `{table}` and `{column}` stand for names.
fn function(relation: &Relation, plan: &Plan, head: &str, body: &str) -> Option<String> {
    let (column, _) = column(relation, plan)?;
    let function = beside(relation, "prove_mutant_function");
    let named = |text: &str| text.replace("{table}", &relation.name).replace("{column}", &column);
    Some(format!("create function {function}{} as {}", named(head), dollar_quoted(&named(body))))
}

const DEFINER: &str = "language sql stable security definer set search_path = ''";

fn definer(relation: &Relation, plan: &Plan, head: &str, body: &str) -> Option<String> {
    function(relation, plan, &format!("{head} {DEFINER}"), body)
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "definer_function",
        sql: |t, p| definer(t, p, "() returns setof {table}", "select * from {table}"),
    },
    Kind {
        name: "definer_function_of_tenant",
        sql: |t, p| {
            definer(
                t,
                p,
                "(wanted uuid) returns setof {table}",
                "select * from {table} where {column} = wanted",
            )
        },
    },
    Kind {
        name: "definer_function_counts",
        sql: |t, p| definer(t, p, "() returns bigint", "select count(*) from {table}"),
    },
    Kind {
        name: "definer_function_without_path",
        sql: |t, p| {
            function(
                t,
                p,
                "(wanted uuid) returns bigint language sql stable security definer",
                "select count(*) from {table} where {column} = wanted",
            )
        },
    },
    Kind {
        name: "definer_function_deletes",
        sql: |t, p| {
            function(
                t,
                p,
                "(wanted uuid) returns void language sql volatile security definer set search_path = ''",
                "delete from {table} where {column} = wanted",
            )
        },
    },
    Kind {
        name: "function_sets_claims",
        sql: |t, p| {
            function(
                t,
                p,
                "(wanted uuid) returns setof {table} language plpgsql volatile set search_path = ''",
                "begin perform set_config('request.jwt.claims', jsonb_build_object('sub', wanted, 'tenant_id', wanted, 'role', 'authenticated')::text, true); return query select * from {table}; end",
            )
        },
    },
    Kind {
        name: "tenant_helper_trusts_metadata",
        sql: |_, _| {
            Some(
        "create or replace function auth.tenant_id() returns uuid language sql stable parallel safe as $$ \
         select coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'user_metadata' ->> 'tenant_id', \
         nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'tenant_id')::uuid $$".to_owned())
        },
    },
    Kind {
        name: "user_helper_trusts_metadata",
        sql: |_, p| {
            p.settings.table.iter().any(|(_, table)| table.is == crate::settings::WhoseRow::User).then(|| {
            "create or replace function auth.uid() returns uuid language sql stable parallel safe as $$ \
             select coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'user_metadata' ->> 'user_id', \
             nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$".to_owned()
        })
        },
    },
    Kind {
        name: "session_check_is_empty",
        sql: |_, _| {
            Some(
        "create or replace function rowhouse.require_live_session(p_session uuid, p_user uuid, p_tenant uuid, p_role text) returns void \
         language plpgsql stable security definer as $$ begin end $$".to_owned())
        },
    },
];
