//! A bucket of any S3 service as a store: five requests, signed, repeated while the service is busy.
//!
//! Leaves signatures to `sign` and the service's XML to `answer`.

mod answer;
mod sign;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, StatusCode, Url};
use rowhouse_kernel::SharedClock;
use time::OffsetDateTime;

use super::{Blob, BlobFuture, Blobs, Put, TOO_LARGE};
use crate::error::StoreError;
use crate::settings::BackupSettings;
use answer::{Failure, Page};
use sign::{Request, Signer};

/// How often a request is sent at most.
const ATTEMPTS: u32 = 4;
/// The wait before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Listings, which have a thousand objects each, and answers that are errors.
const MAX_ANSWER: u64 = 16 << 20;
/// Listings of a thousand objects each: no store has more.
const MAX_PAGES: usize = 100_000;
/// What a query must encode, besides letters and digits.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A bucket, or what lies under a prefix in it.
#[derive(Debug)]
pub(crate) struct Bucket {
    client: Client,
    /// The URL of the bucket, with `/` at its end.
    url: Url,
    /// Empty, or with `/` at its end.
    prefix: String,
    signer: Signer,
    clock: SharedClock,
}

struct Answer {
    status: StatusCode,
    body: Bytes,
}

/// What is asked.
#[derive(Clone)]
struct Ask<'a> {
    method: Method,
    key: &'a str,
    query: &'a str,
    body: Bytes,
    put: Put,
    /// The most bytes that the answer may have.
    most: u64,
}

impl<'a> Ask<'a> {
    fn new(method: Method, key: &'a str) -> Self {
        Self { method, key, query: "", body: Bytes::new(), put: Put::Replace, most: MAX_ANSWER }
    }
}

