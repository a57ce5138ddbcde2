//! What users are searched by, as a condition of SQL. Values are bound; which conditions there are depends on what is asked
//! for, since a condition that may not count keeps the planner from the indexes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Bound;

/// How an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UserStatus {
    Active,
    /// Suspended by an operator, or banned over `/auth/v1/admin`.
    Suspended,
    /// Deleted softly.
    Deleted,
}

impl UserStatus {
    pub(crate) const NAMES: [&str; 3] = ["active", "suspended", "deleted"];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Deleted]
            .into_iter()
            .zip(Self::NAMES)
            .find_map(|(status, known)| (known == name).then_some(status))
    }

    const fn condition(self) -> &'static str {
        match self {
            Self::Active => "u.deleted_at is null and (u.banned_until is null or u.banned_until <= now())",
            Self::Suspended => "u.deleted_at is null and u.banned_until > now()",
            Self::Deleted => "u.deleted_at is not null",
        }
    }
}

/// Whom to look for; all of it has to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    /// The beginning of an address or a number, beginnings of words of the name, or an id.
    #[schemars(length(max = 200))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) q: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<UserStatus>,
    /// Members of this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<Uuid>,
    /// Members of this organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) organization: Option<Uuid>,
}

/// Values of the condition: they outlive the statement's parameters.
#[derive(Debug)]
pub(crate) struct Fit {
    condition: String,
    id: Option<Uuid>,
    email: Option<String>,
    phone: Option<String>,
    words: Option<String>,
    tenant: Option<Uuid>,
    organization: Option<Uuid>,
}

/// Longest text that is searched for, in bytes.
const MAX_TEXT: usize = 200;

impl Filter {
    /// Whether it finds everybody.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Why it cannot be searched for.
    pub(crate) fn mistake(&self) -> Option<String> {
        let is_long = self.q.as_ref().is_some_and(|text| text.len() > MAX_TEXT);
        is_long.then(|| format!("q: at most {MAX_TEXT} bytes"))
    }

    /// As a condition on `u`, a row of `auth.users`, with the parameters $1 to $6.
    pub(crate) fn fit(&self) -> Fit {
        let text = self.q.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let id: Option<Uuid> = text.and_then(|text| text.parse().ok());
        let text = text.filter(|_| id.is_none());
        let digits = text.map(|text| text.trim_start_matches('+').replace([' ', '-'], ""));
        let phone = digits.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        let words = text.and_then(words);
        let found = [
            id.map(|_| "u.id = $1"),
            text.map(|_| "lower(u.email) like $2"),
            phone.as_ref().map(|_| "u.phone like $3"),
            words.as_ref().map(|_| "operators.words(u.raw_user_meta_data) @@ to_tsquery('simple', $4)"),
        ];
        let found: Vec<&str> = found.into_iter().flatten().collect();
        let among = [
            (!found.is_empty()).then(|| format!("({})", found.join(" or "))),
            self.status.map(|status| status.condition().to_owned()),
            self.tenant.map(|_| {
                "exists (select from tenancy.memberships m where m.tenant_id = $5 and m.user_id = u.id)".to_owned()
            }),
            self.organization.map(|_| {
                "exists (select from tenancy.organization_members m where m.organization_id = $6 and m.user_id = u.id)".to_owned()
            }),
        ];
        let among: Vec<String> = among.into_iter().flatten().collect();
        let condition = if among.is_empty() { "true".to_owned() } else { among.join(" and ") };
        Fit {
            // Every parameter is named, so that each has a type.
            condition: format!(
                "{condition} and num_nulls($1::uuid, $2::text, $3::text, $4::text, $5::uuid, $6::uuid) >= 0"
            ),
            id,
            email: text.map(beginning),
            phone: phone.as_deref().map(beginning),
            words,
            tenant: self.tenant,
            organization: self.organization,
        }
    }
}

impl Fit {
    pub(crate) fn condition(&self) -> &str {
        &self.condition
    }

    pub(crate) fn parameters(&self) -> Vec<Bound<'_>> {
        vec![
            (&self.id, Type::UUID),
            (&self.email, Type::TEXT),
            (&self.phone, Type::TEXT),
            (&self.words, Type::TEXT),
            (&self.tenant, Type::UUID),
            (&self.organization, Type::UUID),
        ]
    }
}

/// A pattern of LIKE, in lower case.
fn beginning(text: &str) -> String {
    text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_") + "%"
}

/// Beginnings of words as a `tsquery`, all of which have to be there; `None` without a letter or digit.
fn words(text: &str) -> Option<String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(|word| format!("'{word}':*")).collect();
    (!words.is_empty()).then(|| words.join(" & "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(text: &str) -> Fit {
        Filter { q: Some(text.to_owned()), ..Filter::default() }.fit()
    }

    #[test]
    fn text_is_taken_for_what_it_can_be() {
        let id = Uuid::from_u128(7);
        let found = fit(&format!(" {id} "));
        assert_eq!((found.id, found.email, found.words), (Some(id), None, None));
        let found = fit("Ada_L");
        assert_eq!((found.email.as_deref(), found.phone), (Some("ada\\_l%"), None));
        let found = fit("+49 151-2");
        assert_eq!(found.phone.as_deref(), Some("491512%"));
        assert_eq!(words("Ada O'Hara & ':*").as_deref(), Some("'Ada':* & 'O':* & 'Hara':*"));
        assert_eq!(words("%_ !"), None);
    }

    #[test]
    fn conditions_are_those_that_count() {
        let all = Filter::default();
        assert!(all.is_empty() && all.fit().condition().starts_with("true and"));
        let status = UserStatus::parse("suspended");
        let some = Filter { status, tenant: Some(Uuid::nil()), ..Filter::default() };
        let condition = some.fit().condition().to_owned();
        assert!(
            condition.contains("banned_until > now()") && condition.contains("memberships"),
            "{condition}"
        );
        assert!(!condition.contains("like") && !condition.contains("organization_members"), "{condition}");
        assert!(Filter { q: Some("x".repeat(201)), ..Filter::default() }.mistake().is_some());
    }
}
