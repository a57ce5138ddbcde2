//! How a tenant looks, also before sign-in.

use reqwest::Method;
use serde_json::{Value, json};

use super::{harness, refusal, said};

#[tokio::test]
async fn branding_is_changed_in_the_version_that_was_seen_and_read_by_everybody() {
    let harness = harness().await;
    let (token, path) = (&harness.owner.token, harness.path("/tenants/$TENANT/branding"));
    let put = async |seen: Option<&str>, body: Value| {
        let request = harness.app.request(Method::PUT, &path).bearer_auth(token).json(&body);
        let request = seen.into_iter().fold(request, |request, tag| request.header("if-match", tag));
        harness.app.send(request).await
    };
    let shown = harness.app.get(token, &path).await;
    let tag = shown.headers["etag"].to_str().unwrap().to_owned();
    let branding = json!({
        "name": "Acme", "logo_url": "https://cdn.example/logo.svg", "colors": { "primary": "#0a7cff" },
    });
    assert_eq!(said(&put(None, branding.clone()).await), refusal(428, "if_match_required"));
    for refused in [
        json!({ "logo_url": "javascript:alert(1)" }),
        json!({ "colors": { "primary": "red" } }),
        json!({ "name": "" }),
    ] {
        assert_eq!(said(&put(Some(&tag), refused.clone()).await), refusal(422, "invalid"), "{refused}");
    }
    let changed = put(Some(&tag), branding.clone()).await;
    assert_eq!((changed.status.as_u16(), changed.json()), (200, branding.clone()), "{}", changed.text);
    assert_eq!(said(&put(Some(&tag), json!({})).await), refusal(412, "changed"));
    let public = harness.path("/branding/$TENANT");
    let everybody = async || harness.app.get(&harness.app.anon_key, &public).await.json();
    assert_eq!(everybody().await, branding);
    harness.sql("update tenancy.tenants set status = 'suspended' where id = $TENANT").await;
    assert_eq!(everybody().await, json!({}), "closed, like one that does not exist");
}
