//! Each reason for which an invitation cannot be accepted has its own answer.

use reqwest::StatusCode;
use rowhouse_auth::AuthSettings;
use serde_json::json;

use super::{harness, harness_with, refusal};

#[tokio::test]
async fn every_failure_of_accepting_has_its_own_code() {
    let harness = harness().await;
    let ada = harness.app.sign_up("ada@example.com").await;
    let eve = harness.app.sign_up("eve@example.com").await;
    let unknown = "x".repeat(22);
    let not_found = (404, "invitation_not_found".to_owned());
    assert_eq!(refusal(&harness.accept(&ada, &unknown).await), not_found);
    assert_eq!(refusal(&harness.preview(&unknown).await), not_found);
    assert_eq!(refusal(&harness.preview(&"x".repeat(1000)).await), not_found);

    let (id, token) = harness.invited(json!({ "email": "ada@example.com" })).await;
    let wrong = (403, "invitation_wrong_address".to_owned());
    assert_eq!(refusal(&harness.accept(&eve, &token).await), wrong);

    harness.sql("update tenancy.invitations set expires_at = now()").await;
    let expired = (410, "invitation_expired".to_owned());
    assert_eq!(refusal(&harness.accept(&ada, &token).await), expired);
    assert_eq!(refusal(&harness.preview(&token).await), expired);
    harness.sql("update tenancy.invitations set expires_at = now() + interval '1 hour'").await;

    harness.sql("update tenancy.organizations set status = 'suspended' where id = $ORGANIZATION").await;
    let closed = (403, "organization_closed".to_owned());
    assert_eq!(refusal(&harness.accept(&ada, &token).await), closed);
    assert_eq!(refusal(&harness.preview(&token).await), closed);
    harness.sql("update tenancy.organizations set status = 'active'").await;

    assert_eq!(harness.revoke(&id).await.status, StatusCode::NO_CONTENT);
    let revoked = (410, "invitation_revoked".to_owned());
    assert_eq!(refusal(&harness.accept(&ada, &token).await), revoked);
    assert_eq!(refusal(&harness.preview(&token).await), revoked);
    assert_eq!(refusal(&harness.resend(&id).await), revoked);

    let (id, token) = harness.invited(json!({ "email": "ada@example.com" })).await;
    assert_eq!(harness.accept(&ada, &token).await.status, StatusCode::OK);
    let used = (409, "invitation_used".to_owned());
    assert_eq!(refusal(&harness.accept(&ada, &token).await), used);
    assert_eq!(refusal(&harness.preview(&token).await), used);
    assert_eq!(refusal(&harness.revoke(&id).await), used);
    assert_eq!(refusal(&harness.resend(&id).await), used);
    let members = "tenancy.organization_members m join auth.users u on u.id = m.user_id where u.email = 'eve@example.com'";
    assert_eq!(harness.count(members).await, 1, "in her own organization only");
}

