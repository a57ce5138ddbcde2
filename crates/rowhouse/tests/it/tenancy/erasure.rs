//! Erasing what was deleted: nothing of a tenant is left but a skeleton and the audit log, and nothing of others is touched.

use std::time::Duration;

use rowhouse_module::Roles;
use rowhouse_testkit::{LIMIT, TestDatabase, until};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::harness;
use crate::program::Folder;
use crate::support::{PROJECT, SignedIn, TestApp, settings};

/// More than one step.
const ROWS: i64 = 4_500;

/// Rows of a tenant in protected tables, settings, quotas, keys, mails and jobs.
async fn fill(client: &Client, user: &SignedIn) {
    let sql = "
        insert into public.lists (name, tenant_id) values ('l', $TENANT);
        insert into public.todos (title, tenant_id, list_id)
        select 't' || n, $TENANT, (select id from public.lists where tenant_id = $TENANT) from generate_series(1, $ROWS) n;
        insert into tenancy.tenant_settings (tenant_id, name, kind, value) values ($TENANT, 'a', 'text', '\"b\"');
        insert into tenancy.tenant_quotas (tenant_id, metric, hard_limit) values ($TENANT, 'sms', 10);
        select tenancy.count_usage($TENANT, 'sms', 3);
        insert into mail.messages (message_id, envelope_from, sender, subject, tenant, mime)
        values ('$ID@x', 'a@x', 'a@x', 's', $TENANT, 'x');
        select jobs.enqueue('mail.send', tenant => $TENANT, run_at => now() + interval '1 day');";
    let sql = sql.replace("$TENANT", &format!("'{}'", user.tenant)).replace("$ROWS", &ROWS.to_string());
    client.batch_execute(&sql.replace("$ID", &user.tenant)).await.unwrap();
}

