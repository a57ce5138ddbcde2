//! The tree in the project's SQL: views, helpers, references, grants, and rules that hold whoever writes.

use reqwest::Method;
use rowhouse_rest::RestSettings;
use rowhouse_testkit::{LIMIT, until};
use serde_json::{Value, json};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{Harness, harness};
use crate::support::{SignedIn, TestApp, settings};

/// What a query gives a signed-in user of the data API, as JSON.
pub(super) async fn seen(client: &Client, user: &SignedIn, query: &str) -> Value {
    let claims = json!({ "sub": user.id, "tenant_id": user.tenant, "role": "authenticated" }).to_string();
    let begin = format!(
        "begin; set local role authenticated; select set_config('request.jwt.claims', '{claims}', true)"
    );
    client.batch_execute(&begin).await.unwrap();
    let sql = format!("select coalesce(jsonb_agg(to_jsonb(q)), '[]') from ({query}) q");
    let rows = client.query_one(&sql, &[]).await.unwrap().get(0);
    client.batch_execute("rollback").await.unwrap();
    rows
}

/// What is refused, by its SQLSTATE.
async fn refused(client: &Client, sql: &str) -> String {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.code().map(|code| code.code().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn views_show_what_concerns_the_caller_and_nothing_foreign() {
    let harness = harness().await;
    let Harness { app, client, owner, other, .. } = &harness;
    let stranger = app.sign_up("stranger@example.com").await;
    harness
        .sql("insert into tenancy.memberships (tenant_id, user_id, role) values ($TENANT, $OTHER, 'member')")
        .await;
    let emails = "select email from auth.users_public order by email";
    let people = |names: &[&str]| -> Value {
        names.iter().map(|name| json!({ "email": format!("{name}@example.com") })).collect()
    };
    assert_eq!(seen(client, owner, emails).await, people(&["other", "owner"]));
    assert_eq!(seen(client, other, emails).await, people(&["other", "owner"]));
    assert_eq!(seen(client, &stranger, emails).await, people(&["stranger"]));
    let tenants = "select slug, role from tenancy.my_tenants order by role";
    let both = json!([{ "slug": "default", "role": "member" }, { "slug": "default", "role": "owner" }]);
    assert_eq!(seen(client, other, tenants).await, both);
    assert_eq!(seen(client, &stranger, tenants).await, json!([{ "slug": "default", "role": "owner" }]));
    let members = "select distinct email from tenancy.my_members order by email";
    assert_eq!(seen(client, other, members).await, people(&["other", "owner"]));
    assert_eq!(seen(client, &stranger, members).await, people(&["stranger"]));
    let organizations = "select name, role from tenancy.my_organizations order by name";
    let both = json!([{ "name": "other", "role": "owner" }, { "name": "owner", "role": "member" }]);
    assert_eq!(seen(client, other, organizations).await, both);
    // Without members:view nobody else is shown.
    harness
        .sql(
            "insert into tenancy.roles (organization_id, name) values ($ORG, 'blind');
              update tenancy.memberships set role = 'blind' where tenant_id = $TENANT and user_id = $OTHER",
        )
        .await;
    assert_eq!(seen(client, other, emails).await, people(&["other"]));
    harness.sql("update tenancy.organizations set status = 'suspended' where id = $ORG").await;
    assert_eq!(seen(client, owner, emails).await, people(&["owner"]));
    for view in ["my_organizations", "my_tenants", "my_members"] {
        assert_eq!(seen(client, owner, &format!("select * from tenancy.{view}")).await, json!([]), "{view}");
    }
}

/// A hidden row must not reach a function in the query's condition.
#[tokio::test]
async fn condition_of_a_query_never_sees_a_hidden_row() {
    let harness = harness().await;
    let stranger = harness.app.sign_up("stranger@example.com").await;
    harness
        .app
        .db
        .migrate(
            "create function public.shout(text) returns boolean language plpgsql cost 0.0000001 as
             $$ begin if $1 like 'owner%' then raise exception 'seen: %', $1; end if; return true; end $$",
        )
        .await;
    for (view, column) in [
        ("auth.users_public", "email"),
        ("tenancy.my_organizations", "name"),
        ("tenancy.my_tenants", "name"),
        ("tenancy.my_members", "email"),
    ] {
        let query = format!("select {column} from {view} where public.shout({column}::text)");
        let rows = seen(&harness.client, &stranger, &query).await;
        assert_eq!(rows.as_array().unwrap().len(), 1, "{view}");
    }
}

#[tokio::test]
async fn tables_are_closed_to_callers_open_to_the_project_and_no_policy_recurses() {
    let app = TestApp::start().await;
    let client = app.db.superuser().await;
    let sql = "select c.relname::text, c.relkind::text, c.relforcerowsecurity from pg_class c
               where c.relnamespace = 'tenancy'::regnamespace and c.relkind in ('r', 'v') order by 1";
    let tables: Vec<(String, String, bool)> = client
        .query(sql, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert!(tables.len() > 15, "{tables:?}");
    let may = async |role: &str, table: &str, right: &str| -> bool {
        let sql = "select has_any_column_privilege($1::text, $2::text, $3::text)";
        client.query_one(sql, &[&role, &table, &right]).await.unwrap().get(0)
    };
    for (name, kind, is_forced) in &tables {
        let table = format!("tenancy.{name}");
        assert!(*is_forced || kind == "v", "{table} without forced row-level security");
        for role in ["anon", "authenticated"] {
            let is_shown = kind == "v" && role == "authenticated";
            assert_eq!(may(role, &table, "select").await, is_shown, "{role} {table}");
            assert!(
                !may(role, &table, "insert").await && !may(role, &table, "update").await,
                "{role} {table}"
            );
        }
        for role in ["service_role", "rowhouse_project"] {
            assert!(may(role, &table, "select").await, "{role} {table}");
            let columns = "select string_agg(quote_ident(attname), ', ') from pg_attribute
                where attrelid = $1::text::regclass and attnum > 0 and not attisdropped
                  and has_column_privilege($2::text, attrelid, attnum, 'select')";
            let columns: String = client.query_one(columns, &[&table, &role]).await.unwrap().get(0);
            let read = format!("set role {role}; select {columns} from {table}; reset role");
            client.batch_execute(&read).await.unwrap_or_else(|error| panic!("{role} {table}: {error}"));
        }
        let count = format!("select count(*) from {table}");
        client.batch_execute(&format!("set role rowhouse_project; {count}; reset role")).await.unwrap();
    }
    app.sign_up("a@example.com").await;
    client.batch_execute("set role rowhouse_project").await.unwrap();
    let count: i64 = client.query_one("select count(*) from tenancy.tenants", &[]).await.unwrap().get(0);
    assert_eq!(count, 1, "and it sees the rows");
}

/// Whoever reads the tables of keys and invitations does not learn by what they are recognised.
#[tokio::test]
async fn digests_are_read_by_no_role_of_the_project() {
    let harness = harness().await;
    harness
        .sql(
            "insert into tenancy.api_keys (organization_id, name, hint, digest, scopes)
               values ($ORG, 'service', 'abcd', sha256('x'), array['tenant:view']);
             insert into tenancy.invitations (id, organization_id, email, role, token_digest, token_hint, expires_at, sent_times)
               values (gen_random_uuid(), $ORG, 'ada@example.com', 'member', repeat('a', 64), 'abcd', now(), array[now()])",
        )
        .await;
    for role in ["service_role", "rowhouse_project"] {
        for (table, hint, digest) in
            [("api_keys", "hint", "digest"), ("invitations", "token_hint", "token_digest")]
        {
            let read = |what: &str| format!("set local role {role}; select {what} from tenancy.{table}");
            let shown = harness.client.simple_query(&read(hint)).await.unwrap();
            assert!(
                shown
                    .iter()
                    .any(|one| matches!(one, SimpleQueryMessage::Row(row) if row.get(0) == Some("abcd"))),
                "{role} {table}"
            );
            for hidden in [digest, "*", &format!("{hint}, md5({digest}::text)")] {
                let code = refused(&harness.client, &read(hidden)).await;
                assert_eq!(code, "42501", "{role} {table} {hidden}");
            }
        }
    }
}

/// Foreign keys of the project's tables to the tree, and what the data API embeds over them.
#[tokio::test]
async fn project_refers_to_the_tree_and_embeds_it() {
    let harness = harness().await;
    let Harness { app, owner, .. } = &harness;
    app.db
        .migrate(
            "create table public.notes (
               id bigint generated always as identity primary key,
               body text not null,
               author_id uuid not null default auth.uid() references auth.users (id),
               workspace_id uuid not null default auth.tenant_id() references tenancy.tenants (id),
               profile_id uuid references tenancy.user_profiles (id)
             );
             select tenancy.protect('public.notes');
             grant select, insert on public.notes to authenticated;
             create view public.people with (security_invoker = true) as select id, email, full_name from auth.users_public;
             create view public.workspaces with (security_invoker = true) as select id, name from tenancy.my_tenants;
             grant select on public.people, public.workspaces to authenticated;
             notify pgrst, 'reload schema'",
        )
        .await;
    until("the table is known", LIMIT, async || {
        app.post(&owner.token, "/rest/v1/notes", json!({ "body": "x" })).await.status.is_success()
    })
    .await;
    let read = app.get(&owner.token, "/rest/v1/notes?select=body,people(email),workspaces(name)").await;
    let note = json!([{ "body": "x", "people": { "email": "owner@example.com" }, "workspaces": { "name": "owner" } }]);
    assert_eq!(read.json(), note, "{}", read.text);
}

#[tokio::test]
async fn exposed_schema_serves_the_views_to_users_and_the_tables_to_the_service_key() {
    let mut settings = settings();
    settings.update(|rest: &mut RestSettings| rest.schemas = vec!["public".to_owned(), "tenancy".to_owned()]);
    let app = TestApp::start_with(settings).await;
    let user = app.sign_up("a@example.com").await;
    let get = async |token: &str, path: &str| {
        let request = app.request(Method::GET, &format!("/rest/v1/{path}")).bearer_auth(token);
        app.send(request.header("accept-profile", "tenancy")).await
    };
    let members = get(&user.token, "my_members?select=email,my_tenants(slug)").await;
    assert_eq!(
        members.json(),
        json!([{ "email": "a@example.com", "my_tenants": { "slug": "default" } }]),
        "{}",
        members.text
    );
    assert_eq!(get(&user.token, "organizations").await.status.as_u16(), 403);
    let all = get(&app.service_key, "organizations?select=name").await;
    assert_eq!(all.json(), json!([{ "name": "a" }]), "{}", all.text);
}

#[tokio::test]
async fn rules_hold_for_sql_by_hand() {
    let harness = harness().await;
    let refused = async |sql: &str| refused(&harness.client, &harness.filled(sql)).await;
    let unknown = "update tenancy.organization_members set role = 'pilot' where user_id = $OTHER";
    assert_eq!(refused(unknown).await, "23503");
    assert_eq!(refused("update tenancy.memberships set role = 'pilot'").await, "23503");
    assert_eq!(
        refused("insert into tenancy.roles (organization_id, name) values ($ORG, 'owner')").await,
        "23514"
    );
    assert_eq!(refused("insert into tenancy.roles (name) values ('pilot')").await, "23514");
    assert_eq!(refused("delete from tenancy.roles where name = 'owner'").await, "55000");
    harness
        .sql("insert into tenancy.roles (organization_id, name) values ($ORG, 'pilot');
              update tenancy.organization_members set role = 'pilot' where organization_id = $ORG and user_id = $OTHER")
        .await;
    assert_eq!(refused("delete from tenancy.roles where name = 'pilot'").await, "23503");
    assert_eq!(refused("update tenancy.roles set name = 'driver' where name = 'pilot'").await, "55000");
    let foreign = "update tenancy.memberships set role = 'pilot' where tenant_id <> $TENANT";
    assert_eq!(refused(foreign).await, "23503", "another organization's role");
    let moved = "update tenancy.tenants set organization_id = $ORG where id <> $TENANT";
    assert_eq!(refused(moved).await, "55000");
    let counts = async |sql: &str| -> i64 {
        harness.client.query_one(&harness.filled(sql), &[]).await.unwrap().get(0)
    };
    harness.sql("delete from tenancy.organizations where id = $ORG").await;
    assert_eq!(
        counts("select count(*) from tenancy.roles where name = 'pilot'").await,
        0,
        "with everything in it"
    );
}

#[tokio::test]
async fn modules_are_decided_by_role_and_action() {
    let harness = harness().await;
    let Harness { app, client, owner, other, .. } = &harness;
    app.db
        .migrate(
            "insert into tenancy.modules (name) values ('finance'), ('crm');
             insert into tenancy.module_permissions (role, module, action) values
               ('owner', 'finance', 'all'), ('member', 'finance', 'read')",
        )
        .await;
    harness
        .sql("insert into tenancy.module_permissions (organization_id, role, module, action) values ($ORG, 'member', 'crm', 'write');
              insert into tenancy.memberships (tenant_id, user_id, role) values ($TENANT, $OTHER, 'member')")
        .await;
    let member = SignedIn { tenant: owner.tenant.clone(), ..other.clone() };
    let ask = "select m || ':' || a as it from unnest(array['finance', 'crm', 'none']) m,
        unnest(array['read', 'write', 'delete', 'all', 'fly']) a where auth.may(m, a) order by 1";
    let list = |names: &[&str]| -> Value { names.iter().map(|name| json!({ "it": name })).collect() };
    let all = ["finance:all", "finance:delete", "finance:read", "finance:write"];
    assert_eq!(seen(client, owner, ask).await, list(&all));
    assert_eq!(seen(client, &member, ask).await, list(&["crm:write", "finance:read"]));
    assert_eq!(seen(client, other, ask).await, list(&all), "an owner in the own tenant");
    harness.sql("update tenancy.tenants set status = 'suspended' where id = $TENANT").await;
    assert_eq!(seen(client, &member, ask).await, json!([]));
}

#[tokio::test]
async fn protecting_a_table_of_somebody_else_leads_to_its_adoption() {
    let harness = harness().await;
    let legacy = "create table public.legacy (id bigint); set role rowhouse_project";
    harness.client.batch_execute(legacy).await.unwrap();
    let error = harness.client.batch_execute("select tenancy.protect('public.legacy')").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.message(), "public.legacy does not belong to rowhouse_project");
    assert!(error.hint().is_some_and(|hint| hint.starts_with("Run `rowhouse migrate adopt`")), "{error:?}");
}
