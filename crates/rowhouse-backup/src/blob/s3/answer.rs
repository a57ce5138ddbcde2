//! What S3 answers, in XML: listings and errors. Only the few elements that count are read.

use reqwest::StatusCode;
use rowhouse_kernel::parse_instant;
use time::OffsetDateTime;

use crate::blob::Blob;

/// A page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) blobs: Vec<Blob>,
    /// How the next page is asked for; none at the end.
    pub(super) next: Option<String>,
}

impl Page {
    /// None for what is no listing.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        let list = element(text, "ListBucketResult")?;
        let mut blobs = Vec::new();
        let mut rest = list;
        while let Some((object, after)) = next_element(rest, "Contents") {
            rest = after;
            let modified = element(object, "LastModified").and_then(parse_instant);
            blobs.push(Blob {
                path: unescape(element(object, "Key")?),
                bytes: element(object, "Size")?.trim().parse().ok()?,
                modified: modified.unwrap_or(OffsetDateTime::UNIX_EPOCH),
            });
        }
        let is_truncated = element(list, "IsTruncated").is_some_and(|text| text.trim() == "true");
        let next = element(list, "NextContinuationToken").map(unescape);
        // Without a token a truncated listing would be taken for a whole one.
        if is_truncated && next.is_none() {
            return None;
        }
        Some(Self { blobs, next: next.filter(|_| is_truncated) })
    }
}

/// An error of the service.
pub(super) struct Failure;

impl Failure {
    /// Its code, such as `NoSuchKey`; empty if there is none.
    pub(super) fn code(body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        element(&text, "Code").map(unescape).unwrap_or_default()
    }

    /// Status, code and message.
    pub(super) fn read(status: StatusCode, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        let part = |name| element(&text, name).map(unescape).unwrap_or_default();
        let words = [status.as_u16().to_string(), part("Code"), part("Message")];
        words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    }
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    next_element(text, name).map(|(inner, _)| inner)
}

/// What is inside the next element of the name, and what follows it. Elements of one name are never nested here.
fn next_element<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let mut from = 0;
    let begin = loop {
        let at = from + text[from..].find(&format!("<{name}"))? + name.len() + 1;
        match text[at..].chars().next()? {
            '>' => break at + 1,
            // Attributes, such as the namespace of the root.
            letter if letter.is_ascii_whitespace() => break at + text[at..].find('>')? + 1,
            _ => from = at,
        }
    };
    let close = format!("</{name}>");
    let end = begin + text[begin..].find(&close)?;
    Some((&text[begin..end], &text[end + close.len()..]))
}

fn unescape(text: &str) -> String {
    let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    plain.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::{Failure, Page};
    use crate::blob::Blob;
    use reqwest::StatusCode;

    const LISTING: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><KeyCount>1</KeyCount>
<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b==</NextContinuationToken>
<Contents><Key>p/wal/1</Key><LastModified>2026-11-28T02:00:00.000Z</LastModified><ETag>"x"</ETag><Size>42</Size></Contents>
</ListBucketResult>"#;

    #[test]
    fn listing_is_read_with_the_way_to_its_next_page() {
        let modified = datetime!(2026-11-28 02:00 UTC);
        let blobs = vec![Blob { path: "p/wal/1".to_owned(), bytes: 42, modified }];
        let page = Page { blobs, next: Some("a&b==".to_owned()) };
        assert_eq!(Page::read(LISTING.as_bytes()), Some(page));
        let without_token = LISTING.replace("NextContinuationToken", "Other");
        for text in ["", "<html></html>", &without_token, &LISTING.replace("42", "many")] {
            assert_eq!(Page::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn error_has_status_code_and_message() {
        let body = b"<Error><Code>AccessDenied</Code><Message>Access &lt;Denied&gt;</Message></Error>";
        assert_eq!(Failure::read(StatusCode::FORBIDDEN, body), "403 AccessDenied Access <Denied>");
        assert_eq!(Failure::read(StatusCode::BAD_GATEWAY, b"oops"), "502");
    }
}
