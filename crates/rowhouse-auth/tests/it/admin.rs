use http::Method;
use serde_json::json;

use crate::app::{App, PASSWORD};

#[tokio::test]
async fn admin_routes_require_the_service_key() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    app.send(Method::GET, "/admin/users", None, "").await.is(401, "no_authorization");
    app.get("/admin/users", person.token()).await.is(403, "not_admin");
    let anon = app.anon_key().await;
    app.get("/admin/users", &anon).await.is(403, "not_admin");
}

#[tokio::test]
async fn user_is_created_changed_listed_and_deleted() {
    let app = App::start().await;
    let key = &app.service_key;
    let body = json!({ "email": "A@example.com", "password": PASSWORD, "user_metadata": { "n": 1 }, "app_metadata": { "plan": "pro" } });
    let user = app.post_as("/admin/users", key, body.clone()).await.ok();
    assert_eq!(user["app_metadata"], json!({ "plan": "pro", "provider": "email", "providers": ["email"] }));
    assert_eq!(user["user_metadata"], json!({ "n": 1 }), "as given");
    app.password("a@example.com", PASSWORD).await.is(400, "email_not_confirmed");
    app.post_as("/admin/users", key, body).await.is(422, "email_exists");

    let path = format!("/admin/users/{}", user["id"].as_str().unwrap());
    let change = json!({ "email_confirm": true, "app_metadata": { "plan": null }, "ban_duration": "24h" });
    let changed = app.put_as(&path, key, change).await.ok();
    assert!(changed["email_confirmed_at"].is_string() && changed["banned_until"].is_string());
    assert!(changed["app_metadata"].get("plan").is_none());
    app.password("a@example.com", PASSWORD).await.is(400, "user_banned");
    app.put_as(&path, key, json!({ "ban_duration": "none" })).await.ok();
    let session = app.sign_in("a@example.com").await;
    assert_eq!(app.get(&path, key).await.ok()["id"], user["id"]);

    let list = app.get("/admin/users?page=1&per_page=1", key).await;
    assert_eq!(list.headers["x-total-count"], "1");
    assert_eq!(list.ok()["users"][0]["id"], user["id"]);

    app.put_as(&path, key, json!({ "password": "battery staple" })).await.ok();
    app.get("/user", session.token()).await.is(403, "session_not_found");
    assert_eq!(app.send(Method::DELETE, &path, Some(key), "").await.ok(), json!({}));
    app.send(Method::DELETE, &path, Some(key), "").await.is(404, "user_not_found");
    app.get(&path, key).await.is(404, "user_not_found");
}

