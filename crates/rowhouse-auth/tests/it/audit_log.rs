//! GET /admin/audit, and the manual's list of actions.

use http::Method;
use serde_json::json;

use crate::app::App;

#[tokio::test]
async fn administrators_read_the_log_in_pages_and_by_field() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    app.sign_up("b@example.com").await;
    let list = async |query: &str| app.get(&format!("/admin/audit{query}"), &app.service_key).await;
    let page = list("?per_page=3").await;
    assert_eq!(page.headers["x-total-count"], "4");
    let next =
        r#"</admin/audit?page=2&per_page=3>; rel="next", </admin/audit?page=2&per_page=3>; rel="last""#;
    assert_eq!(page.headers["link"], next);
    let (page, last) = (page.ok(), list("?per_page=3&page=2").await.ok());
    assert_eq!((page.as_array().unwrap().len(), last.as_array().unwrap().len()), (3, 1));
    let logins = list("?query=action%3ALOGIN").await.ok();
    assert_eq!(logins.as_array().unwrap().len(), 2);
    let (newest, older) = (&logins[0], &logins[1]);
    assert_eq!(newest["payload"]["actor_username"], "b@example.com");
    assert_eq!(
        (&older["payload"]["actor_id"], &older["ip_address"]),
        (&json!(person.id()), &json!("192.0.2.1"))
    );
    assert!(newest["created_at"].as_str().unwrap() >= older["created_at"].as_str().unwrap());
    for (query, found) in [("author:a@EXAMPLE", 1), ("type:team", 2), ("action:%25", 0), ("author:", 4)] {
        let entries = list(&format!("?query={query}")).await.ok();
        assert_eq!(entries.as_array().unwrap().len(), found, "{query}");
    }
}

#[tokio::test]
async fn author_is_found_by_what_the_account_has_now() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    app.sign_up("b@example.com").await;
    let change = json!({ "password": "another correct horse", "data": { "full_name": "Ada Lovelace" } });
    app.send(Method::PUT, "/user", Some(person.token()), change.to_string()).await.ok();
    let actions = async |author: &str| {
        let entries = app.get(&format!("/admin/audit?query=author:{author}"), &app.service_key).await.ok();
        let entries = entries.as_array().unwrap().clone();
        let of = |entry: &serde_json::Value| entry["payload"]["action"].as_str().unwrap().to_owned();
        (entries.iter().map(of).collect::<std::collections::BTreeSet<_>>(), entries)
    };
    let own = ["login", "user_modified", "user_updated_password"].map(str::to_owned);
    let (found, entries) = actions("A@example").await;
    assert_eq!(found, own.clone().into());
    let changed = entries.iter().find(|entry| entry["payload"]["action"] == "user_modified").unwrap();
    assert_eq!(changed["payload"]["actor_id"], person.id());
    assert!(changed["payload"].get("actor_username").is_none(), "{changed}");
    assert_eq!(actions("ada%20love").await.0, own.into());
    assert_eq!(actions("b@example").await.0, ["login".to_owned()].into());

    let path = format!("/admin/users/{}", person.id());
    app.send(Method::DELETE, &path, Some(&app.service_key), "").await.ok();
    assert!(actions("ada%20love").await.0.is_empty(), "a deleted account has no name");
}

#[tokio::test]
async fn refused_requests_for_the_log() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    for query in ["?query=color:red", "?query=action", "?page=0", "?page=x", "?per_page=-1"] {
        app.get(&format!("/admin/audit{query}"), &app.service_key).await.is(400, "validation_failed");
    }
    app.get("/admin/audit", person.token()).await.is(403, "not_admin");
    app.get("/admin/audit", &app.anon_key).await.is(403, "not_admin");
    app.send(Method::GET, "/admin/audit", None, "").await.is(401, "no_authorization");
}

#[test]
fn every_action_is_in_the_manual() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("../../docs/auth.md")).unwrap();
    let mut written = std::collections::BTreeSet::new();
    crate::source::each(&root.join("src"), "rs", &mut |_, text| {
        let calls = text.split("audit::write(").skip(1).filter_map(|rest| rest.split_once(','));
        let named = calls.filter_map(|(_, rest)| rest.trim_start().strip_prefix('"')?.split('"').next());
        written.extend(named.map(str::to_owned));
    });
    crate::source::each(&root.join("migrations"), "sql", &mut |_, text| {
        let quoted = text.split('\'').skip(1).step_by(1);
        written.extend(quoted.filter(|word| is_action(word)).map(str::to_owned));
    });
    assert!(written.len() > 20, "{written:?}");
    let table = page.split("## Audit log").nth(1).unwrap().split("On keys").next().unwrap();
    for action in written {
        assert!(table.contains(&format!("`{action}`")), "{action}");
    }
}

/// Whether a text of a migration is the name of an action on accounts.
fn is_action(word: &str) -> bool {
    let fields = ["user_id", "user_email", "user_phone", "user_metadata", "user_agent", "login_failed"];
    let is_named = ["user_", "token_", "invite_", "entries_"].iter().any(|prefix| word.starts_with(prefix));
    let is_word = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_word && !fields.contains(&word) && (is_named || ["login", "logout"].contains(&word))
}
