//! The language of letters and pages: the user's choice, or what the client prefers.

use crate::model::Object;

/// Keys of user metadata that may hold it.
const LANGUAGE_KEYS: [&str; 2] = ["language", "lang"];
/// Longest language tag, in bytes.
const LONGEST_LANGUAGE: usize = 35;

/// The language that the user has chosen. It only names a template, so it may come from the user.
pub(crate) fn chosen(user_metadata: &Object) -> Option<&str> {
    let chosen = LANGUAGE_KEYS.iter().find_map(|key| user_metadata.get(*key)?.as_str());
    chosen.filter(|language| !language.is_empty() && language.len() <= LONGEST_LANGUAGE)
}

/// The language that an Accept-Language header prefers (RFC 9110 section 12.5.4).
pub(crate) fn preferred(header: &str) -> Option<String> {
    let weighed = header.split(',').filter_map(|part| {
        let (tag, weight) = part.split_once(';').unwrap_or((part, "q=1"));
        let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
        let tag = tag.trim();
        (weight > 0.0 && !tag.is_empty() && tag != "*" && tag.len() <= LONGEST_LANGUAGE)
            .then_some((tag, weight))
    });
    let best = weighed.fold(None, |best: Option<(&str, f32)>, next| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ => Some(next),
    });
    best.map(|(tag, _)| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn preferred_language_has_the_highest_weight() {
        assert_eq!(preferred("de-AT,de;q=0.9,en;q=0.8").as_deref(), Some("de-AT"));
        assert_eq!(preferred("en;q=0.5, de").as_deref(), Some("de"));
        assert_eq!(preferred("fr;q=0, *;q=0.5"), None);
        assert_eq!(preferred("de;q=much"), None);
        assert_eq!(preferred(""), None);
    }

    #[test]
    fn language_of_the_user_is_a_short_text() {
        let object = |value: serde_json::Value| value.as_object().cloned().unwrap();
        assert_eq!(chosen(&object(json!({ "lang": "de" }))), Some("de"));
        assert_eq!(chosen(&object(json!({ "language": 5 }))), None);
        assert_eq!(chosen(&object(json!({ "language": "x".repeat(36) }))), None);
    }
}
