//! Bearers that begin like API keys of organizations, on all surfaces.

use reqwest::Method;
use rowhouse_http::ServerSettings;

use crate::support::TestApp;

/// The form of a key, and nobody's.
fn unknown() -> String {
    format!("rhk_{}A", "B".repeat(42))
}

#[tokio::test]
async fn unknown_keys_are_refused_in_each_surfaces_words() {
    let app = TestApp::start().await;
    for (path, status, code, part) in [
        ("/admin/v1/about", 401, "unauthorized", "API key is unknown, revoked or expired"),
        ("/rest/v1/todos", 401, "PGRST301", "no JWT"),
        ("/auth/v1/user", 403, "bad_jwt", "below /admin/v1 only"),
        ("/mail/v1/messages/1", 401, "unauthorized", "a service_role key is needed"),
    ] {
        let answer = app.get(&unknown(), path).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (status, code), "{path}: {}", answer.text);
        assert!(answer.text.contains(part), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn guessed_keys_count_as_invalid_tokens() {
    let mut settings = crate::support::settings();
    settings.update(|server: &mut ServerSettings| server.bad_token_rate_per_5min = 5);
    let app = TestApp::start_with(settings).await;
    let ask = async |key: &str| {
        app.send(app.request(Method::GET, "/admin/v1/about").bearer_auth(key)).await.status.as_u16()
    };
    for _ in 0..5 {
        assert_eq!(ask(&unknown()).await, 401);
    }
    assert_eq!((ask(&unknown()).await, ask("rhk_short").await), (429, 429));
    assert_eq!(ask(&app.service_key).await, 200, "valid tokens from there are not limited");
}
