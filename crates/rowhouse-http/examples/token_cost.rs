//! Measures one thread: the verification of an ES256 token by the crypto library alone, by the key ring, and with the cache
//! of verified tokens; and one password hash. Prints microseconds as JSON. Run it for release.
#![expect(clippy::print_stdout, reason = "a measurement")]

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderValue, header};
use rowhouse_crypto::{Algorithm, Key, KeyPair, KeyRing, Purpose, Status, VerifyingKey, password};
use rowhouse_http::{CallerResolver, ForeignTokens};
use rowhouse_kernel::{Clock as _, SystemClock, SystemRng};
use serde_json::json;

/// Measurements in turns, of which the median counts.
const ROUNDS: usize = 15;

fn main() -> Result<(), Box<dyn Error>> {
    let (pair, kid) = key(Purpose::Access)?;
    let verifier = VerifyingKey::from_jwk(&kid)?;
    let keys = vec![pair, key(Purpose::Api)?.0];
    let ring = Arc::new(KeyRing::new(keys, None)?);
    let now = SystemClock.now();
    let token = ring.sign(&claims(now.unix_timestamp()), Purpose::Access)?;
    let (signed, signature) = parts(&token)?;
    let shared = Arc::new(ArcSwap::from(Arc::clone(&ring)));
    let foreign = ForeignTokens::new(None, "$.role")?;
    let resolver = CallerResolver::new(shared, foreign, Arc::new(SystemClock));
    let headers = headers(&token)?;
    let hash = password::hash("correct horse", &SystemRng)?;
    let (mut library, mut uncached, mut cached, mut hashed) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        library.push(each(1000, || verifier.verify(signed.as_bytes(), &signature)));
        uncached.push(each(1000, || ring.verify(&token, now).is_ok()));
        cached.push(each(20_000, || resolver.resolve(&headers).caller().is_ok()));
        hashed.push(each(3, || password::verify("correct horse", Some(&hash)).is_match()));
    }
    let [library, uncached, cached, hashed] = [library, uncached, cached, hashed].map(median);
    let said =
        json!({ "library_us": library, "uncached_us": uncached, "cached_us": cached, "hash_us": hashed });
    println!("{said}");
    Ok(())
}

fn key(purpose: Purpose) -> Result<(Key, rowhouse_crypto::Jwk), Box<dyn Error>> {
    let pair = KeyPair::generate(Algorithm::Es256)?;
    let jwk = pair.jwk().clone();
    Ok((Key::new(pair, purpose, Status::Signing)?, jwk))
}

/// What a user's token has.
fn claims(now: i64) -> serde_json::Value {
    let id = "019abc00-0000-7000-8000-000000000001";
    json!({
        "iss": "http://127.0.0.1:54321/auth/v1", "sub": id, "aud": "authenticated", "exp": now + 3600, "iat": now,
        "email": "bench@example.com", "phone": "", "app_metadata": { "provider": "email", "providers": ["email"] },
        "user_metadata": { "full_name": "Bench" }, "role": "authenticated", "aal": "aal1",
        "amr": [{ "method": "password", "timestamp": now }], "session_id": id, "is_anonymous": false,
        "org_id": id, "tenant_id": id, "tenant_role": "owner",
    })
}

fn headers(token: &str) -> Result<HeaderMap, Box<dyn Error>> {
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    headers.insert(header::AUTHORIZATION, value);
    Ok(headers)
}

fn parts(token: &str) -> Result<(String, Vec<u8>), Box<dyn Error>> {
    let (signed, signature) = token.rsplit_once('.').ok_or("no signature")?;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    Ok((signed.to_owned(), base64::Engine::decode(&engine, signature)?))
}

/// Microseconds of one call.
fn each(calls: u32, call: impl Fn() -> bool) -> f64 {
    let started = Instant::now();
    for _ in 0..calls {
        assert!(black_box(call()));
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_unstable_by(f64::total_cmp);
    all[all.len() / 2]
}
