//! The cookie by which a browser that was sent to a provider is known when it comes back. Its value is random and says
//! nothing; flows keep its digest.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use rowhouse_crypto::{OpaqueSecret, digest_hex};

use crate::Auth;

/// With TLS, browsers accept the prefix from this host itself only: no other host of the domain can plant a value.
const SECURE_NAME: &str = "__Host-rowhouse-sign-in";
const PLAIN_NAME: &str = "rowhouse-sign-in";
/// Characters of a value.
const LENGTH: usize = 22;
/// Seconds that it is kept; longer than a state is valid, so that an expired one is told as expired.
const MAX_AGE: u32 = 3600;

/// The browser of a request. Sign-ins in several tabs share one cookie, and each renews it.
#[derive(Debug)]
pub(super) struct Browser {
    value: String,
    /// Whether it had the cookie already.
    is_known: bool,
    is_secure: bool,
}

impl FromRequestParts<Auth> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Infallible> {
        let is_secure = auth.issuer.starts_with("https:");
        let known = find(&parts.headers, if is_secure { SECURE_NAME } else { PLAIN_NAME });
        let is_known = known.is_some();
        let value = known.unwrap_or_else(|| OpaqueSecret::generate(&*auth.rng).expose().to_owned());
        Ok(Self { value, is_known, is_secure })
    }
}

impl Browser {
    pub(super) fn digest(&self) -> String {
        digest_hex(&self.value)
    }

    /// The digest, if the browser came with the cookie.
    pub(super) fn known_digest(&self) -> Option<String> {
        self.is_known.then(|| self.digest())
    }

    /// The answer with the cookie. `Lax`: it comes along when a provider leads back, and with no form of another site.
    pub(super) fn remember(&self, mut response: Response) -> Response {
        let (name, secure) = if self.is_secure { (SECURE_NAME, "; Secure") } else { (PLAIN_NAME, "") };
        let cookie =
            format!("{name}={}; Path=/; Max-Age={MAX_AGE}; HttpOnly; SameSite=Lax{secure}", self.value);
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
        response
    }
}

/// A well-formed value of the cookie.
fn find(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let is_ours =
        |value: &str| value.len() == LENGTH && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    pairs.find(|(found, value)| *found == name && is_ours(value)).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_value_under_the_name_counts() {
        let found = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            find(&headers, PLAIN_NAME)
        };
        let value = "0123456789abcdefghijAB";
        let pair = format!("{PLAIN_NAME}={value}");
        assert_eq!(found(&[&format!("a=b; {pair};c=d")]).as_deref(), Some(value));
        assert_eq!(found(&["a=b", &pair]).as_deref(), Some(value));
        assert_eq!(found(&[&format!("x{pair}")]), None);
        assert_eq!(found(&[&format!("{pair}x")]), None);
        assert_eq!(found(&[&format!("{PLAIN_NAME}=0123456789abcdefghij\"B")]), None);
        assert_eq!(found(&[PLAIN_NAME]), None);
        assert_eq!(found(&[]), None);
    }
}
