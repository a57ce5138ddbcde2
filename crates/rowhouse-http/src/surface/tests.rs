use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use axum::routing::{any, get, post};
use axum::{Router, http::StatusCode};
use futures_util::stream;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::{Surface, SurfaceError, Surfaces};
use crate::Dialect;

async fn path(OriginalUri(original): OriginalUri, request: Request) -> String {
    format!("{} as {}", original.path(), request.uri())
}

fn surfaces() -> Surfaces {
    let paths = Router::new().route("/", any(path)).route("/{*rest}", any(path));
    let files = Router::new().route("/file", get(path)).route("/take", post(async |body: String| body));
    let small = Surface { body_limit: 4, ..Surface::new("/storage/v1", Dialect::PROBLEM, files) };
    let rest = Surface::new("/rest/v1", Dialect::REST, paths.clone());
    let root = Surface::root(Router::new().route("/health", get(path)));
    Surfaces::new(vec![rest, Surface::new("/rest", Dialect::AUTH, paths), small, root]).unwrap()
}

async fn ask(method: &str, path: &str, body: &'static str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
    let response = surfaces().router().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn surface_sees_paths_below_its_prefix() {
    for (asked, seen) in [
        ("/rest/v1", "/rest/v1 as /"),
        ("/rest/v1/", "/rest/v1/ as /"),
        ("/rest/v1/?select=a", "/rest/v1/ as /?select=a"),
        ("/rest/v1/todos?a=b", "/rest/v1/todos as /todos?a=b"),
        ("/rest/v2", "/rest/v2 as /v2"),
        ("/health", "/health as /health"),
    ] {
        assert_eq!(ask("GET", asked, "").await, (StatusCode::OK, seen.to_owned()), "{asked}");
    }
}

#[tokio::test]
async fn head_announces_the_length_of_the_answer_or_none() {
    let unknown = async || Body::from_stream(stream::once(async { Ok::<_, Infallible>("text") }));
    let streamed = Router::new().route("/", any(unknown));
    let whole = Router::new().route("/", any(async || "text"));
    let surfaces = vec![
        Surface::new("/streamed", Dialect::PLAIN, streamed),
        Surface::new("/whole", Dialect::PLAIN, whole),
    ];
    let router = Surfaces::new(surfaces).unwrap().router();
    for (path, length) in
        [("/streamed", None), ("/streamed/", None), ("/whole", Some("4")), ("/whole/", Some("4"))]
    {
        let request = Request::head(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let content_length = response.headers().get("content-length").map(|value| value.to_str().unwrap());
        assert_eq!(content_length, length, "{path}");
    }
}

#[tokio::test]
async fn unknown_path_is_refused_in_the_dialect_of_its_surface() {
    let problem = r#""detail":"no such path""#;
    for (asked, part) in [
        ("/storage/v1/nope", problem),
        ("/storage/v1/", problem),
        ("/storage/v10", r#""error":"not_found""#),
        ("/", r#""error""#),
    ] {
        let (status, body) = ask("GET", asked, "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{asked}");
        assert!(body.contains(part), "{asked}: {body}");
    }
}

#[tokio::test]
async fn surface_has_its_own_limit_of_bodies() {
    assert_eq!(ask("POST", "/storage/v1/take", "1234").await.0, StatusCode::OK);
    assert_eq!(ask("POST", "/storage/v1/take", "12345").await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn longest_prefix_decides_and_only_at_a_slash() {
    let index = surfaces().index();
    for (path, dialect) in [
        ("/rest/v1/a", Dialect::REST),
        ("/rest/v1", Dialect::REST),
        ("/rest/v1a", Dialect::AUTH),
        ("/resting", Dialect::PLAIN),
        ("/storage/v1/a", Dialect::PROBLEM),
    ] {
        assert_eq!(index.dialect(path), dialect, "{path}");
    }
}

#[test]
fn prefix_is_a_plain_path_and_unique() {
    let of = |prefixes: &[&str]| {
        let surface = |prefix: &&str| Surface::new(*prefix, Dialect::PLAIN, Router::new());
        Surfaces::new(prefixes.iter().map(surface).collect()).map(|_| ())
    };
    assert_eq!(of(&["/a", "/a/b", "", ""]), Ok(()));
    assert_eq!(of(&["/a", "/a"]), Err(SurfaceError::Taken("/a".to_owned())));
    for wrong in ["/", "a", "/a/", "/{a}", "/a//b", "/a b", "/a?b"] {
        assert_eq!(of(&[wrong]), Err(SurfaceError::Prefix(wrong.to_owned())));
    }
}

#[test]
fn api_keys_are_accepted_only_where_the_surface_says_so() {
    let surface = |prefix: &str| Surface::new(prefix, Dialect::PLAIN, Router::new());
    let admin = Surface { api_keys: true, ..surface("/admin/v1") };
    let index = Surfaces::new(vec![admin, surface("/rest/v1")]).unwrap().index();
    for (path, accepted) in [
        ("/admin/v1/x", true),
        ("/admin/v1", true),
        ("/admin/v12", false),
        ("/rest/v1/x", false),
        ("/", false),
    ] {
        assert_eq!(index.accepts_api_keys(path), accepted, "{path}");
    }
}
