//! What a provider says of a person. Only known claims are kept, each bounded: nothing of them decides about access.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::Object;
use crate::policy;

/// Longest value that is kept, in bytes of JSON.
const LONGEST_VALUE: usize = 2048;
/// Claims of OpenID Connect Core section 5.1 that are kept, and those that GoTrue adds.
const KEPT: [&str; 22] = [
    "iss",
    "sub",
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
    "phone",
    "full_name",
    "avatar_url",
    "slug",
    "provider_id",
    "user_name",
];

/// How a provider's claims become a profile.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// The claim that says whether the address is verified. `email` itself: whoever has one is trusted with it.
    pub(crate) verified: &'static str,
    /// Further names for the provider's claims: (ours, theirs).
    pub(crate) mapping: Vec<(String, String)>,
    /// Claims that are kept under `custom_claims`.
    pub(crate) custom: Vec<String>,
}

impl Default for Shape {
    fn default() -> Self {
        Self { verified: "email_verified", mapping: Vec::new(), custom: Vec::new() }
    }
}

/// A person at a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// The person's id there.
    pub(crate) subject: String,
    /// Lower case; none if there is none, or it is malformed.
    pub(crate) email: Option<String>,
    pub(crate) is_verified: bool,
    /// For `identity_data` and user metadata.
    pub(crate) data: Object,
}

impl Profile {
    /// GitHub's names.
    pub(super) const GITHUB: [(&'static str, &'static str); 4] =
        [("sub", "id"), ("preferred_username", "login"), ("user_name", "login"), ("picture", "avatar_url")];

    /// From claims; `None` without a `sub`.
    pub(crate) fn of(mut claims: Object, shape: &Shape) -> Option<Self> {
        let custom = chosen(&claims, shape.custom.iter().map(String::as_str));
        let is_verified = is_true(claims.get(shape.verified)) || shape.verified == "email";
        let mapped: Vec<_> = shape
            .mapping
            .iter()
            .filter_map(|(to, from)| Some((to.clone(), claims.get(from)?.clone())))
            .collect();
        claims.extend(mapped);
        let subject = match claims.get("sub")? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let email = claims.get("email").and_then(Value::as_str).and_then(|text| policy::email(text).ok());
        let mut data = chosen(&claims, KEPT.into_iter());
        complete(&mut data, &subject);
        data.insert("email_verified".to_owned(), json!(is_verified && email.is_some()));
        data.insert("phone_verified".to_owned(), json!(false));
        if let Some(email) = &email {
            data.insert("email".to_owned(), json!(email));
        }
        if !custom.is_empty() {
            data.insert("custom_claims".to_owned(), Value::Object(custom));
        }
        Some(Self { is_verified: is_verified && email.is_some(), subject, email, data })
            .filter(|profile| !profile.subject.is_empty())
    }

    /// The name that Apple's first answer has beside the token.
    pub(crate) fn set_name(&mut self, name: &str) {
        for key in ["name", "full_name"] {
            self.data.insert(key.to_owned(), name.chars().take(200).collect::<String>().into());
        }
    }
}

/// GoTrue's second names.
fn complete(data: &mut Object, subject: &str) {
    data.insert("sub".to_owned(), json!(subject));
    data.insert("provider_id".to_owned(), json!(subject));
    for (to, from) in [("full_name", "name"), ("avatar_url", "picture")] {
        if let (None, Some(value)) = (data.get(to), data.get(from).cloned()) {
            data.insert(to.to_owned(), value);
        }
    }
}

fn chosen<'a>(claims: &Object, names: impl Iterator<Item = &'a str>) -> Object {
    let kept = names.filter_map(|name| Some((name, claims.get(name)?)));
    let kept = kept.filter(|(_, value)| !value.is_null() && value.to_string().len() <= LONGEST_VALUE);
    kept.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

/// Some providers write the truth as text.
fn is_true(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Bool(truth)) => *truth,
        Some(Value::String(text)) => matches!(text.as_str(), "true" | "1"),
        Some(Value::Number(number)) => number.as_u64() == Some(1),
        _ => false,
    }
}
