use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::any;
use http::HeaderMap;
use tower::ServiceExt;

use super::cors;
use crate::settings::ServerSettings;

const OURS: &str = "https://app.example.com";

async fn layer(State(settings): State<Arc<ServerSettings>>, request: Request, next: Next) -> Response {
    cors(&settings, request, |request| next.run(request)).await
}

async fn headers(method: &str, origins: &[&str], credentials: bool, request: &[(&str, &str)]) -> HeaderMap {
    let cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let settings =
        ServerSettings { cors_origins, cors_credentials: credentials, ..ServerSettings::default() };
    let router = Router::new().route("/", any(async || [("vary", "Accept"), ("allow", "GET")]));
    let router = router.layer(from_fn_with_state(Arc::new(settings), layer));
    let request = request
        .iter()
        .fold(Request::builder().method(method), |request, (name, value)| request.header(*name, *value));
    router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_parts().0.headers
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
    values.join(", ")
}

#[tokio::test]
async fn answers_vary_by_origin_whoever_asks() {
    for request in [&[][..], &[("origin", OURS)], &[("origin", "https://evil.example")]] {
        for origins in [&["*"][..], &[OURS], &[]] {
            assert_eq!(text(&headers("GET", origins, false, request).await, "vary"), "Accept, Origin");
        }
    }
}

#[tokio::test]
async fn preflight_is_allowed_only_to_origins_that_are_named() {
    for method in ["OPTIONS", "GET"] {
        for (origins, credentials, origin, allowed) in [
            (&[OURS][..], false, OURS, OURS),
            (&[OURS], false, "https://evil.example", ""),
            (&[], false, OURS, ""),
            (&["*"], false, OURS, "*"),
            (&["*"], true, OURS, OURS),
        ] {
            let request = [
                ("origin", origin),
                ("access-control-request-method", "PUT"),
                ("access-control-request-headers", "x-a"),
            ];
            let headers = headers(method, origins, credentials, &request).await;
            assert_eq!(text(&headers, "access-control-allow-origin"), allowed, "{method} {origins:?}");
            let preflight = method == "OPTIONS" && !allowed.is_empty();
            assert_eq!(headers.contains_key("access-control-allow-methods"), preflight);
            assert_eq!(text(&headers, "access-control-allow-headers"), if preflight { "x-a" } else { "" });
        }
    }
}

#[tokio::test]
async fn options_without_preflight_headers_reaches_the_route() {
    assert_eq!(text(&headers("OPTIONS", &["*"], false, &[("origin", OURS)]).await, "allow"), "GET");
    assert_eq!(
        text(&headers("OPTIONS", &["*"], false, &[("access-control-request-method", "GET")]).await, "allow"),
        "GET"
    );
}
