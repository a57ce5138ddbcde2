//! Headers that more than one kind of answer carries.

use http::{HeaderName, HeaderValue};

/// What QUERY takes (draft-ietf-httpbis-safe-method-w-body section 3).
pub(crate) const ACCEPT_QUERY: (HeaderName, HeaderValue) = (
    HeaderName::from_static("accept-query"),
    HeaderValue::from_static("\"application/x-www-form-urlencoded\""),
);
