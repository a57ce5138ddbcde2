//! Nobody gives by an invitation what he could not give himself, and an invitation lasts as long as its inviter could.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Harness, harness, refusal};

async fn refused(harness: &Harness, token: &str, body: Value, status: u16, code: &str) {
    let answer = harness.invite_by(token, body.clone()).await;
    assert_eq!(refusal(&answer), (status, code.to_owned()), "{body}: {}", answer.text);
}

fn as_role(role: &str) -> Value {
    json!({ "email": "ada@example.com", "role": role })
}

#[tokio::test]
async fn nobody_invites_above_himself() {
    let harness = harness().await;
    let admin = harness.member("admin@example.com", "admin").await;
    let manager = harness.member("manager@example.com", "manager").await;
    let member = harness.member("member@example.com", "member").await;
    let stranger = harness.app.sign_up("stranger@example.com").await;
    refused(&harness, &admin.token, as_role("owner"), 403, "owners_only").await;
    refused(&harness, &manager.token, as_role("admin"), 403, "beyond_own_permissions").await;
    refused(&harness, &manager.token, as_role("owner"), 403, "owners_only").await;
    for outsider in [&member, &stranger] {
        refused(&harness, &outsider.token, as_role("member"), 403, "forbidden").await;
        let listed = harness.app.get(&outsider.token, &harness.path("")).await;
        assert_eq!(refusal(&listed), (403, "forbidden".to_owned()));
    }
    refused(&harness, &harness.owner.token, as_role("unheard-of"), 422, "no_such_role").await;
    assert_eq!(harness.invite(as_role("owner")).await.status, StatusCode::CREATED);
    let by_manager = harness.invite_by(&manager.token, json!({ "email": "eve@example.com" })).await;
    assert_eq!((by_manager.status, &by_manager.json()["role"]), (StatusCode::CREATED, &json!("member")));
}

#[tokio::test]
async fn tenants_and_products_are_of_the_organization() {
    let harness = harness().await;
    let stranger = harness.app.sign_up("stranger@example.com").await;
    harness
        .sql(
            "insert into tenancy.products (slug, name) values ('crm', 'CRM'), ('erp', 'ERP');
             insert into tenancy.tenant_products (tenant_id, product_id, environment)
             select $TENANT, id, 'production' from tenancy.products where slug = 'crm'",
        )
        .await;
    let own = harness.owner.tenant.clone();
    let with = |tenants: Value, products: Value| json!({ "email": "ada@example.com", "tenants": tenants, "products": products });
    let tenant = |id: &str, role: &str| json!({ "tenant_id": id, "role": role });
    let product = |id: &str, slug: &str| json!({ "tenant_id": id, "product": slug, "role": "EDITOR" });
    for (tenants, products) in [
        (json!([tenant(&stranger.tenant, "member")]), json!([])),
        (json!([tenant("0198d5a1-0000-7000-8000-000000000001", "member")]), json!([])),
        (json!([tenant(&own, "member"), tenant(&own, "admin")]), json!([])),
        (json!([]), json!([product(&own, "crm")])),
        (json!([tenant(&own, "member")]), json!([product(&own, "cms")])),
        (json!([tenant(&own, "member")]), json!([product(&own, "erp")])),
        (json!([tenant(&own, "member")]), json!([product(&own, "crm"), product(&own, "crm")])),
        (json!([tenant(&own, "member")]), json!([product(&stranger.tenant, "crm")])),
    ] {
        refused(&harness, &harness.owner.token, with(tenants, products), 422, "invalid").await;
    }
    let body = with(json!([tenant(&own, "member")]), json!([product(&own, "crm")]));
    let (_, token) = harness.invited(body).await;
    let ada = harness.app.sign_up("ada@example.com").await;
    assert_eq!(harness.accept(&ada, &token).await.status, StatusCode::OK);
    let given = format!(
        "tenancy.entitlements where user_id = '{}' and role = 'EDITOR' and granted_by = '{}'",
        ada.id, harness.owner.id
    );
    assert_eq!(harness.count(&given).await, 1);
    assert_eq!(harness.count("audit.entries where action = 'entitlement_granted'").await, 1);
}

