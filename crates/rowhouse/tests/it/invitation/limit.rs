//! What keeps invitations from becoming a flood of letters.

use reqwest::StatusCode;
use rowhouse_tenancy::TenancySettings;
use serde_json::{Value, json};

use super::{harness, harness_with, refusal};
use crate::support::TestResponse;

/// Whether it says to come again in so many seconds, of which some have gone by.
fn rests(answer: &TestResponse, seconds: u64) -> bool {
    let told: u64 = answer.header("retry-after").parse().unwrap();
    (seconds - 60..=seconds).contains(&told)
}

fn to(email: &str) -> Value {
    json!({ "email": email })
}

#[tokio::test]
async fn addresses_that_are_invited_or_members_are_refused() {
    let harness = harness().await;
    harness.invited(to("ada@example.com")).await;
    let again = harness.invite(to("ADA@example.com")).await;
    assert_eq!(refusal(&again), (409, "is_invited".to_owned()));
    let member = harness.invite(to("Owner@example.com")).await;
    assert_eq!(refusal(&member), (409, "is_a_member".to_owned()));
    harness.sql("update tenancy.invitations set expires_at = now()").await;
    harness.invited(to("ada@example.com")).await;
    for (body, status) in [
        (to("no address"), 422),
        (to("Ada <ada@example.com>"), 422),
        (to("ada@example.com\r\nBcc: eve@example.com"), 422),
        (json!({ "email": "eve@example.com", "expires_in_hours": 721 }), 422),
        (json!({ "email": "eve@example.com", "expires_in_hours": 0 }), 422),
        (json!({ "email": "eve@example.com", "language": "../../etc" }), 422),
        (json!({ "email": "eve@example.com", "invited_by": "me" }), 400),
    ] {
        let answer = harness.invite(body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.text);
    }
    let long = json!({ "email": "eve@example.com", "expires_in_hours": 720 });
    assert_eq!(harness.invite(long).await.status, StatusCode::CREATED);
    let month = "tenancy.invitations where expires_at - created_at = interval '720 hours'";
    assert_eq!(harness.count(month).await, 1);
}

#[tokio::test]
async fn letters_are_limited_by_organization_inviter_and_recipient() {
    let mut settings = crate::support::settings();
    settings.update(|tenancy: &mut TenancySettings| {
        tenancy.invitation_rate_per_hour = 3;
        tenancy.invitation_recipient_rate_per_day = 2;
        tenancy.pending_invitations = 4;
    });
    let harness = harness_with(settings).await;
    let admin = harness.member("admin@example.com", "admin").await;
    for email in ["a@example.com", "b@example.com", "c@example.com"] {
        harness.invited(to(email)).await;
    }
    let many = (429, "too_many_letters".to_owned());
    harness.age_letters("20 minutes").await;
    let full = harness.invite(to("d@example.com")).await;
    assert_eq!((refusal(&full), rests(&full, 2400)), (many.clone(), true), "until the first has its hour");
    let by_admin = harness.invite_by(&admin.token, to("d@example.com")).await;
    assert_eq!(refusal(&by_admin), many, "the organization's hour is full");
    // In an organization of his own as well: it is his hour, too.
    let other = json!({ "name": "Other", "slug": "other" });
    let other = harness.app.post(&harness.owner.token, "/admin/v1/organizations", other).await.json();
    let path = format!("/admin/v1/organizations/{}/invitations", other["id"].as_str().unwrap());
    let elsewhere = harness.app.post(&harness.owner.token, &path, to("d@example.com")).await;
    assert_eq!(refusal(&elsewhere), many);
    harness.age_letters("61 minutes").await;
    harness.invited(to("d@example.com")).await;
    assert_eq!(refusal(&harness.invite(to("e@example.com")).await), (409, "too_many_invitations".to_owned()));
    // A second letter to d from the other organization; the third is refused whoever sends it.
    harness.age_letters("61 minutes").await;
    let second = harness.app.post(&harness.owner.token, &path, to("d@example.com")).await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.text);
    harness.sql("update tenancy.invitations set revoked_at = now() where email = 'd@example.com'").await;
    let third = harness.invite_by(&harness.app.service_key, to("d@example.com")).await;
    assert_eq!((refusal(&third), rests(&third, 86_400 - 3660)), (many, true), "until the first has its day");
    harness.age_letters("1 day").await;
    let third = harness.invite_by(&harness.app.service_key, to("d@example.com")).await;
    assert_eq!(third.status, StatusCode::CREATED, "{}", third.text);
}

#[tokio::test]
async fn letter_is_sent_again_ten_times_at_most() {
    let harness = harness().await;
    let (id, _) = harness.invited(to("ada@example.com")).await;
    harness
        .sql("update tenancy.invitations set sent_times = array_fill(now() - interval '2 days', array[11])")
        .await;
    assert_eq!(refusal(&harness.resend(&id).await), (409, "resent_too_often".to_owned()));
}

#[tokio::test]
async fn unknown_tokens_are_limited_by_address() {
    let harness = harness().await;
    let (_, token) = harness.invited(to("ada@example.com")).await;
    for at in 0..30 {
        let answer = harness.preview(&format!("{at:0>22}")).await;
        assert_eq!(answer.status.as_u16(), 404);
    }
    let limited = harness.preview(&"y".repeat(22)).await;
    assert_eq!(refusal(&limited), (429, "over_request_rate_limit".to_owned()));
    assert!(limited.headers.contains_key("retry-after"));
    assert_eq!(
        harness.preview(&token).await.status.as_u16(),
        429,
        "known ones, too, so that trying tells nothing"
    );
}

#[tokio::test]
async fn without_mail_nobody_is_invited() {
    use rowhouse_mail::{MailSettings, MailTransport};
    let mut settings = crate::support::settings();
    settings.update(|mail: &mut MailSettings| mail.transport = MailTransport::None);
    let harness = harness_with(settings).await;
    let answer = harness.invite(to("ada@example.com")).await;
    assert_eq!(refusal(&answer), (503, "mail_unavailable".to_owned()));
    assert_eq!(harness.count("tenancy.invitations").await, 0);
}
