//! `orgs` and `tenants` on a running database.

use rowhouse_testkit::TestDatabase;
use serde_json::json;

use crate::program::Folder;

#[tokio::test]
async fn organizations_and_tenants_live_and_die_on_the_command_line() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    client
        .batch_execute("insert into auth.users (id, email) values (gen_random_uuid(), 'ann@example.com')")
        .await
        .unwrap();
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", db.urls.control.expose()));
    let json = |args: &[&str], code: i32| {
        let run = folder.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, code, "{args:?}: {run:?}");
        run.document()
    };
    let acme = json(&["orgs", "create", "Acme", "--owner", "ann@example.com"], 0);
    assert_eq!((&acme["slug"], &acme["status"]), (&json!("acme"), &json!("active")));
    json(&["orgs", "create", "Acme"], 1);
    json(&["orgs", "create", "Other", "--owner", "nobody@example.com"], 1);
    let tenant = json(&["tenants", "create", "acme", "Sales"], 0)["id"].as_str().unwrap().to_owned();
    for (command, name, id) in [("orgs", "acme", "acme"), ("tenants", "sales", &*tenant)] {
        assert_eq!(json(&[command, "show", id], 0)["slug"], name);
        let suspended = json(&[command, "suspend", id, "--reason", "unpaid"], 0);
        assert_eq!(
            (&suspended["status"], &suspended["suspension_reason"]),
            (&json!("suspended"), &json!("unpaid"))
        );
        json(&[command, "suspend", id, "--reason", "again"], 1);
        let listed = json(&[command, "list", "--status", "suspended"], 0);
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
        assert_eq!(json(&[command, "reactivate", id], 0)["status"], "active");
        assert_eq!(json(&[command, "delete", id], 0)["status"], "deleted");
        assert_eq!(json(&[command, "restore", id], 0)["status"], "active");
    }
    json(&["orgs", "show", "nobody"], 1);
    assert_eq!(json(&["tenants", "list", "--org", "acme"], 0)["items"][0]["name"], "Sales");
    assert!(folder.run(&["orgs", "list", "--search", "ac"]).out.contains("Acme"));
    let sql = "select count(*) from audit.entries where source = 'tenancy' and actor like 'operator:%'";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 10);
}

#[tokio::test]
async fn products_are_enabled_and_given_on_the_command_line() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    client
        .batch_execute("insert into auth.users (id, email) values (gen_random_uuid(), 'ann@example.com')")
        .await
        .unwrap();
    let sql = "select tenant_id::text from tenancy.memberships";
    let tenant: String = client.query_one(sql, &[]).await.unwrap().get(0);
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", db.urls.control.expose()));
    let json = |args: &[&str], code: i32| {
        let run = folder.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, code, "{args:?}: {run:?}");
        run.document()
    };
    let launcher = ["--launcher-url", "https://crm.example", "--scope", "openid", "--scope", "email"];
    let made = json(&[&["products", "create", "crm", "CRM"], &launcher[..]].concat(), 0);
    assert_eq!((&made["slug"], &made["scopes"]), (&json!("crm"), &json!(["openid", "email"])));
    json(&["products", "create", "crm", "CRM"], 1);
    assert_eq!(json(&["products", "list"], 0)["items"][0]["launcher_url"], "https://crm.example");
    let grant = ["entitlements", "grant", &tenant, "crm", "ann@example.com", "--role", "EDITOR"];
    assert_eq!(json(&grant, 1)["message"], "the product is not enabled for the tenant");
    assert_eq!(folder.run(&["products", "enable", "crm", &tenant, "--environment", "moon"]).code, 2);
    json(&["products", "enable", "crm", &tenant, "--environment", "staging"], 0);
    assert_eq!(json(&["products", "list", "--tenant", &tenant], 0)["items"][0]["environment"], "staging");
    assert_eq!(json(&grant, 0)["role"], "EDITOR");
    json(
        &[
            "entitlements",
            "grant",
            &tenant,
            "crm",
            "all",
            "--role",
            "VIEWER",
            "--expires-at",
            "2020-01-01T00:00:00Z",
        ],
        1,
    );
    json(&["entitlements", "grant", &tenant, "crm", "all", "--role", "VIEWER"], 0);
    let listed = json(&["entitlements", "list", &tenant, "--product", "crm", "--user", "ann@example.com"], 0);
    assert_eq!((&listed["items"][0]["role"], &listed["items"][1]), (&json!("EDITOR"), &json!(null)));
    assert!(folder.run(&["entitlements", "list", &tenant]).out.contains("ann@example.com"));
    json(&["entitlements", "revoke", &tenant, "crm", "ann@example.com"], 0);
    json(&["entitlements", "revoke", &tenant, "crm", "ann@example.com"], 1);
    json(&["products", "disable", "crm", &tenant, "--environment", "staging"], 0);
    json(&["products", "disable", "crm", &tenant, "--environment", "staging"], 1);
    let sql = "select count(*) from audit.entries where source = 'tenancy' and actor like 'operator:%'";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 6);
}

/// Word for word what a guide for another system says.
#[tokio::test]
async fn literal_sql_of_an_existing_guide_runs_in_psql() {
    let db = TestDatabase::create().await;
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", db.urls.control.expose()));
    let psql = |sql: &str| {
        let dir = folder.path().to_str().unwrap().to_owned();
        let run = crate::program::run(&["--dir", &dir, "psql", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        assert_eq!(run.code, 0, "{sql}: {run:?}");
        run.out
    };
    let made = psql(
        "INSERT INTO organizations (id, name, slug) VALUES (gen_random_uuid(), 'Default Organization', 'default') RETURNING id;",
    );
    assert_eq!(made.lines().next().unwrap().len(), 36, "{made}");
    assert_eq!(psql("SHOW app.current_organization_id;"), "\n");
    assert_eq!(psql("SHOW app.current_user_id;"), "\n");
    assert_eq!(psql("select slug, status from organizations"), "default|active\n");
}
