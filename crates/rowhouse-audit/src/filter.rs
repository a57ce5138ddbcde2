//! Which entries are asked for.

use rowhouse_kernel::{OrganizationId, TenantId, parse_instant};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// Entries that fit all that is given; texts are compared whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Written at this time or later.
    pub since: Option<OffsetDateTime>,
    /// Written before this time.
    pub until: Option<OffsetDateTime>,
    /// Done by.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// Concerning this organization.
    pub organization: Option<OrganizationId>,
    /// Concerning this tenant.
    pub tenant: Option<TenantId>,
    /// Done to this kind of thing.
    pub target_kind: Option<String>,
    /// Done to the thing with this id.
    pub target_id: Option<String>,
}

impl Filter {
    /// The same for a target as people write it: `user`, or `user:ID`.
    #[must_use]
    pub fn with_target(self, target: Option<&str>) -> Self {
        let (kind, id) = match target.map(|target| target.split_once(':').ok_or(target)) {
            None => return self,
            Some(Ok((kind, id))) => (kind, Some(id.to_owned())),
            Some(Err(kind)) => (kind, None),
        };
        Self { target_kind: Some(kind.to_owned()), target_id: id, ..self }
    }
}

/// A time of RFC 3339, or a day, which is its beginning in UTC.
///
/// # Errors
/// What is expected.
pub fn parse_time(text: &str) -> Result<OffsetDateTime, String> {
    let day = format_description!("[year]-[month]-[day]");
    parse_instant(text)
        .or_else(|| Date::parse(text, day).ok().map(|day| day.midnight().assume_utc()))
        .ok_or_else(|| format!("expected 2026-01-31 or 2026-01-31T12:00:00Z, found \"{text:.40}\""))
}

#[cfg(test)]
mod tests {
    use super::{Filter, parse_time};

    #[test]
    fn time_is_a_moment_or_the_beginning_of_a_day() {
        for (text, seconds) in [
            ("2026-01-31", 1_769_817_600),
            ("2026-01-31T00:00:01Z", 1_769_817_601),
            ("2026-01-31T01:00:00+01:00", 1_769_817_600),
        ] {
            assert_eq!(parse_time(text).unwrap().unix_timestamp(), seconds, "{text}");
        }
        for wrong in ["", "yesterday", "2026-13-01", "2026-01-31T25:00:00Z"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn target_is_a_kind_or_one_thing_whose_id_may_have_colons() {
        let target = |text| {
            let filter = Filter::default().with_target(text);
            (filter.target_kind, filter.target_id)
        };
        assert_eq!(target(None), (None, None));
        assert_eq!(target(Some("user")), (Some("user".to_owned()), None));
        assert_eq!(target(Some("key:a:b")), (Some("key".to_owned()), Some("a:b".to_owned())));
    }
}
