//! What users are searched by, as SQL. Values are bound; which conditions there are depends on what is asked for, since a
//! condition that may not count keeps the planner from the indexes.
//! Leaves how a page of them is read to `page`.

mod page;

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

/// Conditions on `u`, a row of `auth.users`, with the values of $1 to $7: they outlive the statement's parameters.
#[derive(Debug)]
pub(crate) struct Fit {
    /// Any of these, each with an index of its own; empty for everybody.
    kinds: Vec<&'static str>,
    /// All of these.
    among: Vec<String>,
    id: Option<Uuid>,
    email: Option<String>,
    phone: Option<String>,
    words: Option<String>,
    tenant: Option<Uuid>,
    organization: Option<Uuid>,
    part: Option<String>,
}

/// What is cheap to ask of a name before its words are read: a letter beyond ASCII may be written in several ways.
const MAY_HAVE_WORDS: &str = "(select position($7 in lower(n.name)) > 0 or octet_length(n.name) > length(n.name)
   from (select coalesce(u.raw_user_meta_data ->> 'full_name', u.raw_user_meta_data ->> 'name', '')) n (name))";
const HAS_WORDS: &str = "operators.words(u.raw_user_meta_data) @@ to_tsquery('simple', $4)";

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

    /// As conditions, with the parameters $1 to $7.
    pub(crate) fn fit(&self) -> Fit {
        let text = self.q.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let id: Option<Uuid> = text.and_then(|text| text.parse().ok());
        let text = text.filter(|_| id.is_none());
        let digits = text.map(|text| text.trim_start_matches('+').replace([' ', '-'], ""));
        let phone = digits.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        let words = text.and_then(words);
        let kinds = [
            id.map(|_| "u.id = $1"),
            text.map(|_| "lower(u.email) like $2"),
            phone.as_ref().map(|_| "u.phone like $3"),
            words.as_ref().map(|_| HAS_WORDS),
        ];
        let among = [
            self.status.map(|status| status.condition().to_owned()),
            self.tenant.map(|_| {
                "exists (select from tenancy.memberships m where m.tenant_id = $5 and m.user_id = u.id)".to_owned()
            }),
            self.organization.map(|_| {
                "exists (select from tenancy.organization_members m where m.organization_id = $6 and m.user_id = u.id)".to_owned()
            }),
        ];
        Fit {
            kinds: kinds.into_iter().flatten().collect(),
            among: among.into_iter().flatten().collect(),
            id,
            email: text.map(beginning),
            phone: phone.as_deref().map(beginning),
            words,
            tenant: self.tenant,
            organization: self.organization,
            part: text.map(part),
        }
    }
}

impl Fit {
    /// All of it as one condition.
    pub(crate) fn condition(&self) -> String {
        let any: Vec<String> = self.kinds.iter().map(|kind| cheapest(kind)).collect();
        let any = (!any.is_empty()).then(|| format!("({})", any.join(" or ")));
        self.all(any.as_deref())
    }

    /// Every parameter is named, so that each has a type.
    fn all(&self, first: Option<&str>) -> String {
        let typed = "num_nulls($1::uuid, $2::text, $3::text, $4::text, $5::uuid, $6::uuid, $7::text) >= 0";
        let among = self.among.iter().map(String::as_str);
        first.into_iter().chain(among).chain([typed]).collect::<Vec<_>>().join(" and ")
    }

    pub(crate) fn parameters(&self) -> Vec<Bound<'_>> {
        vec![
            (&self.id, Type::UUID),
            (&self.email, Type::TEXT),
            (&self.phone, Type::TEXT),
            (&self.words, Type::TEXT),
            (&self.tenant, Type::UUID),
            (&self.organization, Type::UUID),
            (&self.part, Type::TEXT),
        ]
    }
}

/// A condition of a kind where rows are read one by one.
fn cheapest(kind: &str) -> String {
    if kind == HAS_WORDS { format!("({MAY_HAVE_WORDS} and {kind})") } else { kind.to_owned() }
}

/// What a name in ASCII contains if it has the words: the first that is in ASCII, too.
fn part(text: &str) -> String {
    let mut words = text.split(|letter: char| !letter.is_alphanumeric());
    words.find(|word| !word.is_empty() && word.is_ascii()).unwrap_or_default().to_lowercase()
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
        assert!(all.is_empty() && all.fit().condition().starts_with("num_nulls"));
        let status = UserStatus::parse("suspended");
        let some = Filter { status, tenant: Some(Uuid::nil()), ..Filter::default() };
        let condition = some.fit().condition();
        assert!(
            condition.contains("banned_until > now()") && condition.contains("memberships"),
            "{condition}"
        );
        assert!(!condition.contains("like") && !condition.contains("organization_members"), "{condition}");
        assert_eq!((part("Ada O'Hara").as_str(), part("Ågot ÅSE").as_str()), ("ada", ""));
        assert!(Filter { q: Some("x".repeat(201)), ..Filter::default() }.mistake().is_some());
    }
}
