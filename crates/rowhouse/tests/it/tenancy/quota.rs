//! Plans and quotas: what is beyond a hard limit is refused on every surface, and counted exactly.

use reqwest::Method;
use rowhouse_testkit::{LIMIT, until, until_true};
use serde_json::{Value, json};

use super::{Harness, harness, refusal, said};

impl Harness {
    async fn quotas(&self, body: Value) {
        let answer = self.put(&self.app.service_key, "/tenants/$TENANT/quotas", body).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    }

    /// What the metric shows: limit, used, remaining.
    async fn shown(&self, metric: &str) -> [Value; 3] {
        let all = self.get(&self.owner.token, "/tenants/$TENANT/quotas").await.json();
        let found = all["quotas"].as_array().unwrap().iter().find(|one| one["metric"] == metric);
        let found = found.unwrap_or_else(|| panic!("no {metric} in {all}"));
        ["hard_limit", "used", "remaining"].map(|name| found[name].clone())
    }

    async fn count(&self, metric: &str, amount: i64) -> Result<i64, tokio_postgres::Error> {
        let sql = self.filled("select tenancy.count_usage($TENANT, $1, $2)");
        self.client.query_one(&sql, &[&metric, &amount]).await.map(|row| row.get(0))
    }
}

const PRO: &str = "/plans/pro";

/// What the audit log has no room for does not refuse the change.
#[tokio::test]
async fn plan_and_tenant_may_have_as_many_long_quotas_as_there_may_be() {
    let harness = harness().await;
    let quota = |number: usize| {
        let (metric, most) = (format!("{}{number:02}", "m".repeat(61)), i64::MAX);
        json!({ "metric": metric, "soft_limit": most, "hard_limit": most, "period": "month" })
    };
    let quotas: Vec<Value> = (0..50).map(quota).collect();
    for _ in 0..2 {
        let put = json!({ "title": "Pro", "quotas": quotas });
        let put = harness.put(&harness.app.service_key, PRO, put).await;
        assert_eq!(put.status.as_u16(), 200, "{}", put.text);
        harness.quotas(json!({ "quotas": quotas })).await;
    }
    let sql =
        "select details ->> 'before' like '{\"bytes\": %' from audit.entries where action = 'plan_changed'
               order by occurred_at desc limit 1";
    let is_brief: bool = harness.client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(is_brief);
}

#[tokio::test]
async fn quotas_come_from_the_plan_unless_the_tenant_has_its_own() {
    let harness = harness().await;
    let service = &harness.app.service_key;
    let plan = json!({ "title": "Pro", "trial_days": 14, "quotas": [
        { "metric": "users", "hard_limit": 5, "period": "none" },
        { "metric": "storage", "soft_limit": 80, "hard_limit": 100, "period": "none" },
    ] });
    let made = harness.put(service, PRO, plan.clone()).await;
    assert_eq!(
        (made.status.as_u16(), &made.json()["quotas"][1]["hard_limit"]),
        (200, &json!(5)),
        "{}",
        made.text
    );
    let refused = harness.put(&harness.owner.token, PRO, plan).await;
    assert_eq!(said(&refused), refusal(403, "forbidden"));
    let listed = harness.get(&harness.other.token, "/plans").await.json();
    assert_eq!(listed["items"][0]["name"], "pro");
    assert_eq!(harness.shown("users").await, [json!(null), json!(1), json!(null)]);
    harness.quotas(json!({ "plan": "pro" })).await;
    assert_eq!(harness.shown("users").await, [json!(5), json!(1), json!(4)]);
    harness.quotas(json!({ "quotas": [{ "metric": "users", "hard_limit": 2, "period": "none" }] })).await;
    assert_eq!(harness.shown("users").await, [json!(2), json!(1), json!(1)]);
    assert_eq!(harness.shown("storage").await, [json!(100), json!(0), json!(100)]);
    let unknown = harness.put(service, "/tenants/$TENANT/quotas", json!({ "plan": "none" })).await;
    assert_eq!(said(&unknown), refusal(422, "no_such_plan"));
    assert_eq!(said(&harness.delete(service, PRO).await), refusal(409, "plan_in_use"));
    harness.quotas(json!({ "plan": null, "quotas": [] })).await;
    assert_eq!(harness.shown("users").await, [json!(null), json!(1), json!(null)]);
    assert_eq!(harness.delete(service, PRO).await.status.as_u16(), 204);
    let expected = [
        "plan_changed",
        "tenant_quotas_changed",
        "tenant_quotas_changed",
        "tenant_quotas_changed",
        "plan_removed",
    ];
    assert_eq!(harness.actions().await, expected);
}

