//! Accounts that change without a suspension, as over /auth/v1/admin and by SQL, while an operator acts.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Harness;

impl Harness {
    async fn change(&self, user: &str, change: &str) {
        let sql = format!("update auth.users set {change} where id = '{user}'");
        self.client.batch_execute(&sql).await.unwrap();
    }
}

#[tokio::test]
async fn acting_ends_with_the_operators_account_and_with_another_role_of_the_user() {
    let ban = "banned_until = now() + interval '1 day'";
    for (of_operator, change) in
        [(true, ban), (true, "deleted_at = now()"), (false, "role = 'service_role'"), (false, ban)]
    {
        let harness = Harness::new().await;
        let (id, acting) = harness.act(&harness.support).await;
        assert_eq!(harness.everywhere(&acting.token).await, [200, 200, 200], "{change}");
        let changed = if of_operator { &harness.support.id } else { &harness.customer.id };
        harness.change(changed, change).await;
        let statuses = harness.everywhere(&acting.token).await;
        assert!(statuses.iter().all(|status| matches!(status, 401 | 403)), "{change}: {statuses:?}");
        assert_ne!(harness.refresh(&acting.refresh_token).await.status, StatusCode::OK, "{change}");
        assert_eq!(harness.end_reason(&id).await, "revoked", "{change}");
    }
}

#[tokio::test]
async fn nobody_begins_to_act_as_who_has_got_another_role_meanwhile() {
    let harness = Harness::new().await;
    let begun = harness.begin(&harness.support).await;
    harness.change(&harness.customer.id, "role = 'service_role'").await;
    assert_eq!(harness.redeem(&begun["code"]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn suspension_and_ban_end_letters_that_were_sent_before() {
    for suspends in [true, false] {
        let harness = Harness::new().await;
        let key = harness.app.service_key.clone();
        let asked = json!({ "type": "magiclink", "email": harness.customer_email().await });
        let made = harness.app.post(&key, "/auth/v1/admin/generate_link", asked).await.json();
        let token = made["hashed_token"].clone();
        assert!(token.is_string(), "{made}");
        let path = format!("/admin/v1/users/{}", harness.customer.id);
        if suspends {
            for (step, body) in [("suspend", json!({ "reason": "compromised" })), ("reactivate", json!({}))] {
                let done = harness.app.post(&key, &format!("{path}/{step}"), body).await;
                assert!(done.status.is_success(), "{}", done.text);
            }
        } else {
            harness.change(&harness.customer.id, "banned_until = now() + interval '1 day'").await;
            harness.change(&harness.customer.id, "banned_until = null").await;
        }
        let proof = json!({ "type": "magiclink", "token_hash": token });
        let answer = harness.app.post(&harness.app.anon_key, "/auth/v1/verify", proof).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{suspends}: {}", answer.text);
    }
}

impl Harness {
    async fn customer_email(&self) -> Value {
        self.value("select email from auth.users where id = '$CUSTOMER'").await
    }
}
