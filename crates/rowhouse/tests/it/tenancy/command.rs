//! `orgs`, `tenants`, `plans` and their like on a running database.

use rowhouse_testkit::TestDatabase;
use serde_json::json;

use crate::program::{Folder, Run, on_database};
use crate::support::{TestApp, claims};

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

#[tokio::test]
async fn plans_and_quotas_are_set_tried_and_taken_on_the_command_line() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", db.urls.control.expose()));
    let json = |args: &[&str], code: i32| {
        let run = folder.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, code, "{args:?}: {run:?}");
        run.document()
    };
    json(&["plans", "set", "pro"], 1);
    let set = ["plans", "set", "pro", "--title", "Pro", "--trial-days", "14", "--quota", "users=5"];
    let tried = json(&[&set[..], &["--dry-run"]].concat(), 0);
    assert_eq!((&tried["title"], &tried["dry_run"]), (&json!("Pro"), &json!(true)));
    json(&["plans", "show", "pro"], 1);
    let made = json(&set, 0);
    assert_eq!((&made["dry_run"], &made["tenants"]), (&json!(false), &json!(0)));
    let users = json!({ "metric": "users", "soft_limit": null, "hard_limit": 5, "period": "none" });
    assert_eq!((&made["trial_days"], &made["quotas"]), (&json!(14), &json!([users])));
    assert_eq!(
        json(&["plans", "set", "pro", "--no-trial"], 0)["quotas"],
        json!([users]),
        "what is left out stays"
    );
    assert_eq!(folder.run(&["plans", "set", "pro", "--quota", "users"]).code, 2);
    json(&["orgs", "create", "Acme"], 0);
    let tenant = json(&["tenants", "create", "acme", "Sales"], 0)["id"].as_str().unwrap().to_owned();
    assert_eq!(folder.run(&["quotas", "set", &tenant]).code, 2, "nothing is asked for");
    json(&["quotas", "set", &tenant, "--plan", "none"], 1);
    let own = ["--quota", "api_calls=8:10/day", "--quota", "storage=unlimited/none"];
    let tried = json(&[&["quotas", "set", &tenant, "--plan", "pro", "--dry-run"], &own[..]].concat(), 0);
    assert_eq!((&tried["plan"], &tried["dry_run"]), (&json!("pro"), &json!(true)));
    assert_eq!(json(&["quotas", "show", &tenant], 0)["plan"], json!(null));
    let given = json(&[&["quotas", "set", &tenant, "--plan", "pro"], &own[..]].concat(), 0);
    let calls = given["quotas"].as_array().unwrap().iter().find(|quota| quota["metric"] == "api_calls");
    let expected =
        json!({ "metric": "api_calls", "soft_limit": 8, "hard_limit": 10, "period": "day", "is_own": true });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&calls.unwrap()[name], value, "{name}: {given}");
    }
    json(&["plans", "remove", "pro"], 1);
    assert_eq!(json(&["plans", "list"], 0)["items"][0]["tenants"], json!(1));
    client.execute("select tenancy.count_usage($1::text::uuid, 'storage', 7)", &[&tenant]).await.unwrap();
    assert_eq!(json(&["quotas", "usage", &tenant, "--metric", "storage"], 0)["items"][0]["used"], json!(7));
    json(&["quotas", "set", &tenant, "--no-plan", "--no-quotas"], 0);
    assert_eq!(json(&["plans", "remove", "pro", "--dry-run"], 0)["dry_run"], json!(true));
    assert!(folder.run(&["plans", "show", "pro"]).out.contains("users"));
    json(&["plans", "remove", "pro"], 0);
    json(&["plans", "remove", "pro"], 1);
    assert!(folder.run(&["quotas", "show", &tenant]).out.contains("users"));
    let sql = "select string_agg(action, ' ' order by occurred_at, id) from audit.entries
               where source = 'tenancy' and actor like 'operator:%' and action ~ 'plan|quota'";
    let actions: String = client.query_one(sql, &[]).await.unwrap().get(0);
    let tenants = "tenant_quotas_changed tenant_quotas_changed";
    assert_eq!(actions, format!("plan_changed plan_changed {tenants} plan_removed"));
}

#[tokio::test]
async fn key_of_an_organization_is_made_on_the_command_line_and_works_until_it_is_revoked() {
    let app = TestApp::start().await;
    let folder = Folder::with_settings("");
    let json = |args: &[&str], code: i32| {
        let run = Run::of(on_database(&app.db, &folder, &[args, &["--json"]].concat()).output().unwrap());
        assert_eq!(run.code, code, "{args:?}: {run:?}");
        run.document()
    };
    let owner = app.sign_up("owner@example.com").await;
    let organization = claims(&owner.token)["org_id"].as_str().unwrap().to_owned();
    let create = ["keys", "api", "create", &organization, "nightly", "--scope", "organization:view"];
    let made = json(&[&create[..], &["--scope", "members:view"]].concat(), 0);
    let (key, id) = (made["key"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert_eq!(made["scopes"], json!(["organization:view", "members:view"]));
    let path = format!("/admin/v1/organizations/{organization}");
    assert_eq!(app.get(key, &path).await.status.as_u16(), 200);
    assert_eq!(app.get(key, &format!("{path}/api-keys")).await.status.as_u16(), 403, "not among its scopes");
    json(&[&create[..], &["--expires-at", "2020-01-01T00:00:00Z"]].concat(), 1);
    json(&[&create[..], &["--tenant", id]].concat(), 1);
    let unknown = ["keys", "api", "create", &organization, "x", "--scope", "everything"];
    assert_eq!(Run::of(on_database(&app.db, &folder, &unknown).output().unwrap()).code, 2);
    let listed = json(&["keys", "api", "list", &organization], 0);
    assert_eq!((&listed["items"][0]["id"], &listed["items"][1]), (&json!(id), &json!(null)));
    assert!(!listed.to_string().contains(key));
    assert_eq!(json(&["keys", "api", "show", &organization, id], 0)["name"], json!("nightly"));
    let stranger = app.sign_up("stranger@example.com").await;
    let other = claims(&stranger.token)["org_id"].as_str().unwrap().to_owned();
    json(&["keys", "api", "revoke", &other, id], 1);
    for _ in 0..2 {
        assert!(json(&["keys", "api", "revoke", &organization, id], 0)["revoked_at"].is_string());
    }
    assert_eq!(app.get(key, &path).await.status.as_u16(), 401);
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