#[tokio::test]
async fn trial_of_the_plan_begins_when_an_operator_says_so_and_ends_by_itself() {
    let harness = harness().await;
    let service = &harness.app.service_key;
    harness.put(service, PRO, json!({ "title": "Pro", "trial_days": 14 })).await;
    harness.quotas(json!({ "plan": "pro", "start_trial": true })).await;
    let tenant = harness.get(service, "/tenants/$TENANT").await.json();
    assert_eq!((&tenant["status"], &tenant["plan"]), (&json!("trial"), &json!("pro")));
    let end = async || {
        let row = harness.client.query_one("select tenancy.end_trials()", &[]).await.unwrap();
        row.get::<_, i64>(0)
    };
    assert_eq!(end().await, 0);
    harness
        .sql("update tenancy.tenants set trial_ends_at = now() - interval '1 second' where id = $TENANT")
        .await;
    assert_eq!((end().await, end().await), (1, 0));
    let tenant = harness.get(service, "/tenants/$TENANT").await.json();
    assert_eq!(
        (&tenant["status"], &tenant["suspension_reason"]),
        (&json!("suspended"), &json!("trial_ended"))
    );
    let data = harness.app.get(&harness.owner.token, "/rest/v1/todos").await;
    assert_eq!(data.status.as_u16(), 403, "at the next request");
    assert!(harness.actions().await.contains(&"tenant_suspended".to_owned()));
    assert!(harness.events().await.contains(&"tenancy.tenant_suspended".to_owned()));
}

#[tokio::test]
async fn member_beyond_the_quota_of_users_is_refused_with_the_documented_reply() {
    let harness = harness().await;
    harness.quotas(json!({ "quotas": [{ "metric": "users", "hard_limit": 1, "period": "none" }] })).await;
    let add = async || {
        let body = json!({ "user_id": harness.other.id, "role": "member" });
        harness.post(&harness.owner.token, "/tenants/$TENANT/members", body).await
    };
    let refused = add().await;
    assert_eq!(said(&refused), refusal(429, "usage_limit_exceeded"));
    let body = refused.json();
    let members = ["metric", "limit", "current", "remaining"].map(|name| body[name].clone());
    assert_eq!(members, [json!("users"), json!(1), json!(1), json!(0)]);
    harness
        .quotas(
            json!({ "quotas": [{ "metric": "users", "soft_limit": 2, "hard_limit": 2, "period": "none" }] }),
        )
        .await;
    assert_eq!(add().await.status.as_u16(), 201);
    assert_eq!(said(&add().await), refusal(409, "is_a_member"));
    assert_eq!(harness.shown("users").await, [json!(2), json!(2), json!(0)]);
    assert!(harness.events().await.contains(&"tenancy.usage_warning".to_owned()));
}

#[tokio::test]
async fn usage_of_the_products_own_is_counted_up_to_the_hard_limit_and_not_one_more() {
    let harness = harness().await;
    let quota = json!({ "metric": "storage", "soft_limit": 6, "hard_limit": 10, "period": "none" });
    harness.quotas(json!({ "quotas": [quota] })).await;
    assert_eq!(harness.count("storage", 5).await.unwrap(), 5);
    assert!(!harness.events().await.contains(&"tenancy.usage_warning".to_owned()));
    assert_eq!(harness.count("storage", 4).await.unwrap(), 9);
    assert!(harness.events().await.contains(&"tenancy.usage_warning".to_owned()));
    let refused = harness.count("storage", 2).await.unwrap_err();
    let refused = refused.as_db_error().unwrap();
    assert_eq!((refused.code().code(), refused.message()), ("RH429", "usage_limit_exceeded"));
    let detail: Value = serde_json::from_str(refused.detail().unwrap()).unwrap();
    assert_eq!(detail, json!({ "metric": "storage", "limit": 10, "current": 9, "remaining": 1 }));
    assert_eq!(harness.shown("storage").await, [json!(10), json!(9), json!(1)]);
    assert_eq!(harness.count("storage", -4).await.unwrap(), 5);
    assert_eq!(harness.count("sms", 3).await.unwrap(), 3, "without a quota it is only counted");
    assert!(harness.count("users", 1).await.is_err());
    let past = harness.get(&harness.owner.token, "/tenants/$TENANT/usage?limit=1").await.json();
    assert_eq!((&past["items"][0]["metric"], &past["items"][0]["period"]), (&json!("sms"), &json!("month")));
    let next = past["next"].as_str().unwrap();
    let past =
        harness.get(&harness.owner.token, &format!("/tenants/$TENANT/usage?cursor={next}")).await.json();
    assert_eq!((&past["items"][0]["metric"], &past["items"][0]["used"]), (&json!("storage"), &json!(5)));
}