/// A product is offered within what the inviter may give, and as long as he may.
#[tokio::test]
async fn nobody_invites_to_more_of_a_product_than_he_may_give() {
    let harness = harness().await;
    harness
        .sql(
            "insert into tenancy.products (slug, name) values ('crm', 'CRM');
             insert into tenancy.tenant_products (tenant_id, product_id, environment)
             select $TENANT, id, 'production' from tenancy.products",
        )
        .await;
    let manager = harness.member("manager@example.com", "manager").await;
    let body = |email: &str, role: &str| {
        let tenant = &harness.owner.tenant;
        json!({
            "email": email, "tenants": [{ "tenant_id": tenant, "role": "member" }],
            "products": [{ "tenant_id": tenant, "product": "crm", "role": role }],
        })
    };
    refused(&harness, &manager.token, body("ada@example.com", "ADMIN"), 403, "forbidden").await;
    refused(&harness, &manager.token, body("ada@example.com", "OWNER"), 403, "owners_only").await;
    let sent = harness.invite_by(&manager.token, body("ada@example.com", "EDITOR")).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{}", sent.text);
    let token = harness.token().await;
    // In a role that invites members to organization and tenant, but gives no products.
    harness
        .sql(&format!(
            "insert into tenancy.roles (organization_id, name) values ($ORGANIZATION, 'host');
             insert into tenancy.role_permissions (organization_id, role, permission)
             select $ORGANIZATION, 'host', name from tenancy.permissions where name <> 'tenant:apps';
             update tenancy.organization_members set role = 'host' where user_id = '{}' and organization_id = $ORGANIZATION",
            manager.id
        ))
        .await;
    assert_eq!(refusal(&harness.preview(&token).await), (410, "invitation_revoked".to_owned()));
}

#[tokio::test]
async fn accepting_never_lowers_what_all_members_have() {
    let harness = harness().await;
    harness
        .sql(
            "insert into tenancy.products (slug, name) values ('crm', 'CRM'), ('erp', 'ERP'), ('cms', 'CMS');
             insert into tenancy.tenant_products (tenant_id, product_id, environment)
             select $TENANT, id, 'production' from tenancy.products;
             insert into tenancy.entitlements (tenant_id, product_id, role, granted_by, expires_at)
             select $TENANT, id, 'ADMIN', 'test', case slug when 'cms' then now() - interval '1 minute' end
             from tenancy.products",
        )
        .await;
    let tenant = &harness.owner.tenant;
    let offer = |product: &str, role: &str| json!({ "tenant_id": tenant, "product": product, "role": role });
    let body = json!({
        "email": "ada@example.com", "tenants": [{ "tenant_id": tenant, "role": "member" }],
        "products": [offer("crm", "VIEWER"), offer("erp", "OWNER"), offer("cms", "VIEWER")],
    });
    let (_, token) = harness.invited(body).await;
    let ada = harness.app.sign_up("ada@example.com").await;
    assert_eq!(harness.accept(&ada, &token).await.status, StatusCode::OK);
    for (product, role) in [("crm", "ADMIN"), ("erp", "OWNER"), ("cms", "VIEWER")] {
        let sql = format!("select tenancy.product_role('{}', '{tenant}', '{product}')", ada.id);
        let found: Option<String> = harness.client.query_one(&sql, &[]).await.unwrap().get(0);
        assert_eq!(found.as_deref(), Some(role), "{product}");
    }
}

#[tokio::test]
async fn invitations_of_a_banned_user_are_refused() {
    let harness = harness().await;
    let admin = harness.member("admin@example.com", "admin").await;
    let sent = harness.invite_by(&admin.token, as_role("member")).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{}", sent.text);
    let token = harness.token().await;
    let ada = harness.app.sign_up("ada@example.com").await;
    let revoked = (410, "invitation_revoked".to_owned());
    let ban = async |until: &str| {
        harness.sql(&format!("update auth.users set banned_until = {until} where id = '{}'", admin.id)).await;
    };
    ban("now() + interval '1 hour'").await;
    assert_eq!(refusal(&harness.preview(&token).await), revoked);
    assert_eq!(refusal(&harness.accept(&ada, &token).await), revoked);
    // A banned user accepts none either.
    ban("null").await;
    harness.sql(&format!("update auth.users set banned_until = 'infinity' where id = '{}'", ada.id)).await;
    assert!(matches!(harness.accept(&ada, &token).await.status.as_u16(), 401 | 403));
    harness.sql(&format!("update auth.users set banned_until = null where id = '{}'", ada.id)).await;
    assert_eq!(harness.accept(&ada, &token).await.status, StatusCode::OK, "once the ban is over");
}

