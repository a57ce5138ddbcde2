//! Claims about a user by scope (OpenID Connect Core section 5.4). Name and picture are what users say of themselves.

use serde_json::{Value, json};

use crate::model::{Object, User};
use crate::oauth_scope::{Scope, Scopes};

/// The claims that the scopes allow, without `sub`.
pub(crate) fn claims(user: &User, scopes: &Scopes) -> Object {
    let mut claims = Object::new();
    let mut tell = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    if scopes.has(Scope::Email) && !user.email.is_empty() {
        tell("email", json!(user.email));
        tell("email_verified", json!(user.email_confirmed_at.is_some()));
    }
    if scopes.has(Scope::Phone) && !user.phone.is_empty() {
        tell("phone_number", json!(user.phone));
        tell("phone_number_verified", json!(user.phone_confirmed_at.is_some()));
    }
    if scopes.has(Scope::Profile) {
        let own = [
            ("name", ["name", "full_name"]),
            ("picture", ["picture", "avatar_url"]),
            ("preferred_username", ["preferred_username", "username"]),
        ];
        for (claim, keys) in own {
            if let Some(text) = keys.iter().find_map(|key| text(&user.user_metadata, key)) {
                tell(claim, json!(text));
            }
        }
        tell("updated_at", json!(user.updated_at.unix_timestamp()));
    }
    claims
}

fn text<'a>(metadata: &'a Object, key: &str) -> Option<&'a str> {
    metadata.get(key)?.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_tells_its_claims_only() {
        let user = crate::claims::tests::user();
        let told = |scopes: &str| {
            let claims = claims(&user, &Scopes::parse(scopes).unwrap());
            claims.keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told("openid"), "");
        assert_eq!(told("email"), "email email_verified");
        assert_eq!(told("phone"), "");
        assert_eq!(told("profile"), "name updated_at");
    }
}
