//! Signatures of requests to S3: AWS Signature Version 4 with the body's digest. Leaves sending to `s3`.

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use rowhouse_kernel::Secret;
use time::OffsetDateTime;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";

/// An access key, for the buckets of a region.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) access_key_id: String,
    pub(super) secret: Secret,
    pub(super) region: String,
}

/// What is signed. Path and query are encoded, the query's parameters in the order of their names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
}

impl Signer {
    /// The headers that make a request at this time valid, besides `host`.
    pub(super) fn sign(&self, request: &Request<'_>, at: OffsetDateTime) -> [(&'static str, String); 3] {
        let (date, time) = stamps(at);
        let sum = sha256(request.body);
        let Request { method, host, path, query, .. } = request;
        let headers = format!("host:{host}\nx-amz-content-sha256:{sum}\nx-amz-date:{time}\n");
        let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{SIGNED}\n{sum}");
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let signature = HEXLOWER.encode(&mac(&self.key(&date), text.as_bytes()));
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope},SignedHeaders={SIGNED},Signature={signature}",
            self.access_key_id
        );
        [("x-amz-date", time), ("x-amz-content-sha256", sum), ("authorization", authorization)]
    }

    fn key(&self, date: &str) -> Vec<u8> {
        let first = format!("AWS4{}", self.secret.expose());
        let parts = [date, &self.region, "s3", "aws4_request"];
        parts.iter().fold(first.into_bytes(), |key, part| mac(&key, part.as_bytes()))
    }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// `20130524` and `20130524T000000Z`.
fn stamps(at: OffsetDateTime) -> (String, String) {
    let date = format!("{:04}{:02}{:02}", at.year(), u8::from(at.month()), at.day());
    let time = format!("{date}T{:02}{:02}{:02}Z", at.hour(), at.minute(), at.second());
    (date, time)
}

#[cfg(test)]
mod tests;
