//! What a list is narrowed to.

use uuid::Uuid;

/// The caller whose own things are listed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own {
    pub(crate) user: Uuid,
    /// The session of the request: of one that is for one tenant nothing else is listed.
    pub(crate) session: Option<Uuid>,
}

/// A part of a list, in the order of ids.
#[derive(Debug, Clone, Default)]
pub(crate) struct Search {
    /// The beginning of a name or slug, in any case, or an id.
    pub(crate) text: Option<String>,
    /// Of this status.
    pub(crate) status: Option<String>,
    /// Behind this id.
    pub(crate) after: Option<Uuid>,
    /// At most so many.
    pub(crate) limit: u32,
}

impl Search {
    /// The text as a pattern of LIKE.
    pub(crate) fn pattern(&self) -> Option<String> {
        let escaped = |text: &String| {
            text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_") + "%"
        };
        self.text.as_ref().map(escaped)
    }

    /// The text as an id.
    pub(crate) fn id(&self) -> Option<Uuid> {
        self.text.as_ref().and_then(|text| text.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_beginning_whatever_it_contains() {
        let search = |text: &str| Search { text: Some(text.to_owned()), ..Search::default() };
        assert_eq!(search("Ac_me%\\").pattern().unwrap(), "ac\\_me\\%\\\\%");
        assert_eq!(search("acme").id(), None);
        let id = Uuid::from_u128(7);
        assert_eq!(search(&id.to_string()).id(), Some(id));
    }
}
