//! An OpenID provider that says whatever a test wants.

use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rowhouse_crypto::{Algorithm, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::parameter;

/// Seconds since 1970 at which the tests' clock stands.
pub(crate) const NOW: i64 = 1_800_000_000;

/// What the provider says.
pub(crate) struct Says {
    pub(crate) key: KeyPair,
    /// The claims of the next ID token.
    pub(crate) claims: Value,
    /// Instead of a token with these claims.
    pub(crate) id_token: Option<String>,
    pub(crate) key_set: Value,
    pub(crate) userinfo: Value,
    pub(crate) emails: Value,
    /// Forms that came to the token endpoint.
    pub(crate) exchanges: Vec<Value>,
    /// Requests for the key set.
    pub(crate) key_requests: u32,
    /// Whether requests are left without an answer.
    pub(crate) is_silent: bool,
}

type Shared = Arc<Mutex<Says>>;

pub(crate) struct FakeProvider {
    pub(crate) url: String,
    says: Shared,
}

impl FakeProvider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let key = KeyPair::generate(Algorithm::Es256).unwrap();
        let key_set = json!({ "keys": [key.jwk()] });
        let says: Shared = Arc::new(Mutex::new(Says {
            key,
            claims: Value::Null,
            id_token: None,
            key_set,
            userinfo: Value::Null,
            emails: Value::Null,
            exchanges: Vec::new(),
            key_requests: 0,
            is_silent: false,
        }));
        let discovery = discovery(&url);
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async move || Json(discovery)))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/login/oauth/access_token", post(token))
            .route(
                "/userinfo",
                get(async |State(says): State<Shared>| Json(says.lock().unwrap().userinfo.clone())),
            )
            .route(
                "/api/v3/user",
                get(async |State(says): State<Shared>| Json(says.lock().unwrap().userinfo.clone())),
            )
            .route(
                "/api/v3/user/emails",
                get(async |State(says): State<Shared>| Json(says.lock().unwrap().emails.clone())),
            )
            .with_state(Arc::clone(&says));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, says }
    }

    pub(crate) fn set<T>(&self, change: impl FnOnce(&mut Says) -> T) -> T {
        change(&mut self.says.lock().unwrap())
    }

    /// Somebody with these claims agrees at the redirect `there`: the path of the callback.
    pub(crate) fn admit(&self, there: &Url, claims: Value) -> String {
        let nonce = parameter(there, "nonce").unwrap_or_default();
        let claims = self.complete(claims, json!({ "nonce": nonce }));
        self.set(|says| says.claims = claims);
        format!("/callback?state={}&code=c0de", parameter(there, "state").unwrap())
    }

    /// A valid ID token with these claims; null removes one.
    pub(crate) fn id_token(&self, claims: Value) -> String {
        let claims = self.complete(claims, json!({}));
        self.set(|says| {
            signed(&says.key, &json!({ "alg": says.key.jwk().alg, "kid": says.key.jwk().kid }), &claims)
        })
    }

    fn complete(&self, claims: Value, more: Value) -> Value {
        let mut all = json!({ "iss": self.url, "aud": "web", "iat": NOW, "exp": NOW + 300, "sub": "1" });
        for part in [more, claims] {
            for (name, value) in part.as_object().unwrap() {
                all[name] = value.clone();
            }
        }
        all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        all
    }
}

fn discovery(url: &str) -> Value {
    json!({
        "issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"), "userinfo_endpoint": format!("{url}/userinfo"),
    })
}

async fn keys(State(says): State<Shared>) -> Json<Value> {
    let (is_silent, set) = {
        let mut says = says.lock().unwrap();
        says.key_requests += 1;
        (says.is_silent, says.key_set.clone())
    };
    if is_silent {
        std::future::pending::<()>().await;
    }
    Json(set)
}

async fn token(
    State(says): State<Shared>,
    headers: http::HeaderMap,
    body: String,
) -> (StatusCode, Json<Value>) {
    let mut says = says.lock().unwrap();
    let pairs = url::form_urlencoded::parse(body.as_bytes()).into_owned();
    let pairs: serde_json::Map<String, Value> = pairs.map(|(name, value)| (name, value.into())).collect();
    let mut form = Value::Object(pairs);
    form["authorization"] =
        headers.get("authorization").map_or(Value::Null, |value| value.to_str().unwrap().into());
    says.exchanges.push(form);
    let (last, earlier) = says.exchanges.split_last().unwrap();
    if earlier.iter().any(|other| other["code_verifier"] == last["code_verifier"]) {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })));
    }
    let header = json!({ "alg": says.key.jwk().alg, "kid": says.key.jwk().kid });
    let id_token = says.id_token.clone().unwrap_or_else(|| signed(&says.key, &header, &says.claims));
    let tokens = json!({
        "access_token": "theirs", "refresh_token": "theirs too", "token_type": "bearer", "id_token": id_token,
    });
    (StatusCode::OK, Json(tokens))
}

pub(crate) fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

pub(crate) fn signed(key: &KeyPair, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).unwrap()))
}
