use serde_json::json;

use crate::app::{App, Person};

/// Ann, and Ben's tenant with Ann as a member.
async fn shared() -> (App, Person, String) {
    let app = App::start().await;
    let (ann, ben) = (app.sign_up("ann@example.com").await, app.sign_up("ben@example.com").await);
    let tenant = ben.claims(&app)["tenant_id"].as_str().unwrap().to_owned();
    let join = "insert into tenancy.memberships (tenant_id, user_id, role) values ($1::text::uuid, $2::text::uuid, 'admin')";
    app.sql().await.execute(join, &[&tenant, &ann.id()]).await.unwrap();
    (app, ann, tenant)
}

#[tokio::test]
async fn switching_gives_a_lasting_session_in_the_other_tenant() {
    let (app, ann, tenant) = shared().await;
    let switched = Person(app.post_as("/tenant", ann.token(), json!({ "tenant_id": tenant })).await.ok());
    let claims = switched.claims(&app);
    assert_eq!((&claims["tenant_id"], &claims["tenant_role"]), (&json!(tenant), &json!("admin")));
    assert_eq!(claims["session_id"], ann.claims(&app)["session_id"]);
    assert_ne!(claims["org_id"], ann.claims(&app)["org_id"]);
    let refreshed = Person(app.refresh(switched.refresh_token()).await.ok());
    assert_eq!(refreshed.claims(&app)["tenant_id"], json!(tenant));
}

#[tokio::test]
async fn client_that_keeps_its_refresh_token_continues_in_the_new_tenant() {
    let (app, ann, tenant) = shared().await;
    app.post_as("/tenant", ann.token(), json!({ "tenant_id": tenant })).await.ok();
    let refreshed = Person(app.refresh(ann.refresh_token()).await.ok());
    assert_eq!(refreshed.claims(&app)["tenant_id"], json!(tenant));
}

#[tokio::test]
async fn every_inaccessible_tenant_gets_the_same_answer() {
    let (app, ann, tenant) = shared().await;
    let other = app.sign_up("cid@example.com").await.claims(&app)["tenant_id"].clone();
    let sql = app.sql().await;
    let enter = async |tenant: serde_json::Value| {
        app.post_as("/tenant", ann.token(), json!({ "tenant_id": tenant })).await
    };
    enter(other).await.is(403, "tenant_access_denied");
    enter(json!("00000000-0000-0000-0000-000000000000")).await.is(403, "tenant_access_denied");
    for (close, open) in [
        (
            "update tenancy.memberships set status = 'suspended'",
            "update tenancy.memberships set status = 'active'",
        ),
        ("update tenancy.tenants set status = 'suspended'", "update tenancy.tenants set status = 'active'"),
        (
            "update tenancy.organizations set status = 'suspended'",
            "update tenancy.organizations set status = 'active'",
        ),
    ] {
        sql.execute(close, &[]).await.unwrap();
        enter(json!(tenant)).await.is(403, "tenant_access_denied");
        sql.execute(open, &[]).await.unwrap();
    }
    enter(json!("no uuid")).await.is(400, "bad_json");
    enter(json!(tenant)).await.ok();
}

#[tokio::test]
async fn removed_member_continues_in_their_own_tenant() {
    let (app, ann, tenant) = shared().await;
    let own = ann.claims(&app)["tenant_id"].clone();
    let switched = Person(app.post_as("/tenant", ann.token(), json!({ "tenant_id": tenant })).await.ok());
    app.sql().await.execute("delete from tenancy.memberships where role = 'admin'", &[]).await.unwrap();
    let refreshed = Person(app.refresh(switched.refresh_token()).await.ok());
    assert_eq!(refreshed.claims(&app)["tenant_id"], own);
}

#[tokio::test]
async fn user_without_a_tenant_has_a_token_without_one() {
    let app = App::start().await;
    let ann = app.sign_up("ann@example.com").await;
    app.sql().await.execute("update tenancy.organizations set status = 'suspended'", &[]).await.unwrap();
    let refreshed = Person(app.refresh(ann.refresh_token()).await.ok());
    assert!(refreshed.claims(&app).get("tenant_id").is_none());
    assert!(app.sign_in("ann@example.com").await.claims(&app).get("org_id").is_none());
}
