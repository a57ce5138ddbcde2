//! Exports as archives: what is in them, who gets one, and files of commands.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use reqwest::{Method, StatusCode};
use rowhouse_crypto::digest_bytes_hex;
use rowhouse_operator::{Assurance, OperatorSettings};
use serde_json::{Value, json};
use zip::ZipArchive;

use super::{lines, two};
use crate::program::Folder;
use crate::support::{SignedIn, TestApp, settings};

/// The files of an archive by their names, and its manifest; each file is held against it.
fn opened(bytes: Vec<u8>) -> (BTreeMap<String, String>, Value) {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = BTreeMap::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let (name, mut text) = (file.name().to_owned(), String::new());
        assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o600), "{name}");
        file.read_to_string(&mut text).unwrap();
        files.insert(name, text);
    }
    let manifest: Value = serde_json::from_str(&files.remove("manifest.json").unwrap()).unwrap();
    let listed = manifest["files"].as_array().unwrap();
    assert_eq!(listed.len(), files.len(), "{manifest}");
    let mut rows = 0;
    for one in listed {
        let text = &files[one["file"].as_str().unwrap()];
        rows += text.lines().count();
        let found = json!([text.lines().count(), text.len(), digest_bytes_hex(text.as_bytes())]);
        assert_eq!(json!([one["rows"], one["bytes"], one["sha256"]]), found, "{one}");
        assert!(lines(text).iter().all(|line| line["table"] == one["table"]), "{one}: {text}");
    }
    assert_eq!(manifest["rows"], json!(rows));
    (files, manifest)
}

async fn get(app: &TestApp, token: &str, path: &str) -> (StatusCode, Vec<u8>) {
    let request = app.request(Method::GET, path).bearer_auth(token).header("accept", "application/zip");
    let answer = request.send().await.unwrap();
    let status = answer.status();
    if status == StatusCode::OK {
        assert_eq!(answer.headers()["content-type"], "application/zip");
        let name = answer.headers()["content-disposition"].to_str().unwrap();
        assert!(name.ends_with(".zip\""), "{name}");
    }
    (status, answer.bytes().await.unwrap().to_vec())
}

/// Rows but those that exports and requests themselves write, in an order of their own.
fn rows<'a>(text: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let is_kept = |line: &&str| {
        line.contains("\"table\"") && !line.contains("_exported") && !line.contains("\"tenancy.usage")
    };
    let mut rows: Vec<&str> = text.filter(is_kept).collect();
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn archive_of_a_user_has_the_rows_of_the_lines_and_nothing_of_others() {
    let app = TestApp::start().await;
    let (client, ada, bob) = two(&app).await;
    let path = format!("/admin/v1/users/{}/export", ada.id);
    let (status, bytes) = get(&app, &app.service_key, &path).await;
    assert_eq!(status, StatusCode::OK);
    let (files, manifest) = opened(bytes);
    assert_eq!(
        (&manifest["export"], &manifest["id"], &manifest["exported_by"], &manifest["product"]["name"]),
        (&json!("user"), &json!(ada.id), &json!("service_role"), &json!("rowhouse"))
    );
    assert!(manifest["exported_at"].as_str().unwrap().ends_with('Z'), "{manifest}");
    for table in ["auth.users", "tenancy.memberships", "public.notes", "mail.recipients"] {
        assert!(files.contains_key(&format!("tables/{table}.ndjson")), "{table}: {:?}", files.keys());
    }
    let exported = app.get(&app.service_key, &path).await;
    assert_eq!(exported.headers["content-type"], "application/x-ndjson");
    assert_eq!(rows(files.values().flat_map(|text| text.lines())), rows(exported.text.lines()));
    for hidden in [bob.id.as_str(), "bob@example.com", "$argon2", &*ada.refresh_token, "secret-body"] {
        assert!(files.values().all(|text| !text.contains(hidden)), "{hidden}");
    }
    let noted = "select count(*) from audit.entries where action = 'user_exported' and target_id = $1";
    assert_eq!(client.query_one(noted, &[&ada.id]).await.unwrap().get::<_, i64>(0), 2);
}

/// An owner with a row, somebody else with another, and an operator.
async fn owners(app: &TestApp) -> [SignedIn; 3] {
    let client = app.db.superuser().await;
    let all = ["owner@example.com", "other@example.com", "chief@example.com"];
    let [owner, other, chief] =
        [app.sign_up(all[0]).await, app.sign_up(all[1]).await, app.sign_up(all[2]).await];
    for user in [&owner, &other] {
        let todo =
            format!("insert into public.todos (title, tenant_id) values ('of {0}', '{0}')", user.tenant);
        client.batch_execute(&todo).await.unwrap();
    }
    let sql = format!(
        "insert into tenancy.operators (user_id, role, reason) values ('{}', 'super_admin', 'test')",
        chief.id
    );
    client.batch_execute(&sql).await.unwrap();
    [owner, other, chief]
}