impl Bucket {
    /// The bucket of the settings; nothing is sent yet.
    pub(crate) fn new(settings: &BackupSettings, clock: SharedClock) -> Result<Self, StoreError> {
        let invalid = |key: &str| StoreError::Invalid(format!("backup.{key} is not set or cannot be read"));
        let (bucket, prefix) = settings.bucket().ok_or_else(|| invalid("store"))?;
        let url = match &settings.endpoint {
            Some(endpoint) => format!("{}/{bucket}/", endpoint.trim_end_matches('/')),
            None => format!("https://{bucket}.s3.{}.amazonaws.com/", settings.region),
        };
        let client = Client::builder().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT).build();
        Ok(Self {
            client: client.map_err(|_| StoreError::Internal("the HTTP client cannot be made"))?,
            url: Url::parse(&url).map_err(|_| invalid("endpoint"))?,
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
            signer: Signer {
                access_key_id: settings.access_key_id.clone().ok_or_else(|| invalid("access_key_id"))?,
                secret: settings.secret_access_key.clone().ok_or_else(|| invalid("secret_access_key"))?,
                region: settings.region.clone(),
            },
            clock,
        })
    }

    /// Sends a request until there is an answer that more attempts would not change.
    async fn send(&self, ask: Ask<'_>) -> Result<Answer, StoreError> {
        let mut attempt = 1;
        loop {
            let failed = match self.send_once(ask.clone()).await {
                Ok(answer) if is_busy(answer.status) => {
                    self.unreachable(Failure::read(answer.status, &answer.body))
                }
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if attempt == ATTEMPTS || !matches!(failed, StoreError::Unreachable { .. }) {
                return Err(failed);
            }
            tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(attempt - 1)).await;
            attempt += 1;
        }
    }

    async fn send_once(&self, ask: Ask<'_>) -> Result<Answer, StoreError> {
        let Ask { method, key, query, body, put, most } = ask;
        let mut url = self.url.join(key).map_err(|_| StoreError::Invalid(format!("\"{key}\" is no path")))?;
        url.set_query((!query.is_empty()).then_some(query));
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let unsigned = Request { method: method.as_str(), host: &host, path: url.path(), query, body: &body };
        let signed = self.signer.sign(&unsigned, self.clock.now());
        let mut request = self.client.request(method, url.clone()).body(body);
        for (name, value) in signed {
            request = request.header(name, value);
        }
        if put == Put::Create {
            request = request.header("if-none-match", "*");
        }
        let failed = |error: reqwest::Error| self.unreachable(no_answer(error));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut body = BytesMut::new();
        while let Some(bytes) = response.chunk().await.map_err(failed)? {
            if (body.len() + bytes.len()) as u64 > most {
                return Err(StoreError::corrupt(key, TOO_LARGE));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(Answer { status, body: body.freeze() })
    }

    /// What an answer means that is no success.
    fn failed(&self, path: &str, answer: &Answer) -> StoreError {
        let why = || Failure::read(answer.status, &answer.body);
        match answer.status {
            StatusCode::NOT_FOUND if Failure::code(&answer.body) != "NoSuchBucket" => {
                StoreError::NotFound { what: path.to_owned() }
            }
            // Two that create it at once: one of them is told 409.
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => {
                StoreError::Exists { what: path.to_owned() }
            }
            _ => StoreError::Refused { place: self.place(), why: why() },
        }
    }

    fn unreachable(&self, why: String) -> StoreError {
        StoreError::Unreachable { place: self.place(), why }
    }

    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    async fn page(&self, prefix: &str, token: Option<&str>) -> Result<Page, StoreError> {
        let encoded = |text: &str| utf8_percent_encode(text, QUERY).to_string();
        // In the order of their names, as the signature demands.
        let token = token.map(|token| format!("continuation-token={}&", encoded(token))).unwrap_or_default();
        let query = format!("{token}list-type=2&prefix={}", encoded(&self.key(prefix)));
        let answer = self.send(Ask { query: &query, ..Ask::new(Method::GET, "") }).await?;
        if !answer.status.is_success() {
            return Err(self.failed("the bucket", &answer));
        }
        Page::read(&answer.body).ok_or_else(|| self.unreachable("the listing cannot be read".to_owned()))
    }
}

impl Blobs for Bucket {
    fn place(&self) -> String {
        format!("{}{}", self.url, self.prefix.trim_end_matches('/'))
    }

    fn put<'a>(&'a self, path: &'a str, body: Bytes, put: Put) -> BlobFuture<'a, ()> {
        Box::pin(async move {
            let key = self.key(path);
            let answer = self.send(Ask { body, put, ..Ask::new(Method::PUT, &key) }).await?;
            if answer.status.is_success() { Ok(()) } else { Err(self.failed(path, &answer)) }
        })
    }

    fn get<'a>(&'a self, path: &'a str, most: u64) -> BlobFuture<'a, Bytes> {
        Box::pin(async move {
            let key = self.key(path);
            let answer = self.send(Ask { most: most.max(MAX_ANSWER), ..Ask::new(Method::GET, &key) }).await?;
            if answer.body.len() as u64 > most {
                return Err(StoreError::corrupt(path, TOO_LARGE));
            }
            if answer.status.is_success() { Ok(answer.body) } else { Err(self.failed(path, &answer)) }
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BlobFuture<'a, Vec<Blob>> {
        Box::pin(async move {
            let (mut found, mut token) = (Vec::new(), None);
            for _ in 0..MAX_PAGES {
                let page = self.page(prefix, token.as_deref()).await?;
                let inside = |blob: Blob| {
                    let path = blob.path.strip_prefix(&self.prefix)?.to_owned();
                    Some(Blob { path, ..blob })
                };
                found.extend(page.blobs.into_iter().filter_map(inside));
                token = page.next;
                if token.is_none() {
                    found.sort_unstable_by(|a: &Blob, b| a.path.cmp(&b.path));
                    return Ok(found);
                }
            }
            Err(self.unreachable("the listing does not end".to_owned()))
        })
    }

    fn delete<'a>(&'a self, path: &'a str) -> BlobFuture<'a, ()> {
        Box::pin(async move {
            let answer = self.send(Ask::new(Method::DELETE, &self.key(path))).await?;
            let is_gone = answer.status.is_success() || answer.status == StatusCode::NOT_FOUND;
            if is_gone { Ok(()) } else { Err(self.failed(path, &answer)) }
        })
    }

    fn free(&self) -> BlobFuture<'_, Option<u64>> {
        Box::pin(async { Ok(None) })
    }

    /// An object that was not sent whole does not exist.
    fn tidy(&self, _older_than: OffsetDateTime) -> BlobFuture<'_, u64> {
        Box::pin(async { Ok(0) })
    }
}

fn is_busy(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// The innermost reason, which says more than "error sending request"; without the URL.
fn no_answer(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut reason: &dyn std::error::Error = &error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
