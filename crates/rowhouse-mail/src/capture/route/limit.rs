//! The limit per client address, so that one client's polling leaves the database to others.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use rowhouse_http::limit::{AddressLimit, LimitName, Quota, RateReport, Rates};

use super::error;

const CAPTURED_MAIL: LimitName = LimitName::new("captured-mail");

/// So many requests per address and minute.
pub(super) fn per_address(per_minute: u32, rates: &Rates) -> AddressLimit {
    let quota = Quota::new(per_minute, Duration::from_mins(1));
    AddressLimit::new(CAPTURED_MAIL, quota, rates.limiter())
}

/// Middleware that counts requests and writes the `RateLimit` headers.
pub(super) async fn limit_address(
    State(limit): State<AddressLimit>,
    request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
    let report = RateReport::default();
    let checked = limit.check(peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), &report).await;
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(limited) => error(StatusCode::TOO_MANY_REQUESTS, &limited.to_string()),
    };
    report.write(response.status(), response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use rowhouse_kernel::SystemClock;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn address_that_asks_too_often_is_refused_and_others_are_not() {
        let limit = per_address(2, &Rates::in_memory(Arc::new(SystemClock)));
        let router = Router::new().route("/", get(async || "ok"));
        let router = router.layer(from_fn_with_state(limit, limit_address));
        let ask = async |last: u8| {
            let mut request = Request::new(Body::empty());
            let peer = SocketAddr::from(([127, 0, 0, last], 4711));
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = router.clone().oneshot(request).await.unwrap();
            (response.status().as_u16(), response.headers().contains_key("retry-after"))
        };
        assert_eq!([ask(1).await, ask(1).await, ask(1).await], [(200, false), (200, false), (429, true)]);
        assert_eq!(ask(2).await, (200, false));
    }
}
