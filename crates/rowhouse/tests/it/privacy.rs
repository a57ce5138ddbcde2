//! Export and erasure of a user, of a tenant's rows, and erasures that a restored backup does not undo.

mod archive;

use reqwest::StatusCode;
use rowhouse_testkit::TestDatabase;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::program::Folder;
use crate::support::{SignedIn, TestApp};

const NOTES: &str = "
    create table public.notes (
      id bigint generated always as identity primary key,
      body text not null,
      author_id uuid references auth.users (id)
    );
    create table public.devices (id bigint generated always as identity primary key, owner_id uuid references auth.users (id) on delete cascade);";

/// Ada with rows in many tables, and somebody else with the same.
async fn two(app: &TestApp) -> (Client, SignedIn, SignedIn) {
    app.db.migrate(NOTES).await;
    let client = app.db.superuser().await;
    let (ada, bob) = (app.sign_up("ada@example.com").await, app.sign_up("bob@example.com").await);
    for (user, email) in [(&ada, "ada@example.com"), (&bob, "bob@example.com")] {
        let sql = "
            insert into public.notes (body, author_id) values ('by $EMAIL', '$ID');
            insert into public.devices (owner_id) values ('$ID');
            update tenancy.user_profiles set full_name = 'Name of $EMAIL' where user_id = '$ID';
            with m as (insert into mail.messages (message_id, envelope_from, sender, subject, mime)
              values ('$ID@x', 'a@x', 'a@x', 'Hello $EMAIL', 'secret-body') returning id)
            insert into mail.recipients (message, address, state, finished_at)
            select id, '$EMAIL', 'sent', now() from m;
            select jobs.enqueue('mail.send', jsonb_build_object('user_id', '$ID'), run_at => now() + interval '1 day');";
        client.batch_execute(&sql.replace("$EMAIL", email).replace("$ID", &user.id)).await.unwrap();
    }
    (client, ada, bob)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn export_has_everything_about_a_user_and_nothing_secret_or_of_others() {
    let app = TestApp::start().await;
    let (client, ada, bob) = two(&app).await;
    let path = format!("/admin/v1/users/{}/export", ada.id);
    assert_eq!(app.get(&ada.token, &path).await.status, StatusCode::FORBIDDEN);
    let exported = app.get(&app.service_key, &path).await;
    assert_eq!(
        (exported.status, &exported.headers["content-type"]),
        (StatusCode::OK, &"application/x-ndjson".parse().unwrap())
    );
    let all = lines(&exported.text);
    assert_eq!((&all[0]["export"], &all[0]["id"]), (&json!("user"), &json!(ada.id)));
    assert_eq!(all[all.len() - 1], json!({ "rows": all.len() - 2 }));
    for table in [
        "auth.users",
        "auth.identities",
        "auth.sessions",
        "tenancy.user_profiles",
        "tenancy.memberships",
        "tenancy.organization_members",
        "public.notes",
        "public.devices",
        "mail.recipients",
        "jobs.scheduled",
        "audit.entries",
    ] {
        assert!(all.iter().any(|line| line["table"] == table), "{table} is missing in {}", exported.text);
    }
    for (hidden, what) in [
        (bob.id.as_str(), "another user"),
        ("bob@example.com", "another address"),
        ("$argon2", "a password's digest"),
        (&*ada.refresh_token, "a token"),
        ("secret-body", "a letter's text"),
    ] {
        assert!(!exported.text.contains(hidden), "{what}: {}", exported.text);
    }
    let noted = "select count(*) from audit.entries where action = 'user_exported' and target_id = $1";
    assert_eq!(client.query_one(noted, &[&ada.id]).await.unwrap().get::<_, i64>(0), 1);
}

/// What is left of a user anywhere but in the audit log.
async fn traces(client: &Client, text: &str) -> Vec<String> {
    let sql = "select format('select %L where exists (select from %I.%I t where t::text ilike %L)', n.nspname || '.' || c.relname,
          n.nspname, c.relname, '%' || $1 || '%')
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'audit', 'events', 'jobs', 'rowhouse')";
    let mut found = Vec::new();
    for row in client.query(sql, &[&text]).await.unwrap() {
        let found_in = client.query(&row.get::<_, String>(0), &[]).await.unwrap();
        found.extend(found_in.iter().map(|row| row.get::<_, String>(0)));
    }
    found.sort();
    found
}

