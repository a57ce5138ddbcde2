//! What every client is answered whatever it asks for, through the accept loop: hosts, origins, guesses, and how much of it
//! the log shows.

use reqwest::{Method, StatusCode};
use rowhouse_http::ServerSettings;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::{Folder, Up, free_port};
use crate::support::{TestApp, TestResponse, settings};

const OURS: &str = "https://app.example.com";
/// A path of each surface, and what belongs to none.
const PATHS: [&str; 7] = [
    "/rest/v1/todos",
    "/auth/v1/health",
    "/admin/v1/jobs",
    "/mail/v1/messages/1",
    "/health/live",
    "/version",
    "/nothing",
];

/// The whole answer to raw bytes; the request asks for the connection's end.
async fn raw(address: impl tokio::net::ToSocketAddrs, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _closed_early = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn with_server(change: impl FnOnce(&mut ServerSettings)) -> TestApp {
    let mut settings = settings();
    settings.update(change);
    TestApp::start_with(settings).await
}

#[tokio::test]
async fn request_names_exactly_one_host() {
    let app = TestApp::start().await;
    for path in PATHS {
        for (head, is_good) in [
            ("HTTP/1.1\r\nhost: x\r\n", true),
            ("HTTP/1.1\r\n", false),
            ("HTTP/1.1\r\nhost: x\r\nhost: x\r\n", false),
            ("HTTP/1.0\r\n", true),
            ("HTTP/1.0\r\nhost: x\r\nhost: y\r\n", false),
        ] {
            let answer = raw(app.address, &format!("GET {path} {head}connection: close\r\n\r\n")).await;
            let is_refused = answer.lines().next().is_some_and(|line| line.contains(" 400 "));
            assert_eq!(is_refused, !is_good, "{path} {head:?}: {answer}");
            let answer = answer.to_lowercase();
            assert!(answer.contains("x-request-id: ") && answer.contains("vary: origin"), "{answer}");
        }
    }
}

#[tokio::test]
async fn every_answer_varies_by_origin_and_names_only_those_that_are_allowed() {
    let app = with_server(|server| server.cors_origins = vec![OURS.to_owned()]).await;
    let ask = async |method: &str, path: &str, origin: Option<&str>| {
        let request = app.request(method.parse::<Method>().unwrap(), path);
        let request = origin.into_iter().fold(request, |request, origin| {
            request.header("origin", origin).header("access-control-request-method", "GET")
        });
        app.send(request).await
    };
    let header = |answer: &TestResponse, name: &str| {
        let values = answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
        values.collect::<Vec<_>>().join(", ")
    };
    for path in PATHS {
        for method in ["GET", "HEAD", "OPTIONS", "POST", "DELETE"] {
            for (origin, allowed) in [(None, ""), (Some("https://evil.example"), ""), (Some(OURS), OURS)] {
                let answer = ask(method, path, origin).await;
                let what = format!("{method} {path} {origin:?}: {}", answer.status);
                let vary = header(&answer, "vary").to_lowercase();
                assert!(vary.split(", ").any(|name| name == "origin"), "{what}: {vary}");
                assert_eq!(header(&answer, "access-control-allow-origin"), allowed, "{what}");
                let is_preflight = method == "OPTIONS" && origin.is_some();
                assert!(!is_preflight || answer.status == StatusCode::NO_CONTENT, "{what}");
                let allows = answer.headers.contains_key("access-control-allow-methods");
                assert_eq!(allows, is_preflight && !allowed.is_empty(), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn who_guesses_tokens_is_slowed_down_and_nobody_else() {
    let app = with_server(|server| {
        server.bad_token_rate_per_5min = 3;
        server.client_address_header = Some("x-real-ip".to_owned());
    })
    .await;
    let ask = async |path: &str, token: &str, address: &str| {
        let request = app.request(Method::GET, path).header("x-real-ip", address).bearer_auth(token);
        let request = request.header("origin", OURS);
        app.send(request).await
    };
    let tried = ["/rest/v1/todos", "/admin/v1/jobs", "/auth/v1/user"];
    for path in tried {
        let answer = ask(path, "a.b.c", "192.0.2.1").await;
        assert!([401, 403].contains(&answer.status.as_u16()), "{path}: {}", answer.text);
        assert!(answer.headers["ratelimit"].to_str().unwrap().contains("bad-token-address"), "{path}");
    }
    for (path, code) in [
        ("/rest/v1/todos", "RHL03"),
        ("/admin/v1/jobs", "over_request_rate_limit"),
        ("/auth/v1/user", "over_request_rate_limit"),
        ("/mail/v1/messages/1", "over_request_rate_limit"),
    ] {
        let answer = ask(path, "a.b.c", "192.0.2.1").await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (429, code), "{path}: {}", answer.text);
        for name in ["retry-after", "ratelimit-policy", "vary", "access-control-allow-origin"] {
            assert!(answer.headers.contains_key(name), "{path}: {name}");
        }
    }
    let good = ask("/admin/v1/jobs", &app.service_key, "192.0.2.1").await;
    assert_eq!(good.status, StatusCode::OK, "a good key from the same address");
    assert_eq!(ask("/admin/v1/jobs", "a.b.c", "192.0.2.2").await.status, StatusCode::UNAUTHORIZED);
    for _ in 0..10 {
        let unreadable = ask("/admin/v1/jobs", "a.b.c", "unknown").await;
        assert_eq!(unreadable.status, StatusCode::UNAUTHORIZED, "no budget for all who have no address");
    }
}

#[tokio::test]
async fn who_guesses_the_metrics_token_is_slowed_down_and_the_token_still_opens() {
    let app = with_server(|server| {
        server.bad_token_rate_per_5min = 2;
        server.metrics_token = Some(rowhouse_kernel::Secret::new("m".repeat(40)));
        server.client_address_header = Some("x-real-ip".to_owned());
    })
    .await;
    let ask = async |token: &str| {
        let request = app.request(Method::GET, "/metrics").header("x-real-ip", "192.0.2.1");
        app.send(request.bearer_auth(token)).await.status.as_u16()
    };
    assert_eq!([ask("x").await, ask("x").await, ask("x").await], [403, 403, 429]);
    assert_eq!(ask(&"m".repeat(40)).await, 200);
}

#[tokio::test]
async fn tenant_that_hands_in_too_many_mails_is_told_when_to_go_on() {
    let mut settings = settings();
    settings.update(|mail: &mut rowhouse_mail::MailSettings| mail.tenant_submissions_per_minute = 2);
    let app = TestApp::start_with(settings).await;
    let tenants = [app.sign_up("a@example.com").await.tenant, app.sign_up("b@example.com").await.tenant];
    let send = async |tenant: Option<&String>| {
        let mail = json!({ "to": "c@example.com", "subject": "s", "text": "t", "tenant": tenant });
        app.post(&app.service_key, "/mail/v1/send", mail).await
    };
    for _ in 0..2 {
        assert_eq!(send(Some(&tenants[0])).await.status, StatusCode::ACCEPTED);
    }
    let refused = send(Some(&tenants[0])).await;
    assert_eq!((refused.status.as_u16(), &*refused.code()), (429, "too_many"));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(send(Some(&tenants[1])).await.status, StatusCode::ACCEPTED);
    assert_eq!(send(None).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn log_shows_a_bounded_part_of_what_a_caller_sends() {
    let folder = Folder::empty();
    let up = Up::start(&folder, free_port());
    let address = up.text("url").trim_start_matches("http://").to_owned();
    let long = "a".repeat(40_000);
    for head in [
        format!("GET /{long} HTTP/1.1\r\nhost: x\r\n"),
        format!("{} / HTTP/1.1\r\nhost: x\r\n", "M".repeat(20_000)),
        format!("GET /version HTTP/1.1\r\nhost: x\r\nuser-agent: {long}\r\nx-request-id: {long}\r\n"),
        format!("GET /rest/v1/{long}?{long}=eq.1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {long}\r\n"),
        format!("GET /auth/v1/user HTTP/1.1\r\nhost: {long}\r\nauthorization: {long}\r\n"),
    ] {
        let answer = raw(&address, &format!("{head}connection: close\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    raw(&address, "GET /version HTTP/1.1\r\nhost: x\r\nx-request-id: the-last\r\nconnection: close\r\n\r\n")
        .await;
    let lines = up.log_until("the-last");
    assert!(lines.iter().filter(|line| line.contains("answered")).count() >= 4, "{lines:#?}");
    for line in lines {
        assert!(line.len() < 2_000, "{} bytes: {line:.300}", line.len());
    }
}