#[tokio::test]
async fn tenant_is_exported_to_its_owner_with_a_second_factor_and_to_nobody_elses() {
    let app = TestApp::start().await;
    let [owner, other, chief] = owners(&app).await;
    let path = format!("/admin/v1/tenants/{}/export", owner.tenant);
    let user = format!("/admin/v1/users/{}/export", owner.id);
    let code = async |who: &SignedIn, path: &str| app.get(&who.token, path).await.code();
    assert_eq!(code(&owner, &path).await, "insufficient_aal");
    assert_eq!(code(&chief, &path).await, "insufficient_aal");
    assert_eq!(code(&chief, &user).await, "insufficient_aal");
    let client = app.db.superuser().await;
    let untold = "select count(*) from audit.entries where action in ('user_exported', 'tenant_exported')";
    assert_eq!(client.query_one(untold, &[]).await.unwrap().get::<_, i64>(0), 0, "nothing was exported");
    client.batch_execute("update auth.sessions set aal = 'aal2'").await.unwrap();
    assert_eq!(code(&other, &path).await, "forbidden");
    assert_eq!(code(&owner, &user).await, "forbidden");
    assert_eq!(get(&app, &chief.token, &user).await.0, StatusCode::OK);
    for token in [&owner.token, &chief.token, &app.service_key] {
        let (status, bytes) = get(&app, token, &path).await;
        assert_eq!(status, StatusCode::OK);
        let (files, manifest) = opened(bytes);
        assert_eq!((&manifest["export"], &manifest["id"]), (&json!("tenant"), &json!(owner.tenant)));
        assert!(files["tables/public.todos.ndjson"].contains(&format!("of {}", owner.tenant)));
        assert!(files.values().all(|text| !text.contains(&other.tenant) && !text.contains(&other.id)));
    }
    let exported = app.get(&owner.token, &path).await;
    let (files, _) = opened(get(&app, &owner.token, &path).await.1);
    assert_eq!(rows(files.values().flat_map(|text| text.lines())), rows(exported.text.lines()));
}

#[tokio::test]
async fn installation_may_do_without_the_second_factor() {
    let mut settings = settings();
    settings.update(|operators: &mut OperatorSettings| operators.export_aal = Assurance::Aal1);
    let app = TestApp::start_with(settings).await;
    let [owner, _, chief] = owners(&app).await;
    let tenant = format!("/admin/v1/tenants/{}/export", owner.tenant);
    assert_eq!(get(&app, &owner.token, &tenant).await.0, StatusCode::OK);
    let user = format!("/admin/v1/users/{}/export", owner.id);
    assert_eq!(get(&app, &chief.token, &user).await.0, StatusCode::OK);
}

fn mode(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

/// Names in a folder but the project's own files.
fn exports(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.contains("export")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn command_writes_a_whole_private_file_or_none() {
    let app = TestApp::start().await;
    let [owner, other, _] = owners(&app).await;
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", app.db.urls.control.expose()));
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (archive, text) = (file("export.zip"), file("export.ndjson"));
    let run = |args: &[&str]| folder.run(&[args, &["--json"]].concat());
    for (args, what) in [
        (["users", "export", "owner@example.com"], "user"),
        (["tenants", "export", &*owner.tenant], "tenant"),
    ] {
        for path in [&archive, &text] {
            let run = run(&[&args[..], &["--out", path]].concat());
            assert_eq!(run.code, 0, "{run:?}");
            assert_eq!(mode(Path::new(path)), 0o600, "{path}");
        }
        let (files, manifest) = opened(std::fs::read(&archive).unwrap());
        assert_eq!(manifest["export"], what);
        assert!(manifest["exported_by"].as_str().unwrap().starts_with("operator:"), "{manifest}");
        let written = std::fs::read_to_string(&text).unwrap();
        assert_eq!(rows(files.values().flat_map(|text| text.lines())), rows(written.lines()));
        assert!(!written.contains(&other.tenant), "{written}");
        assert_eq!(exports(folder.path()), ["export.ndjson", "export.zip"]);
        let again = run(&[&args[..], &["--out", &archive]].concat());
        assert_eq!(again.code, 2, "{again:?}");
        assert!(again.err.contains("name another file"), "{again:?}");
        [&archive, &text].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    }
    let client = app.db.superuser().await;
    client.batch_execute("revoke all on public.todos from rowhouse_project").await.unwrap();
    let failed = run(&["tenants", "export", &owner.tenant, "--out", &archive]);
    assert_eq!(failed.code, 2, "{failed:?}");
    assert_eq!(exports(folder.path()), [""; 0], "nothing is left of it");
}
