//! Limits of users' metadata. Since changes are merged, the merged result is bounded when it is written; which part
//! goes into a token is decided in `claims.rs`.

use crate::model::Object;

/// Bytes of `user_metadata`, as JSON.
pub(crate) const MAX_USER_METADATA: usize = 256 * 1024;
/// Bytes of `app_metadata`, as JSON: it is part of every access token, and those are sent in headers.
pub(crate) const MAX_APP_METADATA: usize = 4 * 1024;

/// Metadata exceeds its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error("user_metadata may have at most {MAX_USER_METADATA} bytes of JSON in all")]
    User,
    #[error("app_metadata may have at most {MAX_APP_METADATA} bytes of JSON in all")]
    App,
}

/// `after`, if it may replace `before` as user metadata.
pub(crate) fn user(before: usize, after: Object) -> Result<Object, MetadataError> {
    bounded(before, after, MAX_USER_METADATA).ok_or(MetadataError::User)
}

/// `after`, if it may replace `before` as app metadata.
pub(crate) fn app(before: usize, after: Object) -> Result<Object, MetadataError> {
    bounded(before, after, MAX_APP_METADATA).ok_or(MetadataError::App)
}

/// Metadata that already exceeds the bound may shrink.
fn bounded(before: usize, after: Object, max: usize) -> Option<Object> {
    let bytes = size(&after);
    (bytes <= max || bytes < before).then_some(after)
}

/// Bytes of an object as JSON.
pub(crate) fn size(object: &Object) -> usize {
    serde_json::to_vec(object).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(bytes: usize) -> Object {
        let object = json!({ "k": "x".repeat(bytes - r#"{"k":""}"#.len()) }).as_object().unwrap().clone();
        assert_eq!(size(&object), bytes);
        object
    }

    #[test]
    fn metadata_is_accepted_up_to_its_bound() {
        assert!(user(0, object(MAX_USER_METADATA)).is_ok());
        assert_eq!(user(0, object(MAX_USER_METADATA + 1)), Err(MetadataError::User));
        assert!(app(0, object(MAX_APP_METADATA)).is_ok());
        assert_eq!(app(0, object(MAX_APP_METADATA + 1)), Err(MetadataError::App));
    }

    #[test]
    fn oversized_metadata_may_shrink_and_not_grow() {
        assert!(user(400_000, object(399_999)).is_ok());
        assert_eq!(user(400_000, object(400_000)), Err(MetadataError::User));
    }
}