#[tokio::test]
async fn only_users_accept_and_nobody_needs_to_sign_in_to_look() {
    let harness = harness().await;
    let (_, token) = harness.invited(json!({ "email": "ada@example.com" })).await;
    let body = json!({ "token": token });
    let path = "/admin/v1/invitations/accept";
    let service = harness.app.post(&harness.app.service_key, path, body.clone()).await;
    assert_eq!(refusal(&service), (403, "forbidden".to_owned()));
    let anon = harness.app.post(&harness.app.anon_key, path, body.clone()).await;
    assert_eq!(anon.status, StatusCode::UNAUTHORIZED);
    let request = harness.app.request(reqwest::Method::POST, "/admin/v1/invitations/preview");
    assert_eq!(harness.app.send(request.json(&body)).await.status, StatusCode::OK);
    let wrong = harness.app.post("nonsense", "/admin/v1/invitations/preview", body).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn address_has_to_be_confirmed_and_is_looked_up_now() {
    let mut settings = crate::support::settings();
    settings.update(|auth: &mut AuthSettings| auth.mailer_autoconfirm = true);
    let harness = harness_with(settings).await;
    let (_, token) = harness.invited(json!({ "email": "ada@example.com" })).await;
    let ada = harness.app.sign_up("ada@example.com").await;
    harness.sql("update auth.users set email_confirmed_at = null where email = 'ada@example.com'").await;
    let unconfirmed = (403, "invitation_unconfirmed_address".to_owned());
    assert_eq!(refusal(&harness.accept(&ada, &token).await), unconfirmed);
    harness
        .sql("update auth.users set email_confirmed_at = now(), email = 'other@example.com' where email = 'ada@example.com'")
        .await;
    let wrong = (403, "invitation_wrong_address".to_owned());
    assert_eq!(refusal(&harness.accept(&ada, &token).await), wrong, "the token's claim still says ada");
    // Metadata that users may edit decides nothing.
    harness
        .sql("update auth.users set raw_user_meta_data = '{\"email\": \"ada@example.com\"}' where email = 'other@example.com'")
        .await;
    assert_eq!(refusal(&harness.accept(&ada, &token).await), wrong);
    harness.sql("update auth.users set email = 'Ada@example.com' where email = 'other@example.com'").await;
    assert_eq!(harness.accept(&ada, &token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn newer_letter_replaces_the_former() {
    let harness = harness().await;
    let (id, first) = harness.invited(json!({ "email": "ada@example.com" })).await;
    let soon = harness.resend(&id).await;
    assert_eq!(refusal(&soon), (429, "resent_too_soon".to_owned()));
    assert_eq!(soon.header("retry-after"), "60");
    harness.age_letters("61 seconds").await;
    let sent = harness.resend(&id).await;
    assert_eq!((sent.status, &sent.json()["resent_count"]), (StatusCode::OK, &json!(1)), "{}", sent.text);
    let second = harness.token().await;
    assert_ne!(first, second);
    let ada = harness.app.sign_up("ada@example.com").await;
    assert_eq!(refusal(&harness.accept(&ada, &first).await), (404, "invitation_not_found".to_owned()));
    // An expired one gets its whole lifetime again.
    harness.sql("update tenancy.invitations set expires_at = now()").await;
    harness.age_letters("72 hours").await;
    harness.sql("update tenancy.invitations set expires_at = sent_at + interval '72 hours'").await;
    assert_eq!(refusal(&harness.accept(&ada, &second).await), (410, "invitation_expired".to_owned()));
    assert_eq!(harness.resend(&id).await.status, StatusCode::OK);
    let fresh = "tenancy.invitations where expires_at between now() + interval '71 hours' and now() + interval '73 hours'";
    assert_eq!(harness.count(fresh).await, 1);
    assert_eq!(harness.accept(&ada, &harness.token().await).await.status, StatusCode::OK);
}

#[tokio::test]
async fn membership_that_is_there_already_stays_as_it_is() {
    let harness = harness().await;
    let body = json!({
        "email": "ada@example.com", "role": "admin", "tenants": [{ "tenant_id": harness.owner.tenant, "role": "admin" }],
    });
    let (_, token) = harness.invited(body).await;
    let ada = harness.member("ada@example.com", "member").await;
    harness.sql("update tenancy.organization_members set status = 'suspended' where role = 'member'").await;
    let accepted = harness.accept(&ada, &token).await;
    assert_eq!(
        (accepted.status, &accepted.json()["role"]),
        (StatusCode::OK, &json!("member")),
        "{}",
        accepted.text
    );
    let suspended = "tenancy.organization_members where role = 'member' and status = 'suspended'";
    assert_eq!(harness.count(suspended).await, 1);
    let may = format!("select tenancy.may('{}', null, '{}', 'tenant:view')", ada.id, harness.owner.tenant);
    assert!(!harness.client.query_one(&may, &[]).await.unwrap().get::<_, bool>(0));
}
