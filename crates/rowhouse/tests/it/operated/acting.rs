//! Operators who act as users.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use rowhouse_operator::OperatorSettings;
use rowhouse_testkit::until_true;
use serde_json::{Value, json};

use super::{Harness, refused, with_passwords_alone};
use crate::support::{SignedIn, claims, settings};

const PATH: &str = "/impersonations";

fn asked(user: &SignedIn) -> Value {
    json!({ "user": user.id, "reason": "ticket 7", "minutes": 5 })
}

impl Harness {
    /// What was begun.
    pub(super) async fn begin(&self, operator: &SignedIn) -> Value {
        let answer = self.post(operator, PATH, asked(&self.customer)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json()
    }

    pub(super) async fn redeem(&self, code: &Value) -> (StatusCode, Value) {
        let path = "/admin/v1/impersonations/redeem";
        let answer = self.app.post(&self.app.anon_key, path, json!({ "code": code })).await;
        (answer.status, answer.json())
    }

    /// The id of an impersonation and its session.
    pub(super) async fn act(&self, operator: &SignedIn) -> (String, SignedIn) {
        let begun = self.begin(operator).await;
        let (status, session) = self.redeem(&begun["code"]).await;
        assert_eq!(status, StatusCode::OK, "{session}");
        (begun["id"].as_str().unwrap().to_owned(), SignedIn::from(&session))
    }

    pub(super) async fn end_reason(&self, id: &str) -> Value {
        self.value(&format!("select end_reason from operators.impersonations where id = '{id}'")).await
    }
}

#[tokio::test]
async fn code_becomes_a_session_once_and_its_tokens_name_both() {
    let harness = Harness::new().await;
    let begun = harness.begin(&harness.support).await;
    let stored = "select string_agg(i::text, ' ') from operators.impersonations i";
    let stored = harness.value(stored).await.to_string();
    assert!(!stored.contains(begun["code"].as_str().unwrap()), "only its digest is kept");
    assert_eq!(harness.redeem(&json!("nonsense")).await.0, StatusCode::NOT_FOUND);
    let (status, session) = harness.redeem(&begun["code"]).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    assert_eq!(harness.redeem(&begun["code"]).await.0, StatusCode::NOT_FOUND, "once");
    let acting = SignedIn::from(&session);
    let found = claims(&acting.token);
    assert_eq!(found["act"], json!({ "sub": harness.support.id }));
    assert_eq!((&found["impersonation_id"], &found["sub"]), (&begun["id"], &json!(harness.customer.id)));
    assert_eq!((&found["tenant_id"], &found["aal"]), (&json!(harness.customer.tenant), &json!("aal1")));
    assert!(session["expires_in"].as_u64().unwrap() <= 300, "not longer than it lasts: {session}");
    assert_eq!(harness.everywhere(&acting.token).await, [200, 200, 200]);
    let again = harness.refresh(&acting.refresh_token).await.json();
    let again = claims(again["access_token"].as_str().unwrap());
    assert_eq!((&again["act"], &again["impersonation_id"]), (&found["act"], &begun["id"]));
    // The customer notices nothing, and has a session of his own.
    assert_eq!(claims(&harness.customer.token).get("act"), None);
    assert_eq!(harness.everywhere(&harness.customer.token).await, [200, 200, 200]);
}

#[tokio::test]
async fn what_is_done_meanwhile_names_both_in_the_audit_log() {
    let harness = Harness::new().await;
    let organization = json!(harness.organization_of(&harness.customer).await);
    let (id, acting) = harness.act(&harness.support).await;
    let made = harness.app.post(&acting.token, "/admin/v1/organizations", json!({ "name": "Made" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let both = |entry: &Value| (entry["actor"].clone(), entry["impersonator"].clone());
    let (customer, support) = (json!(harness.customer.id), json!(harness.support.id));
    let entry = &harness.entries("organization_created").await[0];
    assert_eq!(both(entry), (customer.clone(), support.clone()), "{entry}");
    let begun = &harness.entries("impersonation_begun").await[0];
    assert_eq!(both(begun), (support.clone(), Value::Null), "{begun}");
    assert_eq!((&begun["organization"], &begun["details"]["reason"]), (&organization, &json!("ticket 7")));
    let redeemed = &harness.entries("impersonation_redeemed").await[0];
    assert_eq!(both(redeemed), (customer.clone(), support.clone()), "{redeemed}");
    let ended = harness.post(&harness.support, &format!("{PATH}/{id}/end"), json!({})).await;
    assert_eq!(ended.json()["end_reason"], "ended", "{}", ended.text);
    let ended = harness.entries("impersonation_ended").await;
    let details = json!({ "impersonation_id": id, "operator_id": support, "end_reason": "ended" });
    assert!(ended.iter().all(|entry| entry["details"] == details), "{ended:?}");
    let listed =
        harness.app.get(&harness.app.service_key, "/admin/v1/audit?action=organization_created").await;
    assert_eq!(listed.json()["items"][0]["impersonator"], support, "{}", listed.text);
}

#[tokio::test]
async fn nobody_takes_over_an_account_by_acting_as_its_user() {
    let harness = Harness::new().await;
    let (_, acting) = harness.act(&harness.support).await;
    let token = &acting.token;
    for (method, path, body) in [
        (Method::PUT, "/auth/v1/user", json!({ "password": "another horse battery" })),
        (Method::PUT, "/auth/v1/user", json!({ "email": "eve@example.com" })),
        (Method::POST, "/auth/v1/factors", json!({ "factor_type": "totp", "friendly_name": "mine" })),
        (Method::POST, "/auth/v1/factors/recovery_codes", json!({})),
        (Method::GET, "/auth/v1/sessions", Value::Null),
        (Method::GET, "/auth/v1/reauthenticate", Value::Null),
        (Method::GET, "/auth/v1/user/identities/authorize?provider=google", Value::Null),
    ] {
        let body = Some(body).filter(|body| !body.is_null());
        let answer = harness.app.call(token, method.clone(), path, body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}: {}", answer.text);
    }
    let key = harness.organization_of(&harness.customer).await;
    let key = format!("/admin/v1/organizations/{key}/api-keys");
    let body = json!({ "name": "left behind", "scopes": ["members:view"] });
    assert_eq!(
        harness.app.post(token, &key, body).await.status,
        StatusCode::FORBIDDEN,
        "it would outlive the end"
    );
    // Signing out ends what the operator has, and nothing of the user's.
    let out = harness.app.post(token, "/auth/v1/logout?scope=global", json!({})).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT, "{}", out.text);
    assert!(!harness.everywhere(token).await.contains(&200));
    assert_eq!(harness.everywhere(&harness.customer.token).await, [200, 200, 200]);
}

#[tokio::test]
async fn session_asked_for_one_tenant_never_leaves_it() {
    let harness = Harness::new().await;
    let Harness { app, support, customer, .. } = &harness;
    let organization = harness.organization_of(customer).await;
    let path = format!("/admin/v1/organizations/{organization}/tenants");
    let second = app.post(&customer.token, &path, json!({ "name": "Second" })).await.json();
    let second = second["id"].as_str().unwrap().to_owned();
    let switch = async |token: &str, tenant: &str| {
        let answer = app.post(token, "/auth/v1/tenant", json!({ "tenant_id": tenant })).await;
        (answer.status, answer.json())
    };
    let (id, free) = harness.act(support).await;
    assert_eq!(switch(&free.token, &second).await.0, StatusCode::OK, "one for no tenant switches");
    harness.post(support, &format!("{PATH}/{id}/end"), json!({})).await;
    let mut body = asked(customer);
    body["tenant"] = json!(customer.tenant);
    let begun = harness.post(support, PATH, body).await.json();
    let (status, session) = harness.redeem(&begun["code"]).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    let acting = SignedIn::from(&session);
    let (status, refused) = switch(&acting.token, &second).await;
    assert_eq!((status, &refused["error_code"]), (StatusCode::FORBIDDEN, &json!("tenant_access_denied")));
    assert!(refused["msg"].as_str().unwrap().contains("one tenant"), "{refused}");
    let (status, stayed) = switch(&acting.token, &customer.tenant).await;
    assert_eq!(status, StatusCode::OK, "{stayed}");
    // Nor when the tenant is closed to the user, who has another one.
    let left = "delete from tenancy.memberships where user_id = '$CUSTOMER' and tenant_id = ";
    harness.sql(&format!("set session_replication_role = replica; {left} '{}'", customer.tenant)).await;
    let over = harness.refresh(stayed["refresh_token"].as_str().unwrap()).await;
    assert_eq!(over.status, StatusCode::BAD_REQUEST, "{}", over.text);
    let of_customer = harness.refresh(&customer.refresh_token).await;
    assert_eq!(claims(of_customer.json()["access_token"].as_str().unwrap())["tenant_id"], json!(second));
}

#[tokio::test]
async fn only_some_act_and_never_as_operators_or_twice() {
    let harness = Harness::new().await;
    let Harness { chief, support, customer, .. } = &harness;
    let begin = async |who: &SignedIn, body: Value| refused(&harness.post(who, PATH, body).await);
    assert_eq!(begin(customer, asked(support)).await.0, StatusCode::FORBIDDEN);
    assert_eq!(begin(support, asked(chief)).await.1, "privileged_user");
    assert_eq!(begin(chief, asked(support)).await.1, "privileged_user");
    assert_eq!(begin(chief, asked(chief)).await.1, "privileged_user");
    for minutes in [4, 1441] {
        let body = json!({ "user": customer.id, "reason": "x", "minutes": minutes });
        assert_eq!(begin(support, body).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let elsewhere = json!({ "user": customer.id, "reason": "x", "tenant": chief.tenant });
    assert_eq!(begin(support, elsewhere).await.1, "not_a_member");
    harness.sql("update auth.users set role = 'service_role' where id = '$CUSTOMER'").await;
    assert_eq!(begin(support, asked(customer)).await.1, "privileged_user");
    harness
        .sql("update auth.users set role = 'authenticated', banned_until = 'infinity' where id = '$CUSTOMER'")
        .await;
    assert_eq!(begin(support, asked(customer)).await.1, "user_closed");
    harness.sql("update auth.users set banned_until = null where id = '$CUSTOMER'").await;
    let (id, acting) = harness.act(support).await;
    let running = (StatusCode::CONFLICT, "impersonation_running".to_owned());
    assert_eq!(begin(support, asked(customer)).await, running);
    assert_eq!(begin(&acting, asked(support)).await.0, StatusCode::FORBIDDEN);
    let key = harness.app.post(&harness.app.service_key, "/admin/v1/impersonations", asked(customer)).await;
    assert_eq!(key.status, StatusCode::FORBIDDEN, "a key is nobody");
    let other = harness.post(chief, PATH, asked(customer)).await;
    assert_eq!(other.status, StatusCode::CREATED, "one for each operator: {}", other.text);
    let others = format!("{PATH}/{}/end", other.json()["id"].as_str().unwrap());
    assert_eq!(harness.post(support, &others, json!({})).await.status, StatusCode::FORBIDDEN);
    assert_eq!(harness.post(chief, &format!("{PATH}/{id}/end"), json!({})).await.status, StatusCode::OK);
    assert_eq!(harness.post(support, PATH, asked(customer)).await.status, StatusCode::CREATED);
    let running = harness.get(chief, &format!("{PATH}?running=true")).await.json();
    assert_eq!(running["items"].as_array().map(Vec::len), Some(2), "{running}");
}

#[tokio::test]
async fn second_factor_is_asked_for_unless_the_settings_say_otherwise() {
    let harness = Harness::with(settings()).await;
    let answer = harness.post(&harness.support, PATH, asked(&harness.customer)).await;
    assert_eq!(refused(&answer), (StatusCode::FORBIDDEN, "insufficient_aal".to_owned()));
    harness.sql("update auth.sessions set aal = 'aal2'").await;
    harness.begin(&harness.support).await;
}

#[tokio::test]
async fn end_is_the_end_before_and_after_the_sweeper_has_come() {
    let harness = Harness::new().await;
    let (id, acting) = harness.act(&harness.support).await;
    harness
        .sql(
            "update auth.sessions set not_after = now() where impersonation_id is not null;
              update operators.impersonations set created_at = now() - interval '1 hour', expires_at = now()",
        )
        .await;
    assert!(!harness.everywhere(&acting.token).await.contains(&200), "before the sweeper");
    assert!(harness.refresh(&acting.refresh_token).await.status.is_client_error());
    assert_eq!(harness.value("select operators.sweep_impersonations()").await, json!(1));
    assert_eq!(harness.value("select operators.sweep_impersonations()").await, json!(0));
    assert_eq!(harness.end_reason(&id).await, "expired");
    let left = harness.value("select count(*) from auth.sessions where impersonation_id is not null").await;
    assert_eq!(left, json!(0));
    assert_eq!(harness.entries("impersonation_ended").await.len(), 1);
    // A code that nobody has redeemed in time is no longer one, and does not keep its operator from the next.
    let begun = harness.begin(&harness.support).await;
    let late = "update operators.impersonations set code_expires_at = now() where ended_at is null";
    harness.sql(late).await;
    assert_eq!(harness.redeem(&begun["code"]).await.0, StatusCode::NOT_FOUND);
    harness.begin(&harness.support).await;
    assert_eq!(harness.end_reason(begun["id"].as_str().unwrap()).await, "not_redeemed");
}

#[tokio::test]
async fn who_has_acted_as_whom_is_kept_as_long_as_the_settings_say() {
    let mut settings = with_passwords_alone();
    settings.update(|operators: &mut OperatorSettings| {
        operators.impersonation_retention = Duration::from_secs(86_400);
    });
    let harness = Harness::with(settings).await;
    let (mut ids, mut age) = (Vec::new(), Vec::new());
    for hours in [25, 23] {
        let (id, _) = harness.act(&harness.support).await;
        harness.post(&harness.support, &format!("{PATH}/{id}/end"), json!({})).await;
        age.push(format!(
            "update operators.impersonations set ended_at = now() - interval '{hours} hours' where id = '{id}'"
        ));
        ids.push(id);
    }
    let (running, _) = harness.act(&harness.support).await;
    age.push(format!(
        "update operators.impersonations set created_at = now() - interval '9 days' where id = '{running}'"
    ));
    harness.sql(&age.join(";")).await;
    harness.sql("select jobs.enqueue('operators.prune_impersonations', '{}')").await;
    let gone = format!("not exists (select from operators.impersonations where id = '{}')", ids[0]);
    until_true(&harness.client, &gone).await;
    let left = harness.value("select jsonb_agg(id order by id) from operators.impersonations").await;
    assert_eq!(left, json!([ids[1], running]));
}

#[tokio::test]
async fn it_ends_with_the_operators_role_and_when_the_user_becomes_one() {
    let harness = Harness::new().await;
    let (first, acting) = harness.act(&harness.support).await;
    let demote = format!("delete from tenancy.operators where user_id = '{}'", harness.support.id);
    harness.sql(&demote).await;
    assert!(!harness.everywhere(&acting.token).await.contains(&200));
    assert_eq!(harness.end_reason(&first).await, "revoked");
    let (second, acting) = harness.act(&harness.chief).await;
    harness
        .sql("insert into tenancy.operators (user_id, role, reason) values ('$CUSTOMER', 'auditor', 'test')")
        .await;
    assert!(!harness.everywhere(&acting.token).await.contains(&200));
    assert_eq!(harness.end_reason(&second).await, "revoked");
}

#[tokio::test]
async fn end_that_crosses_the_redemption_ends_that_session() {
    let harness = Harness::new().await;
    let begun = harness.begin(&harness.support).await;
    // What an end has read before it waits for the redemption.
    let read = format!(
        "select i::text from operators.impersonations i where i.id = '{}'",
        begun["id"].as_str().unwrap()
    );
    let read = harness.value(&read).await.as_str().unwrap().replace('\'', "''");
    let (status, session) = harness.redeem(&begun["code"]).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    let acting = SignedIn::from(&session);
    assert_eq!(harness.everywhere(&acting.token).await, [200, 200, 200]);
    let end = format!("select operators.end_impersonation('{read}'::operators.impersonations, 'ended')");
    harness.client.batch_execute(&end).await.unwrap();
    assert!(!harness.everywhere(&acting.token).await.contains(&200));
}

#[tokio::test]
async fn operator_who_acts_decides_nothing_that_outlasts_it() {
    let harness = Harness::new().await;
    let (_, acting) = harness.act(&harness.support).await;
    let organization = harness.organization_of(&harness.customer).await;
    for (path, body) in [
        ("/organizations/join", json!({ "organization_id": organization })),
        ("/invitations/accept", json!({ "token": "x".repeat(43) })),
    ] {
        let answer = harness.post(&acting, path, body).await;
        assert_eq!(refused(&answer), (StatusCode::FORBIDDEN, "impersonated".to_owned()), "{path}");
    }
    let grant =
        format!("/admin/v1/tenants/{}/entitlements/any/{}", harness.customer.tenant, harness.support.id);
    let grant = harness.app.call(&acting.token, Method::PUT, &grant, Some(json!({ "role": "OWNER" }))).await;
    assert_eq!(grant.status, StatusCode::FORBIDDEN, "{}", grant.text);
    let sessions =
        async |token: &str| harness.app.get(token, "/admin/v1/me").await.json()["sessions"].clone();
    assert_eq!(sessions(&acting.token).await, json!([]), "where the user signs in is not shown");
    assert_eq!(
        sessions(&harness.customer.token).await.as_array().unwrap().len(),
        1,
        "nor where the operator does"
    );
}

#[tokio::test]
async fn banned_operator_is_none() {
    let harness = Harness::new().await;
    let role = format!("select coalesce(tenancy.operator_role('{}'), 'none')", harness.support.id);
    assert_eq!(harness.value(&role).await, "support");
    let ban = format!(
        "update auth.users set banned_until = now() + interval '1 hour' where id = '{}'",
        harness.support.id
    );
    harness.client.batch_execute(&ban).await.unwrap();
    assert_eq!(harness.value(&role).await, "none");
}
