//! The headers `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) and `Retry-After`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{Allowance, Charge, Quota};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The tightest limit of a request, for its response's headers; a request extension. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct RateReport(Arc<Mutex<Option<Reported>>>);

#[derive(Debug, Clone)]
struct Reported {
    /// The limit's name and the kind of subject it counted.
    policy: String,
    quota: Quota,
    allowance: Allowance,
}

impl RateReport {
    /// The tightest of several limits is the one that is reported.
    pub(super) fn record(&self, charge: &Charge, allowance: Allowance) {
        let policy = format!("{}-{}", charge.key.limit, charge.key.subject.kind());
        let reported = Reported { policy, quota: charge.quota, allowance };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_ref().is_none_or(|kept| allowance.tightness() < kept.allowance.tightness()) {
            *kept = Some(reported);
        }
    }

    /// Writes the headers; the layer does it for every response that passes through it.
    pub fn write(&self, status: StatusCode, headers: &mut HeaderMap) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Reported { policy, quota, allowance }) = kept else { return };
        let window = seconds(quota.window());
        let limit = format!("\"{policy}\";r={};t={}", allowance.remaining, seconds(allowance.full_in));
        insert(headers, LIMIT, &limit);
        insert(headers, POLICY, &format!("\"{policy}\";q={};w={window}", quota.burst()));
        let wait = allowance.retry_after.filter(|_| status == StatusCode::TOO_MANY_REQUESTS);
        if let Some(wait) = wait.filter(|_| !headers.contains_key(header::RETRY_AFTER)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
        }
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// Whole seconds, rounded up, so that a client that waits so long is not refused again.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
