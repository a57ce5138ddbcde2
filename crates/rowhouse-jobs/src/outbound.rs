//! The HTTP client for requests to other servers: webhooks, which are signed POSTs as
//! <https://www.standardwebhooks.com> specifies them, and plain requests. Leaves interpreting responses to the caller.

mod address;
mod open_line;
mod signature;

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, Url, redirect};
use rowhouse_kernel::{Clock, Secret};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use address::is_public;
pub use open_line::{is_open_line, is_this_machine};
pub use signature::key_mistake;
use signature::sign;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest part of a response that is read.
pub const MOST_ANSWER: usize = 64 * 1024;
const AGENT: &str = concat!("rowhouse/", env!("CARGO_PKG_VERSION"));
/// Longest Retry-After that is honoured.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// A message to a service.
#[derive(Debug)]
pub struct Message<'a> {
    /// The URL.
    pub url: &'a str,
    /// The message's id, the same for every retry.
    pub id: &'a str,
    /// JSON.
    pub body: Vec<u8>,
    /// The key of the signature.
    pub secret: &'a Secret,
    /// The request that caused it.
    pub request_id: Option<&'a str>,
    /// Timeout of the request as a whole.
    pub timeout: Duration,
}

/// A plain request.
#[derive(Default)]
pub struct Fetch<'a> {
    /// The URL.
    pub url: &'a str,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The form of a POST (`application/x-www-form-urlencoded`); a GET without one.
    pub form: Option<String>,
    /// Timeout of the request as a whole.
    pub timeout: Duration,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundResponse {
    /// The status code.
    pub status: u16,
    /// The parsed Retry-After.
    pub retry_after: Option<Duration>,
    /// The first [`MOST_ANSWER`] bytes of the body.
    pub body: Vec<u8>,
    /// Whether the body was longer.
    pub is_cut: bool,
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The address is malformed or not allowed.
    #[error("{0}")]
    Address(String),
    /// No HTTP response in time.
    #[error("{0}")]
    NoAnswer(String),
}

/// How names are resolved, where it is not left to the machine.
pub type Lookup = Arc<dyn Fn(String) -> LookupFuture + Send + Sync>;

/// A name being resolved.
pub type LookupFuture = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// The client.
#[derive(Debug, Clone)]
pub struct Outbound {
    client: Client,
    allow_private: bool,
}

impl Outbound {
    /// Unless `allow_private`, never connects to addresses of this machine and of private networks, whatever a name
    /// resolves to (SSRF). Proxies from the environment are ignored: they would connect anywhere.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(allow_private: bool) -> Result<Self, String> {
        Self::build(Resolver { allow_private, lookup: None })
    }

    /// The same with names resolved by `lookup`, whose addresses are held to the same rule.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn with_lookup(allow_private: bool, lookup: Lookup) -> Result<Self, String> {
        Self::build(Resolver { allow_private, lookup: Some(lookup) })
    }

    fn build(resolver: Resolver) -> Result<Self, String> {
        let allow_private = resolver.allow_private;
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(resolver))
            .pool_max_idle_per_host(8)
            .build()
            .map_err(|error| format!("the HTTP client cannot be set up: {error}"))?;
        Ok(Self { client, allow_private })
    }

    /// Signs and sends a message once. Redirects are not followed.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn send(&self, message: Message<'_>, clock: &dyn Clock) -> Result<OutboundResponse, SendError> {
        let url = self.check(message.url)?;
        let now = clock.now();
        let timestamp = now.unix_timestamp();
        let signature = sign(message.secret, message.id, timestamp, &message.body);
        let mut request = self
            .client
            .post(url)
            .timeout(message.timeout)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT)
            .header("webhook-id", message.id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signature);
        if let Some(id) = message.request_id {
            request = request.header("x-request-id", id);
        }
        let response = request.body(message.body).send().await.map_err(no_answer)?;
        let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers(), now));
        let (body, is_cut) = read(response).await?;
        Ok(OutboundResponse { status, retry_after, body, is_cut })
    }

    /// Sends a plain request once. Redirects are not followed.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn fetch(&self, fetch: Fetch<'_>, clock: &dyn Clock) -> Result<OutboundResponse, SendError> {
        let url = self.check(fetch.url)?;
        let request = match fetch.form {
            Some(form) => {
                self.client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
            }
            None => self.client.get(url),
        };
        let request = request.timeout(fetch.timeout).header(USER_AGENT, AGENT);
        let request =
            fetch.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.send().await.map_err(no_answer)?;
        let (status, retry_after) =
            (response.status().as_u16(), retry_after(response.headers(), clock.now()));
        let (body, is_cut) = read(response).await?;
        Ok(OutboundResponse { status, retry_after, body, is_cut })
    }

    /// Errors name scheme, host and port only, since the rest may contain a password or a key. Names are checked when
    /// they are resolved; an address in the URL is not resolved.
    fn check(&self, url: &str) -> Result<Url, SendError> {
        let parsed = Url::parse(url).map_err(|error| SendError::Address(format!("the URL: {error}")))?;
        let wrong =
            |why: &str| SendError::Address(format!("{}: {why}", parsed.origin().ascii_serialization()));
        let host = parsed.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        match host.parse() {
            Ok(ip) if !self.allow_private && !is_public(ip) => Err(wrong(PRIVATE)),
            _ => Ok(parsed),
        }
    }
}

const PRIVATE: &str = "a private address; jobs.allow_private_urls would allow it";

/// Seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: OffsetDateTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok()?;
            Duration::try_from(date - now).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

async fn read(mut response: reqwest::Response) -> Result<(Vec<u8>, bool), SendError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(no_answer)? {
        let room = MOST_ANSWER - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Ok((body, true));
        }
    }
    Ok((body, false))
}

/// The whole chain of causes, since the outermost says little; without the URL, which may contain a key.
fn no_answer(error: reqwest::Error) -> SendError {
    let error = error.without_url();
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if inner.is::<Private>() {
            return SendError::NoAnswer(inner_text);
        }
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    SendError::NoAnswer(text)
}

#[derive(Debug, thiserror::Error)]
#[error("{0} resolves to {PRIVATE}")]
struct Private(String);

/// A resolver that removes forbidden addresses, so that no DNS rebinding is possible between check and connection.
struct Resolver {
    allow_private: bool,
    lookup: Option<Lookup>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (allow_private, lookup) = (self.allow_private, self.lookup.clone());
        Box::pin(async move {
            let found: Vec<SocketAddr> = match lookup {
                Some(lookup) => named(&name, lookup(name.as_str().to_owned()).await?)?,
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            let allowed: Vec<_> = found.into_iter().filter(|a| allow_private || is_public(a.ip())).collect();
            if allowed.is_empty() {
                return Err(Private(name.as_str().to_owned()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Addresses without a port, which the URL has; none is an error of another kind than a forbidden one.
fn named(name: &Name, addresses: Vec<IpAddr>) -> std::io::Result<Vec<SocketAddr>> {
    if addresses.is_empty() {
        return Err(std::io::Error::other(format!("{} has no address", name.as_str())));
    }
    Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)).collect())
}

#[cfg(test)]
mod tests;