/// A function of the project counts; the data API answers as it is documented.
#[tokio::test]
async fn data_api_answers_429_when_a_function_of_the_project_exceeds_a_quota() {
    let harness = harness().await;
    harness
        .app
        .db
        .migrate(
            "create function public.upload(bytes bigint) returns bigint language sql security definer as $$
        select tenancy.count_usage(auth.tenant_id(), 'storage', bytes) $$",
        )
        .await;
    harness.app.db.superuser().await.batch_execute("notify pgrst, 'reload schema'").await.unwrap();
    harness.quotas(json!({ "quotas": [{ "metric": "storage", "hard_limit": 10, "period": "none" }] })).await;
    let upload = async |bytes: i64| {
        harness.app.post(&harness.owner.token, "/rest/v1/rpc/upload", json!({ "bytes": bytes })).await
    };
    until("the function is known", LIMIT, async || upload(0).await.status.as_u16() == 200).await;
    assert_eq!(upload(10).await.json(), json!(10));
    let refused = upload(1).await;
    assert_eq!(refused.status.as_u16(), 429, "{}", refused.text);
    let body = refused.json();
    assert_eq!((&body["code"], &body["message"]), (&json!("RH429"), &json!("usage_limit_exceeded")));
    let details: Value = serde_json::from_str(body["details"].as_str().unwrap()).unwrap();
    assert_eq!(details, json!({ "metric": "storage", "limit": 10, "current": 10, "remaining": 0 }));
    let direct = json!({ "tenant": harness.owner.tenant, "metric": "storage", "amount": -10 });
    let direct = harness.app.post(&harness.owner.token, "/rest/v1/rpc/count_usage", direct).await;
    assert_ne!(direct.status.as_u16(), 200, "users give themselves nothing");
}

#[tokio::test]
async fn calls_of_a_tenant_beyond_its_quota_are_refused_on_data_and_admin_api() {
    let harness = harness().await;
    let call = async || harness.app.get(&harness.owner.token, "/rest/v1/todos").await;
    for _ in 0..3 {
        assert_eq!(call().await.status.as_u16(), 200);
    }
    until_true(
        &harness.client,
        &harness.filled("exists (select from tenancy.usage where tenant_id = $TENANT and metric = 'api_calls' and used = 3)"),
    )
    .await;
    harness.quotas(json!({ "quotas": [{ "metric": "api_calls", "hard_limit": 3 }] })).await;
    until("calls are refused", LIMIT, async || call().await.status.as_u16() == 429).await;
    let refused = call().await;
    assert_eq!(refused.json()["message"], "usage_limit_exceeded");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    let admin = harness.get(&harness.owner.token, "/tenants/$TENANT").await;
    assert_eq!(said(&admin), refusal(429, "usage_limit_exceeded"));
    assert_eq!((&admin.json()["metric"], &admin.json()["remaining"]), (&json!("api_calls"), &json!(0)));
    let free = harness.app.get(&harness.other.token, "/rest/v1/todos").await;
    assert_eq!(free.status.as_u16(), 200, "another tenant");
    let service = harness.app.get(&harness.app.service_key, "/rest/v1/todos").await;
    assert_eq!(service.status.as_u16(), 200, "the service key");
    harness.sql("delete from tenancy.memberships where tenant_id = $TENANT").await;
    assert_eq!(call().await.status.as_u16(), 403, "who has left is told nothing of the quota");
    let admin = harness.get(&harness.owner.token, "/tenants/$TENANT").await;
    assert_eq!(admin.status.as_u16(), 401, "{}", admin.text);
}

/// The counters start anew with the quota gone.
#[tokio::test]
async fn calls_are_answered_again_once_the_quota_is_gone() {
    let harness = harness().await;
    let call = async || harness.app.get(&harness.owner.token, "/rest/v1/todos").await;
    harness.quotas(json!({ "quotas": [{ "metric": "api_calls", "hard_limit": 1 }] })).await;
    until("calls are refused", LIMIT, async || call().await.status.as_u16() == 429).await;
    harness.quotas(json!({ "quotas": [] })).await;
    until("calls are answered again", LIMIT, async || call().await.status.as_u16() == 200).await;
}

/// Who has left uses up nothing.
#[tokio::test]
async fn refused_tokens_are_not_counted() {
    let harness = harness().await;
    harness.sql("delete from tenancy.memberships where tenant_id = $TENANT").await;
    assert_eq!(harness.app.get(&harness.owner.token, "/rest/v1/todos").await.status.as_u16(), 403);
    // What is answered before anybody has looked the session up counts for nobody.
    for (method, path) in [
        (Method::GET, "/rest/v1/no_such_table"),
        (Method::GET, "/rest/v1/todos?select=("),
        (Method::OPTIONS, "/rest/v1/todos"),
        (Method::GET, "/admin/v1/no_such_route"),
        (Method::GET, "/admin/v1/openapi.json"),
    ] {
        harness.app.call(&harness.owner.token, method, path, None).await;
    }
    assert_eq!(harness.app.get(&harness.other.token, "/rest/v1/todos").await.status.as_u16(), 200);
    until_true(&harness.client, "exists (select from tenancy.usage where metric = 'api_calls')").await;
    let sql = harness.filled("select count(*) from tenancy.usage where tenant_id = $TENANT");
    assert_eq!(harness.client.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0), 0);
}