#[tokio::test]
async fn soft_deleted_user_is_not_found_and_the_address_is_free() {
    let app = App::start().await;
    let person = app.sign_up("a@example.com").await;
    let path = format!("/admin/users/{}", person.id());
    app.send(Method::DELETE, &path, Some(&app.service_key), r#"{"should_soft_delete":true}"#).await.ok();
    app.get("/user", person.token()).await.is(403, "user_not_found");
    app.password("a@example.com", PASSWORD).await.is(400, "invalid_credentials");
    assert!(app.get(&path, &app.service_key).await.ok()["deleted_at"].is_string());
    app.sign_up("a@example.com").await;
}

#[tokio::test]
async fn supported_hash_is_imported_and_others_are_refused() {
    let app = App::start().await;
    let (key, hash) = (&app.service_key, bcrypt::hash("from before", 4).unwrap());
    let body = |hash: &str| json!({ "email": "a@example.com", "password_hash": hash, "email_confirm": true });
    app.post_as("/admin/users", key, body("plain")).await.is(400, "validation_failed");
    app.post_as("/admin/users", key, body(&hash)).await.ok();
    app.password("a@example.com", "from before").await.ok();
}

#[tokio::test]
async fn malformed_ids_and_pages_are_refused() {
    let app = App::start().await;
    let key = &app.service_key;
    app.get("/admin/users/1", key).await.is(404, "validation_failed");
    app.get("/admin/users?page=0", key).await.is(400, "validation_failed");
    app.post_as("/admin/users", key, json!({ "email": "a@example.com", "ban_duration": "soon" }))
        .await
        .is(400, "validation_failed");
}

#[tokio::test]
async fn user_of_role_service_role_is_an_administrator_while_session_and_role_last() {
    let app = App::start().await;
    let body = json!({ "email": "op@example.com", "password": PASSWORD, "email_confirm": true, "role": "service_role" });
    let id =
        app.post_as("/admin/users", &app.service_key, body).await.ok()["id"].as_str().unwrap().to_owned();
    let path = format!("/admin/users/{id}");
    let operator = app.sign_in("op@example.com").await;
    app.get("/admin/users", operator.token()).await.ok();
    app.put_as(&path, &app.service_key, json!({ "role": "authenticated" })).await.ok();
    app.get("/admin/users", operator.token()).await.is(403, "session_not_found");
    app.put_as(&path, &app.service_key, json!({ "role": "service_role" })).await.ok();
    app.get("/admin/users", operator.token()).await.ok();
    app.send(Method::POST, "/logout", Some(operator.token()), "").await;
    app.get("/admin/users", operator.token()).await.is(403, "session_not_found");
    let operator = app.sign_in("op@example.com").await;
    app.send(Method::DELETE, &path, Some(&app.service_key), "").await.ok();
    app.get("/admin/users", operator.token()).await.is(403, "session_not_found");
}

#[tokio::test]
async fn list_is_newest_first_and_filtered() {
    let app = App::start().await;
    for n in 0..3 {
        let body = json!({ "email": format!("u{n}@example.com"), "user_metadata": { "full_name": format!("Ann {n}%") } });
        app.post_as("/admin/users", &app.service_key, body).await.ok();
        app.pass(std::time::Duration::from_secs(1));
    }
    let emails = async |query: &str| {
        let list = app.get(&format!("/admin/users?{query}"), &app.service_key).await.ok();
        let users = list["users"].as_array().unwrap().clone();
        users.iter().map(|user| user["email"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(emails("").await, ["u2@example.com", "u1@example.com", "u0@example.com"]);
    assert_eq!(emails("filter=U1@").await, ["u1@example.com"]);
    assert_eq!(emails("filter=ann%202%25").await, ["u2@example.com"]);
    assert_eq!(emails("filter=%25%25").await, [""; 0], "no pattern");
}

#[tokio::test]
async fn headers_and_ids_that_name_nobody_are_answered_as_gotrue_does() {
    let app = App::start().await;
    let request = app.request(Method::GET, "/auth/v1/user").header("authorization", "Basic YTpi");
    let answer = app.app_send(request).await;
    assert_eq!((answer.0, &answer.1["error_code"]), (401, &json!("no_authorization")));
    app.get("/admin/users/7", &app.service_key).await.is(404, "validation_failed");
    assert_eq!(app.get("/health", &app.service_key).await.ok()["name"], "GoTrue");
}

#[tokio::test]
async fn last_owner_of_an_organization_with_other_members_is_not_deleted() {
    let app = App::start().await;
    let (owner, member) = (app.sign_up("owner@example.com").await, app.sign_up("member@example.com").await);
    let sql = app.sql().await;
    let join = format!(
        "insert into tenancy.organization_members (organization_id, user_id, role)
         select organization_id, '{}', 'member' from tenancy.organization_members where user_id = '{}'",
        member.id(),
        owner.id()
    );
    sql.batch_execute(&join).await.unwrap();
    let path = format!("/admin/users/{}", owner.id());
    let delete =
        async |body: &str| app.send(Method::DELETE, &path, Some(&app.service_key), body.to_owned()).await;
    delete("").await.is(409, "last_owner");
    delete(r#"{"should_soft_delete": true}"#).await.is(409, "last_owner");
    let promote = "update tenancy.organization_members set role = 'owner' where role = 'member'";
    sql.batch_execute(promote).await.unwrap();
    delete("").await.ok();
    // Nobody else is in what is left.
    let path = format!("/admin/users/{}", member.id());
    app.send(Method::DELETE, &path, Some(&app.service_key), "").await.ok();
}
