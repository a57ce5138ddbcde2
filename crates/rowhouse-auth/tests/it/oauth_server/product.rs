//! The application of a product is for those who are entitled to the product.

use tokio_postgres::Client;
use url::Url;

use super::{BACK, Shop, decide, is_oauth_error, show, start, user_info};
use crate::app::{Answer, App, Person};
use crate::external::parameter;

/// A product with an application that has refresh tokens, enabled for the person's tenant.
struct Product {
    shop: Shop,
    client: Client,
    user: String,
}

async fn product(app: &App, person: &Person) -> Product {
    let product =
        Product { shop: Shop::public(app).await, client: app.sql().await, user: person.id().to_owned() };
    product
        .sql(
            "insert into tenancy.products (slug, name, oauth_client_id) values ('shop', 'Shop', '$CLIENT');
             insert into tenancy.tenant_products (tenant_id, product_id, environment)
             select t.id, p.id, 'production' from tenancy.tenants t, tenancy.products p",
        )
        .await;
    product
}

impl Product {
    async fn sql(&self, text: &str) {
        let text = text.replace("$CLIENT", &self.shop.id).replace("$USER", &self.user);
        self.client.batch_execute(&text).await.unwrap();
    }

    /// Entitles the person, in the own tenant.
    async fn entitle(&self) {
        self.sql(
            "insert into tenancy.entitlements (tenant_id, product_id, user_id, role)
             select m.tenant_id, p.id, m.user_id, 'EDITOR' from tenancy.memberships m, tenancy.products p
             where m.user_id = '$USER' and m.role = 'owner'",
        )
        .await;
    }

    async fn revoke(&self) {
        self.sql("delete from tenancy.entitlements").await;
    }

