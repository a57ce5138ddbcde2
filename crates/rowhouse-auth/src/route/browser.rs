//! The cookies by which a browser is known again: one that was sent to a provider and comes back, and one in which an
//! application has signed somebody in, when it asks to sign out. Their values are random and say nothing; rows keep digests.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use rowhouse_crypto::{OpaqueSecret, digest_hex};

use crate::Auth;

/// A cookie.
#[derive(Debug)]
struct Kind {
    /// With TLS, browsers accept the prefix from this host itself only: no other host of the domain can plant a value.
    secure_name: &'static str,
    plain_name: &'static str,
    /// Seconds that it is kept.
    max_age: u32,
}

/// Of sign-ins at a provider; longer than a state is valid, so that an expired one is told as expired.
const SIGN_IN: Kind =
    Kind { secure_name: "__Host-rowhouse-sign-in", plain_name: "rowhouse-sign-in", max_age: 3600 };
/// Of applications; as long as browsers keep any.
const APPLICATION: Kind = Kind {
    secure_name: "__Host-rowhouse-application",
    plain_name: "rowhouse-application",
    max_age: 400 * 86_400,
};
/// Characters of a value.
const LENGTH: usize = 22;

/// The browser of a request. Sign-ins in several tabs share one cookie, and each renews it.
#[derive(Debug)]
pub(super) struct Browser {
    value: String,
    /// Whether it had the cookie already.
    is_known: bool,
    is_secure: bool,
    kind: &'static Kind,
}

impl FromRequestParts<Auth> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers, auth, &SIGN_IN))
    }
}

/// The browser in which applications sign people in.
#[derive(Debug)]
pub(super) struct ApplicationBrowser(pub(super) Browser);

impl FromRequestParts<Auth> for ApplicationBrowser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, auth: &Auth) -> Result<Self, Infallible> {
        Ok(Self(Browser::read(&parts.headers, auth, &APPLICATION)))
    }
}

impl Browser {
    fn read(headers: &HeaderMap, auth: &Auth, kind: &'static Kind) -> Self {
        let is_secure = auth.issuer.starts_with("https:");
        let known = find(headers, if is_secure { kind.secure_name } else { kind.plain_name });
        let is_known = known.is_some();
        let value = known.unwrap_or_else(|| OpaqueSecret::generate(&*auth.rng).expose().to_owned());
        Self { value, is_known, is_secure, kind }
    }

    pub(super) fn digest(&self) -> String {
        digest_hex(&self.value)
    }

    /// The digest, if the browser came with the cookie.
    pub(super) fn known_digest(&self) -> Option<String> {
        self.is_known.then(|| self.digest())
    }

    /// The answer with the cookie. `Lax`: it comes along when a provider leads back, and with no form of another site.
    pub(super) fn remember(&self, mut response: Response) -> Response {
        let Kind { secure_name, plain_name, max_age } = self.kind;
        let (name, secure) = if self.is_secure { (secure_name, "; Secure") } else { (plain_name, "") };
        let cookie =
            format!("{name}={}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}", self.value);
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

    const NAME: &str = SIGN_IN.plain_name;

    #[test]
    fn only_a_well_formed_value_under_the_name_counts() {
        let found = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            find(&headers, NAME)
        };
        let value = "0123456789abcdefghijAB";
        let pair = format!("{NAME}={value}");
        assert_eq!(found(&[&format!("a=b; {pair};c=d")]).as_deref(), Some(value));
        assert_eq!(found(&["a=b", &pair]).as_deref(), Some(value));
        assert_eq!(found(&[&format!("x{pair}")]), None);
        assert_eq!(found(&[&format!("{pair}x")]), None);
        assert_eq!(found(&[&format!("{NAME}=0123456789abcdefghij\"B")]), None);
        assert_eq!(found(&[NAME]), None);
        assert_eq!(found(&[]), None);
    }
}