#[tokio::test]
async fn tenant_that_has_closed_is_left_out() {
    let harness = harness().await;
    let body = json!({
        "email": "ada@example.com", "tenants": [{ "tenant_id": harness.owner.tenant, "role": "member" }],
    });
    let (_, token) = harness.invited(body).await;
    harness.sql("update tenancy.tenants set status = 'suspended' where id = $TENANT").await;
    let ada = harness.app.sign_up("ada@example.com").await;
    let accepted = harness.accept(&ada, &token).await;
    assert_eq!(
        (accepted.status, &accepted.json()["tenants"]),
        (StatusCode::OK, &json!([])),
        "{}",
        accepted.text
    );
}

#[tokio::test]
async fn invitation_ends_with_the_rights_of_who_sent_it() {
    let harness = harness().await;
    let admin = harness.member("admin@example.com", "admin").await;
    let sent = harness.invite_by(&admin.token, as_role("admin")).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{}", sent.text);
    let token = harness.token().await;
    let ada = harness.app.sign_up("ada@example.com").await;
    let revoked = (410, "invitation_revoked".to_owned());
    let of_admin = format!("where organization_id = $ORGANIZATION and user_id = '{}'", admin.id);
    for change in ["role = 'manager'", "role = 'admin', status = 'suspended'"] {
        harness.sql(&format!("update tenancy.organization_members set {change} {of_admin}")).await;
        assert_eq!(refusal(&harness.preview(&token).await), revoked, "{change}");
        assert_eq!(refusal(&harness.accept(&ada, &token).await), revoked, "{change}");
    }
    harness.sql(&format!("delete from tenancy.organization_members {of_admin}")).await;
    assert_eq!(refusal(&harness.accept(&ada, &token).await), revoked);
    // Sent again by the owner, it is the owner's.
    harness.age_letters("2 minutes").await;
    let id = sent.json()["id"].as_str().unwrap().to_owned();
    let renewed = harness.resend(&id).await;
    assert_eq!((renewed.status, &renewed.json()["invited_by"]), (StatusCode::OK, &json!(harness.owner.id)));
    assert_eq!(harness.accept(&ada, &harness.token().await).await.status, StatusCode::OK);
}

#[tokio::test]
async fn role_that_is_deleted_meanwhile_is_not_given() {
    let harness = harness().await;
    harness.sql("insert into tenancy.roles (organization_id, name) values ($ORGANIZATION, 'auditor')").await;
    let (_, token) = harness.invited(as_role("auditor")).await;
    harness.sql("delete from tenancy.roles where name = 'auditor'").await;
    let ada = harness.app.sign_up("ada@example.com").await;
    assert_eq!(refusal(&harness.accept(&ada, &token).await), (422, "no_such_role".to_owned()));
    assert_eq!(harness.count("tenancy.invitations where accepted_at is null").await, 1);
}

#[tokio::test]
async fn invitations_of_another_organization_are_out_of_reach() {
    let harness = harness().await;
    let (id, _) = harness.invited(json!({ "email": "ada@example.com" })).await;
    let other = harness.app.sign_up("other@example.com").await;
    let own = crate::support::claims(&other.token)["org_id"].as_str().unwrap().to_owned();
    for (method, rest) in [(Method::DELETE, ""), (Method::POST, "/resend")] {
        let path = format!("/admin/v1/organizations/{own}/invitations/{id}{rest}");
        let answer = harness.app.call(&other.token, method, &path, None).await;
        assert_eq!(refusal(&answer), (404, "invitation_not_found".to_owned()));
    }
    assert_eq!(harness.count("tenancy.invitations where revoked_at is null").await, 1);
}
