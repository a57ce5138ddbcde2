//! What has begun before a kill goes on after it.

use reqwest::Method;
use rowhouse_testkit::Receiver;
use serde_json::{Value, json};

use super::server::{Server, parameter};
use super::{BY_LETTER, NO_PAGE, VERIFIER, exchange, open, with_challenge};

/// The cookie of the browser that is sent to the provider.
const BROWSER: &str = "rowhouse-sign-in=0123456789abcdefghijAB";

fn json_answer(body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A provider that speaks as GitHub does, and knows one person.
async fn provider() -> Receiver {
    let answers = [
        json!({ "access_token": "theirs", "token_type": "bearer", "scope": "user:email" }),
        json!({ "id": 7, "login": "ann", "name": "Ann Example" }),
        json!([{ "email": "ann@example.com", "primary": true, "verified": true }]),
    ];
    let answers = answers.each_ref().map(json_answer);
    Receiver::start(&answers.each_ref().map(String::as_str)).await
}

async fn visit(server: &Server, path: &str) -> String {
    let answer = server.send(server.request(Method::GET, path).header("cookie", BROWSER)).await;
    answer.location.unwrap()
}

/// Killed while the letter is on its way, while the client holds the code, and at last with the session.
#[tokio::test]
async fn exchange_that_began_with_a_letter_outlives_kills() {
    let mut server = Server::start(&[BY_LETTER, NO_PAGE]).await;
    let link = with_challenge(&server, 1).await;
    restart(&mut server).await;
    let code = open(&server, &link).await.unwrap();
    restart(&mut server).await;
    let session = server.answer("/token?grant_type=pkce", &exchange(&code)).await.ok();
    restart(&mut server).await;
    let user =
        server.request(Method::GET, "/auth/v1/user").bearer_auth(session["access_token"].as_str().unwrap());
    assert_eq!(server.send(user).await.ok()["email"], "1@example.com");
}

/// Killed while the browser is at the provider, and while the client holds the code.
#[tokio::test]
async fn exchange_that_began_at_a_provider_outlives_kills() {
    let provider = provider().await;
    let url = format!("http://127.0.0.1:{}", provider.port);
    let github = json!({ "github": { "client_id": ["web"], "secret": "sesame", "issuer": url } }).to_string();
    let mut server = Server::start(&[BY_LETTER, ("ROWHOUSE_AUTH__EXTERNAL", github.as_str())]).await;
    let challenge = rowhouse_crypto::sha256_base64url(VERIFIER.as_bytes());
    let begin =
        format!("/auth/v1/authorize?provider=github&code_challenge={challenge}&code_challenge_method=s256");
    let there = visit(&server, &begin).await;
    let state = parameter(&there, "state").unwrap();
    restart(&mut server).await;
    let back = visit(&server, &format!("/auth/v1/callback?code=admitted&state={state}")).await;
    let code = parameter(&back, "code").unwrap_or_else(|| panic!("{back}"));
    restart(&mut server).await;
    let session = server.answer("/token?grant_type=pkce", &exchange(&code)).await.ok();
    assert_eq!(
        (&session["user"]["email"], &session["provider_token"]),
        (&json!("ann@example.com"), &json!("theirs"))
    );
}

async fn restart(server: &mut Server) {
    server.kill().await;
    server.start_again().await;
}
