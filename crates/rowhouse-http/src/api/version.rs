//! `ETag` and `If-Match` (RFC 9110 sections 8.8.3 and 13.1.1): optimistic locking.

use std::fmt::Display;

use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Described};
use aide::{OperationInput, OperationOutput};
use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

use super::Problem;

/// The version of a thing, as a strong entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(String);

impl ETag {
    /// The tag of a version, which is a number or a time; quotes and what no header can hold are left out.
    #[must_use]
    pub fn new(version: impl Display) -> Self {
        let version = version.to_string();
        let plain: String = version.chars().filter(|c| c.is_ascii_graphic() && *c != '"').collect();
        Self(format!("\"{plain}\""))
    }

    pub(super) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

/// JSON with its version.
#[derive(Debug, Clone)]
pub struct Tagged<T>(pub T, pub ETag);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        if let Some(tag) = self.1.header() {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

impl<T: JsonSchema> OperationOutput for Tagged<T> {
    type Inner = T;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<Described> {
        Json::<T>::operation_response(context, operation)
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Described)> {
        Json::<T>::inferred_responses(context, operation)
    }
}

/// The versions that the client accepts.
#[derive(Debug, Clone, Default)]
pub struct IfMatch(Option<String>);

impl IfMatch {
    /// Accepts a request for the current version, or without the header.
    ///
    /// # Errors
    /// 412 for another version.
    pub fn allow(&self, current: &ETag) -> Result<(), Problem> {
        let Some(given) = &self.0 else { return Ok(()) };
        let matches = given.split(',').map(str::trim).any(|tag| tag == "*" || tag == current.0);
        match matches {
            true => Ok(()),
            false => Err(Problem::new(
                StatusCode::PRECONDITION_FAILED,
                "changed",
                format!("it has changed since; its version is {}", current.0),
            )),
        }
    }

    /// As [`Self::allow`], where the header is required.
    ///
    /// # Errors
    /// 428 without the header, 412 for another version.
    pub fn require(&self, current: &ETag) -> Result<(), Problem> {
        match self.0 {
            Some(_) => self.allow(current),
            None => Err(Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "if_match_required",
                "send the version that you have seen as If-Match",
            )),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let all: Result<Vec<_>, _> =
            parts.headers.get_all(header::IF_MATCH).iter().map(HeaderValue::to_str).collect();
        let all = all.map_err(|_| Problem::malformed("If-Match: not readable"))?;
        Ok(Self((!all.is_empty()).then(|| all.join(","))))
    }
}

impl OperationInput for IfMatch {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        super::describe::add_header(operation, "If-Match", "The version that was seen, from `ETag`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_requires_the_current_version() {
        let current = ETag::new(7);
        let of = |text: &str| IfMatch(Some(text.to_owned()));
        for fits in ["\"7\"", "*", "\"6\", \"7\""] {
            assert!(of(fits).require(&current).is_ok(), "{fits}");
        }
        for stale in ["\"6\"", "7", "W/\"7\"", ""] {
            assert_eq!(of(stale).allow(&current).unwrap_err().status.as_u16(), 412, "{stale}");
        }
        assert!(IfMatch(None).allow(&current).is_ok());
        assert_eq!(IfMatch(None).require(&current).unwrap_err().status.as_u16(), 428);
    }
}
