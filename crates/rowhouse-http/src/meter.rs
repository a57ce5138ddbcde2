//! Counting requests of tenants, and refusing those of a tenant that has used up what it may.
//!
//! Leaves counts and limits to the module that provides a [`Meter`].

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use rowhouse_kernel::TenantId;
use serde::Serialize;

use crate::Dialect;

/// The code of the refusal in every dialect but PostgREST's, where it is the message.
pub(crate) const CODE: &str = "usage_limit_exceeded";
/// SQLSTATE of the same refusal by the database.
pub(crate) const SQLSTATE: &str = "RH429";

/// Counts requests; asked for every one of a tenant, so it must answer from memory.
pub trait CallMeter: Send + Sync + 'static {
    /// What the tenant has used up, if its requests are refused.
    fn refusal(&self, tenant: TenantId) -> Option<UsageLimit>;

    /// Counts a request of the tenant that was answered.
    fn count(&self, tenant: TenantId);
}

/// The meter of a process, for [`crate::Layers`].
#[derive(Clone)]
pub struct Meter(pub Arc<dyn CallMeter>);

/// What a tenant has used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsageLimit {
    /// What is counted, such as `api_calls`.
    pub metric: &'static str,
    /// The most.
    pub limit: i64,
    /// What has been used.
    pub current: i64,
    /// What is left.
    pub remaining: i64,
    /// When it is counted anew, if ever.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl UsageLimit {
    /// 429 in the surface's dialect.
    pub(crate) fn respond(&self, dialect: Dialect) -> Response {
        let members = serde_json::to_value(self).unwrap_or_default();
        let (code, message) = match dialect == Dialect::REST {
            true => (SQLSTATE, CODE),
            false => (CODE, "the tenant has used up what it may"),
        };
        let mut response = dialect.error_with(StatusCode::TOO_MANY_REQUESTS, code, message, &members);
        if let Some(pause) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(pause.as_secs().max(1)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    async fn body(dialect: Dialect) -> Value {
        let limit = UsageLimit {
            metric: "api_calls",
            limit: 5,
            current: 6,
            remaining: 0,
            retry_after: Some(Duration::from_secs(60)),
        };
        let response = limit.respond(dialect);
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (429, &"60".parse().unwrap())
        );
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn refusal_says_what_is_used_up_in_each_dialect() {
        let problem = body(Dialect::PROBLEM).await;
        assert_eq!(problem["code"], CODE);
        assert_eq!(
            (&problem["metric"], &problem["limit"], &problem["current"], &problem["remaining"]),
            (&json!("api_calls"), &json!(5), &json!(6), &json!(0))
        );
        let rest = body(Dialect::REST).await;
        assert_eq!((&rest["code"], &rest["message"]), (&json!("RH429"), &json!(CODE)));
        let details: Value = serde_json::from_str(rest["details"].as_str().unwrap()).unwrap();
        assert_eq!(details, json!({ "metric": "api_calls", "limit": 5, "current": 6, "remaining": 0 }));
    }
}