    /// How many minutes ago the entitlement was used, if it was.
    async fn used(&self) -> Option<f64> {
        let sql = "select extract(epoch from now() - last_used_at)::float8 / 60 from tenancy.entitlements";
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

/// What the application is told.
#[track_caller]
fn told(answer: Answer) -> Url {
    let body = answer.ok();
    Url::parse(body["redirect_url"].as_str().unwrap()).unwrap()
}

#[track_caller]
fn is_denied(back: &Url) {
    assert!(back.as_str().starts_with(BACK), "{back}");
    assert_eq!(parameter(back, "error").as_deref(), Some("access_denied"), "{back}");
    assert_eq!(parameter(back, "state").as_deref(), Some("a state"), "{back}");
    assert!(parameter(back, "error_description").is_some(), "{back}");
    assert_eq!(parameter(back, "code"), None, "{back}");
}

#[tokio::test]
async fn user_who_is_not_entitled_is_denied_without_a_question() {
    let app = start().await;
    let (person, other) = (app.sign_up("ann@example.com").await, app.sign_up("bob@example.com").await);
    let product = product(&app, &person).await;
    let name = product.shop.ask(&app, "email").await;
    is_denied(&told(show(&app, &person, &name).await));
    show(&app, &person, &name).await.is(400, "validation_failed");
    decide(&app, &person, &name, "approve").await.is(400, "validation_failed");
    product.entitle().await;
    is_denied(&told(show(&app, &other, &product.shop.ask(&app, "email").await).await));
    let tokens = product.shop.tokens(&app, &person, "email").await;
    user_info(&app, tokens["access_token"].as_str().unwrap()).await.ok();
    // An application of no product asks for no entitlement.
    Shop::public(&app).await.code(&app, &other, "email").await;
}

#[tokio::test]
async fn entitlement_that_ends_meanwhile_denies_the_decision_the_code_and_the_refresh() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let product = product(&app, &person).await;
    product.entitle().await;
    let name = product.shop.ask(&app, "email").await;
    assert!(show(&app, &person, &name).await.ok().get("redirect_url").is_none(), "a question");
    product.revoke().await;
    is_denied(&told(decide(&app, &person, &name, "approve").await));
    product.entitle().await;
    let code = product.shop.code(&app, &person, "email").await;
    product.revoke().await;
    is_oauth_error(&product.shop.exchange(&app, &code).await, 400, "invalid_grant");
    product.entitle().await;
    let tokens = product.shop.exchange(&app, &code).await.ok();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    product.sql("update tenancy.entitlements set expires_at = now()").await;
    is_oauth_error(&product.shop.refresh(&app, refresh).await, 400, "invalid_grant");
    product.sql("update tenancy.entitlements set expires_at = null; update tenancy.products set status = 'retired'").await;
    is_oauth_error(&product.shop.refresh(&app, refresh).await, 400, "invalid_grant");
    product
        .sql("update tenancy.products set status = 'active'; update tenancy.tenants set status = 'suspended'")
        .await;
    is_oauth_error(&product.shop.refresh(&app, refresh).await, 400, "invalid_grant");
    product.sql("update tenancy.tenants set status = 'active'").await;
    let next = product.shop.refresh(&app, refresh).await.ok();
    product.revoke().await;
    product.sql("select tenancy.end_product_sessions(id, null, '$USER') from tenancy.products").await;
    is_oauth_error(&user_info(&app, next["access_token"].as_str().unwrap()).await, 401, "invalid_token");
}

#[tokio::test]
async fn use_of_an_entitlement_is_noted_once_a_minute() {
    let app = start().await;
    let person = app.sign_up("ann@example.com").await;
    let product = product(&app, &person).await;
    product.entitle().await;
    assert_eq!(product.used().await, None);
    let tokens = product.shop.tokens(&app, &person, "email").await;
    assert!(product.used().await.unwrap() < 1.0);
    product.sql("update tenancy.entitlements set last_used_at = now() - interval '59 seconds'").await;
    let tokens = product.shop.refresh(&app, tokens["refresh_token"].as_str().unwrap()).await.ok();
    assert!(product.used().await.unwrap() > 0.9, "within the minute");
    product.sql("update tenancy.entitlements set last_used_at = now() - interval '5 minutes'").await;
    product.shop.refresh(&app, tokens["refresh_token"].as_str().unwrap()).await.ok();
    assert!(product.used().await.unwrap() < 1.0);
}

#[tokio::test]
async fn refresh_moves_to_another_tenant_with_an_entitlement_and_fails_without_one() {
    let app = start().await;
    let (person, other) = (app.sign_up("ann@example.com").await, app.sign_up("bob@example.com").await);
    let product = product(&app, &person).await;
    product.entitle().await;
    let bob = other.id();
    product
        .sql(&format!(
            "insert into tenancy.memberships (tenant_id, user_id, role)
             select tenant_id, '$USER', 'member' from tenancy.memberships where user_id = '{bob}' and role = 'owner';
             insert into tenancy.entitlements (tenant_id, product_id, role)
             select m.tenant_id, p.id, 'VIEWER' from tenancy.memberships m, tenancy.products p where m.user_id = '{bob}'"
        ))
        .await;
    let tenant = |tokens: &serde_json::Value| {
        let now = rowhouse_kernel::Clock::now(&*app.clock);
        let token = tokens["access_token"].as_str().unwrap();
        app.keys.ring().verify(token, now).unwrap().claims["tenant_id"].clone()
    };
    let tokens = product.shop.tokens(&app, &person, "email").await;
    assert_eq!(tenant(&tokens), person.claims(&app)["tenant_id"]);
    product.sql("update tenancy.entitlements set expires_at = now() where user_id is not null").await;
    let moved = product.shop.refresh(&app, tokens["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!(tenant(&moved), other.claims(&app)["tenant_id"]);
    product.sql("update tenancy.entitlements set expires_at = now()").await;
    let refused = product.shop.refresh(&app, moved["refresh_token"].as_str().unwrap()).await;
    is_oauth_error(&refused, 400, "invalid_grant");
}

/// The entitlement of another tenant than that of the session is enough.
#[tokio::test]
async fn entitlement_in_any_open_tenant_is_enough() {
    let app = start().await;
    let (person, other) = (app.sign_up("ann@example.com").await, app.sign_up("bob@example.com").await);
    let product = product(&app, &person).await;
    let bob = other.id();
    product
        .sql(&format!(
            "insert into tenancy.memberships (tenant_id, user_id, role)
             select tenant_id, '$USER', 'member' from tenancy.memberships where user_id = '{bob}' and role = 'owner';
             insert into tenancy.entitlements (tenant_id, product_id, role)
             select m.tenant_id, p.id, 'VIEWER' from tenancy.memberships m, tenancy.products p where m.user_id = '{bob}'"
        ))
        .await;
    product.shop.code(&app, &person, "email").await;
    product.sql(&format!("update tenancy.tenants set status = 'cancelled' where id in (select tenant_id from tenancy.memberships where user_id = '{bob}')")).await;
    is_denied(&told(show(&app, &person, &product.shop.ask(&app, "email").await).await));
}
