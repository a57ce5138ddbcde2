//! Settings of a tenant.

use rowhouse_crypto::Envelope;
use rowhouse_kernel::TenantId;
use rowhouse_tenancy::sealed::find_secret;
use serde_json::{Value, json};

use super::{harness, refusal, said};

const SECRET: &str = "a secret of the tenant 4711";

#[tokio::test]
async fn settings_keep_their_type_and_are_read_by_the_tenants_sql() {
    let harness = harness().await;
    let token = &harness.owner.token;
    let put = async |name: &str, body: Value| {
        harness.put(token, &format!("/tenants/$TENANT/settings/{name}"), body).await
    };
    let made = put("theme.dark", json!({ "kind": "boolean", "value": true })).await;
    assert_eq!((made.status.as_u16(), &made.json()["value"]), (200, &json!(true)), "{}", made.text);
    assert_eq!(said(&put("a", json!({ "kind": "number", "value": "1" })).await), refusal(422, "invalid"));
    assert_eq!(said(&put("A", json!({ "kind": "number", "value": 1 })).await), refusal(422, "invalid"));
    let member = harness.get(&harness.other.token, "/tenants/$TENANT/settings").await;
    assert_eq!(said(&member), refusal(403, "forbidden"));
    harness
        .app
        .db
        .migrate(
            "create function public.own_setting(name text) returns jsonb language sql stable as $$
        select tenancy.setting(name) $$; notify pgrst, 'reload schema'",
        )
        .await;
    let read = async |token: &str, name: &str| {
        harness.app.post(token, "/rest/v1/rpc/own_setting", json!({ "name": name })).await
    };
    let known = async || read(token, "none").await.status.as_u16() == 200;
    rowhouse_testkit::until("the function is known", rowhouse_testkit::LIMIT, known).await;
    assert_eq!(read(token, "theme.dark").await.json(), json!(true));
    assert_eq!(read(&harness.other.token, "theme.dark").await.json(), json!(null), "another tenant");
    put("key", json!({ "kind": "secret", "value": SECRET })).await;
    assert_eq!(read(token, "key").await.status.as_u16(), 403);
    assert_eq!(harness.delete(token, "/tenants/$TENANT/settings/theme.dark").await.status.as_u16(), 204);
    assert_eq!(read(token, "theme.dark").await.json(), json!(null));
}

#[tokio::test]
async fn secret_is_sealed_and_never_shown_again() {
    let harness = harness().await;
    let (token, path) = (&harness.owner.token, "/tenants/$TENANT/settings/smtp.password");
    let made = harness.put(token, path, json!({ "kind": "secret", "value": SECRET })).await;
    let made = made.json();
    assert_eq!((&made["value"], &made["hint"]), (&Value::Null, &json!("4711")));
    let listed = harness.get(token, "/tenants/$TENANT/settings").await;
    assert!(!listed.text.contains(SECRET) && listed.text.contains("smtp.password"), "{}", listed.text);
    let stored = "select string_agg(s::text, '') || (select string_agg(e::text, '') from audit.entries e)
        || (select string_agg(o::text, '') from events.outbox o) from tenancy.tenant_settings s";
    let stored: String = harness.client.query_one(stored, &[]).await.unwrap().get(0);
    assert!(!stored.contains(SECRET) && stored.contains("sealed:"), "{stored}");
    let key = crate::support::settings().get::<rowhouse_auth::AuthSettings>().key_secret.clone().unwrap();
    let envelope = Envelope::new(&key).unwrap();
    let tenant = TenantId(harness.owner.tenant.parse().unwrap());
    let secret = find_secret(&harness.client, &envelope, tenant, "smtp.password").await.unwrap();
    assert_eq!(secret.unwrap().expose(), SECRET);
    let twice = harness.put(token, path, json!({ "kind": "secret", "value": "short" })).await.json();
    assert_eq!(twice["hint"], Value::Null);
    let secret = find_secret(&harness.client, &envelope, tenant, "smtp.password").await.unwrap();
    assert_eq!(secret.unwrap().expose(), "short");
    assert_eq!(harness.actions().await, ["tenant_setting_changed", "tenant_setting_changed"]);
}