#[tokio::test]
async fn erasure_leaves_a_skeleton_and_is_replayed_after_a_restore() {
    let app = TestApp::start().await;
    let (client, ada, _) = two(&app).await;
    let url = app.db.urls.control.expose();
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{url}\"\n"));
    let run = |args: &[&str], code: i32| {
        let run = folder.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, code, "{args:?}: {run:?}");
        run.document()
    };
    let tried = run(&["users", "erase", "ada@example.com", "--dry-run"], 0);
    assert!(
        tried["tables"].as_array().unwrap().iter().any(|table| table["table"] == "auth.sessions"),
        "{tried}"
    );
    assert_eq!(app.get(&ada.token, "/rest/v1/todos").await.status, StatusCode::OK, "a look changes nothing");
    assert_eq!(run(&["users", "erase", "ada@example.com"], 0)["user_id"], ada.id);
    assert_eq!(app.get(&ada.token, "/rest/v1/todos").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        traces(&client, "ada@example.com").await,
        ["public.notes"],
        "rows of the product are the product's"
    );
    let skeleton = "select (select count(*) from public.notes where author_id = u.id), (select count(*) from public.devices where owner_id = u.id),
        (select count(*) from audit.entries where target_id = u.id::text and action = 'user_erased'),
        (select count(*) from events.outbox where kind = 'operators.user_erased')
        from auth.users u where u.id::text = $1 and u.email is null and u.deleted_at is not null";
    let row = client.query_one(skeleton, &[&ada.id]).await.unwrap();
    let counts: [i64; 4] = std::array::from_fn(|at| row.get(at));
    assert_eq!(counts, [1; 4]);
    assert!(client.execute("delete from operators.erasures", &[]).await.is_ok());
    run(&["users", "erase", "ada@example.com"], 1);
    let replayed = run(&["users", "replay-erasures"], 0);
    assert_eq!(
        (&replayed["listed"], &replayed["erased"]),
        (&json!(1), &json!([ada.id])),
        "its entry is gone"
    );
    assert_eq!(run(&["users", "replay-erasures"], 0)["erased"], json!([]));
    let restore = "update auth.users set email = 'ada@example.com', deleted_at = null where id::text = $1";
    client.execute(restore, &[&ada.id]).await.unwrap();
    assert_eq!(run(&["users", "replay-erasures"], 0)["erased"], json!([ada.id]));
    assert_eq!(traces(&client, "ada@example.com").await, ["public.notes"]);
}

#[tokio::test]
async fn last_owner_of_others_is_not_erased() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    let users = "insert into auth.users (id, email) values (gen_random_uuid(), 'ann@example.com'), (gen_random_uuid(), 'bob@example.com')";
    client.batch_execute(users).await.unwrap();
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", db.urls.control.expose()));
    assert_eq!(folder.run(&["orgs", "create", "Acme", "--owner", "ann@example.com"]).code, 0);
    let join = "insert into tenancy.organization_members (organization_id, user_id, role)
        select o.id, u.id, $1 from tenancy.organizations o, auth.users u where o.slug = 'acme' and u.email = 'bob@example.com'
        on conflict (organization_id, user_id) do update set role = excluded.role";
    client.execute(join, &[&"member"]).await.unwrap();
    let refused = folder.run(&["users", "erase", "ann@example.com", "--json"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.document()["message"].as_str().unwrap().contains("acme"));
    assert!(!folder.path().join(".rowhouse/erasures.ndjson").exists(), "what is refused is not listed");
    client.execute(join, &[&"owner"]).await.unwrap();
    assert_eq!(folder.run(&["users", "erase", "ann@example.com"]).code, 0);
    let personal = "select count(*) from tenancy.organizations where is_personal and status = 'deleted'";
    assert_eq!(client.query_one(personal, &[]).await.unwrap().get::<_, i64>(0), 1, "her own goes with her");
}

#[tokio::test]
async fn tenant_is_exported_whole_without_secrets() {
    let app = TestApp::start().await;
    let client = app.db.superuser().await;
    let (owner, other) = (app.sign_up("owner@example.com").await, app.sign_up("other@example.com").await);
    for user in [&owner, &other] {
        let todo =
            format!("insert into public.todos (title, tenant_id) values ('of {0}', '{0}')", user.tenant);
        client.batch_execute(&todo).await.unwrap();
    }
    let setting = format!("/admin/v1/tenants/{}/settings/key", owner.tenant);
    let body = json!({ "kind": "secret", "value": "sesame" });
    assert_eq!(
        app.call(&owner.token, reqwest::Method::PUT, &setting, Some(body)).await.status,
        StatusCode::OK
    );
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", app.db.urls.control.expose()));
    let file = folder.path().join("out.ndjson");
    let run = folder.run(&["tenants", "export", &owner.tenant, "--out", file.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{run:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    let all = lines(&text);
    for table in ["tenancy.tenants", "tenancy.memberships", "tenancy.tenant_settings", "public.todos"] {
        assert!(all.iter().any(|line| line["table"] == table), "{table} is missing in {text}");
    }
    assert!(!text.contains(&other.tenant) && !text.contains("sealed:"), "{text}");
    assert_eq!(all[all.len() - 1], json!({ "rows": all.len() - 2 }));
}