async fn rows(client: &Client, tenant: &str) -> Vec<(String, i64)> {
    let sql = "select name, count from tenancy.count_rows('tenancy.tenants', $1::text::uuid) where count > 0 order by name";
    let rows = client.query(sql, &[&tenant]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn text(client: &Client, sql: &str, id: &str) -> String {
    client.query_one(sql, &[&id]).await.unwrap().get(0)
}

async fn run(app: &TestApp, kind: &str) {
    let made = app.post(&app.service_key, "/admin/v1/jobs", json!({ "kind": kind })).await.json();
    let path = format!("/admin/v1/jobs/{}", made["id"]);
    until(format!("{kind} is done"), LIMIT, async || {
        app.get(&app.service_key, &path).await.json()["state"] == "done"
    })
    .await;
}

#[tokio::test]
async fn deleted_organization_is_erased_after_the_window_and_others_are_not() {
    let mut settings = settings();
    settings.update(|tenancy: &mut rowhouse_tenancy::TenancySettings| {
        tenancy.restore_window = Duration::from_hours(1);
    });
    let db = TestDatabase::create().await;
    db.migrate(PROJECT).await;
    let app = TestApp::start_as(db, settings, Roles::ALL).await;
    let client = app.db.superuser().await;
    let (gone, other) = (app.sign_up("gone@example.com").await, app.sign_up("other@example.com").await);
    fill(&client, &gone).await;
    fill(&client, &other).await;
    let untouched = rows(&client, &other.tenant).await;
    assert!(untouched.contains(&("public.todos".to_owned(), ROWS)), "{untouched:?}");
    let organization =
        text(&client, "select organization_id::text from tenancy.tenants where id::text = $1", &gone.tenant)
            .await;
    let path = format!("/admin/v1/organizations/{organization}");
    let deleted = app.call(&gone.token, reqwest::Method::DELETE, &path, None).await;
    assert_eq!(deleted.status.as_u16(), 204);
    run(&app, "tenancy.erase").await;
    assert!(!rows(&client, &gone.tenant).await.is_empty(), "it can still be restored");
    client.batch_execute("update tenancy.organizations set deleted_at = now() - interval '61 minutes' where status = 'deleted'").await.unwrap();
    run(&app, "tenancy.erase").await;
    assert_eq!(rows(&client, &gone.tenant).await, []);
    assert_eq!(rows(&client, &other.tenant).await, untouched);
    let skeleton = "select t.status || ' ' || t.name || o.name || ' ' || (t.erased_at is not null and o.erased_at is not null)::text
        from tenancy.tenants t join tenancy.organizations o on o.id = t.organization_id where t.id::text = $1";
    assert_eq!(text(&client, skeleton, &gone.tenant).await, "erased erased true");
    let jobs = "select count(*)::text from jobs.scheduled s join jobs.partitions p on p.id = (s.job).partition where p.tenant::text = $1";
    assert_eq!(
        (text(&client, jobs, &gone.tenant).await, text(&client, jobs, &other.tenant).await),
        ("0".into(), "1".into())
    );
    let log = "select string_agg(action, ' ' order by occurred_at) from audit.entries where organization_id::text = $1 and source = 'tenancy'";
    let log = text(&client, log, &organization).await;
    assert_eq!(
        log,
        "organization_deleted organization_erasure_began tenant_erasure_began tenant_erased organization_erased"
    );
}

#[tokio::test]
async fn tenant_whose_rows_cannot_be_deleted_is_noted_and_holds_up_no_other() {
    let harness = harness().await;
    fill(&harness.client, &harness.owner).await;
    fill(&harness.client, &harness.other).await;
    let keep = "create table public.pins (todo bigint references public.todos (id));
        insert into public.pins select id from public.todos where tenant_id = $TENANT limit 1;
        update tenancy.tenants set status = 'deleted';
        update tenancy.tenants set deleted_at = now() - interval '31 days'";
    harness.sql(keep).await;
    let step = async || {
        let sql = "select tenancy.erase(array[2592000::double precision])";
        harness.client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    all_of(&step).await;
    assert_eq!(rows(&harness.client, &harness.other.tenant).await, []);
    let left = rows(&harness.client, &harness.owner.tenant).await;
    assert!(left.iter().any(|(table, _)| table == "public.todos"), "{left:?}");
    let why = "select details ->> 'error' from audit.entries where action = 'tenant_erasure_failed' and target_id = $1";
    assert!(text(&harness.client, why, &harness.owner.tenant).await.contains("pins"));
    harness.sql("drop table public.pins; update tenancy.tenants set erasure_failed_at = now() - interval '2 hours' where erased_at is null").await;
    all_of(&step).await;
    assert_eq!(rows(&harness.client, &harness.owner.tenant).await, []);
}

/// Triggers of the project run with the project's rights, not with the platform's.
#[tokio::test]
async fn triggers_of_the_project_run_with_its_own_rights() {
    let harness = harness().await;
    fill(&harness.client, &harness.owner).await;
    harness
        .app
        .db
        .migrate(
            "create function public.spy() returns trigger language plpgsql as $$
        begin
          delete from tenancy.operators;
          return old;
        end $$;
        create trigger spy before delete on public.lists for each row execute function public.spy();",
        )
        .await;
    harness.sql("update tenancy.tenants set status = 'deleted', deleted_at = now() where id = $TENANT; select tenancy.begin_erasing_tenant($TENANT)").await;
    let sql = harness.filled("select tenancy.erase_project_rows('tenancy.tenants', $TENANT, 100000)");
    let refused = harness.client.query_one(&sql, &[]).await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("permission denied"), "{refused:?}");
}

#[tokio::test]
async fn tenant_is_erased_at_once_on_the_command_line_after_a_look() {
    let db = TestDatabase::create().await;
    db.migrate(PROJECT).await;
    let client = db.superuser().await;
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", db.urls.control.expose()));
    let json = |args: &[&str], code: i32| -> Value {
        let run = folder.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, code, "{args:?}: {run:?}");
        run.document()
    };
    json(&["orgs", "create", "Acme"], 0);
    let tenant = json(&["tenants", "create", "acme", "Sales"], 0)["id"].as_str().unwrap().to_owned();
    let todo =
        "insert into public.todos (title, tenant_id) select 't', $1::text::uuid from generate_series(1, 7)";
    client.execute(todo, &[&tenant]).await.unwrap();
    json(&["tenants", "erase", &tenant], 1);
    let said = json(&["tenants", "erase", &tenant, "--dry-run"], 1)["message"].as_str().unwrap().to_owned();
    assert!(said.ends_with(&format!("delete it first: rowhouse tenants delete {tenant}")), "{said}");
    json(&["tenants", "delete", &tenant], 0);
    let tried = json(&["tenants", "erase", &tenant, "--dry-run"], 0);
    assert_eq!(tried["tables"], json!([{ "table": "public.todos", "rows": 7 }]));
    assert_eq!(rows(&client, &tenant).await, [("public.todos".to_owned(), 7)]);
    assert_eq!(json(&["tenants", "erase", &tenant], 0)["tables"], tried["tables"]);
    assert_eq!(rows(&client, &tenant).await, []);
    assert_eq!(json(&["tenants", "show", &tenant], 0)["status"], "erased");
    assert_eq!(json(&["tenants", "erase", &tenant], 0)["tables"], json!([]), "again");
    json(&["tenants", "restore", &tenant], 1);
}

/// Takes steps until none is left.
async fn all_of(step: impl AsyncFn() -> i64) {
    let mut left = 1;
    for _ in 0..1_000 {
        if left > 0 {
            left = step().await;
        }
    }
    assert_eq!(left, 0);
}
