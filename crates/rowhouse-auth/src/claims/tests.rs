use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::AccessClaims;
use crate::method::Amr;
use crate::model::User;
use crate::settings::AuthSettings;
use crate::store::session::SessionRow;
use rowhouse_tenancy::membership::Membership;

const NOW: i64 = 1_800_000_000;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn at(second: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(second).unwrap()
}

pub(crate) fn user() -> User {
    User {
        id: id(1),
        aud: "authenticated".to_owned(),
        role: "authenticated".to_owned(),
        email: "a@example.com".to_owned(),
        email_confirmed_at: Some(at(NOW - 100)),
        invited_at: None,
        phone: String::new(),
        phone_confirmed_at: None,
        confirmation_sent_at: None,
        confirmed_at: Some(at(NOW - 100)),
        recovery_sent_at: None,
        new_email: String::new(),
        email_change_sent_at: None,
        new_phone: String::new(),
        phone_change_sent_at: None,
        reauthentication_sent_at: None,
        last_sign_in_at: None,
        app_metadata: json!({ "provider": "email" }).as_object().unwrap().clone(),
        user_metadata: json!({ "name": "Ann" }).as_object().unwrap().clone(),
        factors: Vec::new(),
        identities: Vec::new(),
        created_at: at(NOW - 100),
        updated_at: at(NOW - 100),
        banned_until: None,
        deleted_at: None,
        is_anonymous: false,
    }
}

fn claims(user: &User, membership: Option<&Membership>) -> Value {
    let session = SessionRow {
        current: None,
        id: id(2),
        user_id: id(1),
        not_after: None,
        aal: "aal1".to_owned(),
        amr: vec![Amr { method: "password".to_owned(), timestamp: NOW - 50, provider: None }],
        tenant_id: None,
        impersonation: None,
    };
    let claims = AccessClaims::new(
        "https://x.example/auth/v1",
        user,
        &session,
        membership,
        &AuthSettings::default(),
        at(NOW),
    );
    serde_json::to_value(claims).unwrap()
}

#[test]
fn claims_are_gotrues_and_the_tenant() {
    let membership = Membership { tenant_id: id(3), organization_id: id(4), role: "owner".to_owned() };
    let expected = json!({
        "iss": "https://x.example/auth/v1", "sub": id(1), "aud": "authenticated", "exp": NOW + 3600, "iat": NOW,
        "email": "a@example.com", "phone": "", "app_metadata": { "provider": "email" }, "user_metadata": { "name": "Ann" },
        "role": "authenticated", "aal": "aal1", "amr": [{ "method": "password", "timestamp": NOW - 50 }],
        "session_id": id(2), "is_anonymous": false, "org_id": id(4), "tenant_id": id(3), "tenant_role": "owner",
    });
    assert_eq!(claims(&user(), Some(&membership)), expected);
}

#[test]
fn user_of_no_tenant_has_no_tenant_claims() {
    let claims = claims(&user(), None);
    for name in ["org_id", "tenant_id", "tenant_role"] {
        assert!(claims.get(name).is_none());
    }
}

#[test]
fn large_user_metadata_stays_out_of_the_token() {
    let mut user = user();
    user.user_metadata.insert("avatar".to_owned(), "x".repeat(4096).into());
    assert_eq!(claims(&user, None)["user_metadata"], json!({}));
}

#[test]
fn user_object_has_gotrues_fields_and_omits_what_is_unset() {
    let expected = json!({
        "id": id(1), "aud": "authenticated", "role": "authenticated", "email": "a@example.com",
        "email_confirmed_at": "2027-01-15T07:58:20Z", "phone": "", "confirmed_at": "2027-01-15T07:58:20Z",
        "app_metadata": { "provider": "email" }, "user_metadata": { "name": "Ann" }, "identities": [],
        "created_at": "2027-01-15T07:58:20Z", "updated_at": "2027-01-15T07:58:20Z", "is_anonymous": false,
    });
    assert_eq!(serde_json::to_value(user()).unwrap(), expected);
}
