//! Claims about the user for an application (OpenID Connect Core section 5.3).

use serde_json::{Value, json};

use crate::Auth;
use crate::flow::account::{self, AccountError};
use crate::model::{Object, User};
use crate::oauth::profile;
use crate::oauth_scope::{Scope, Scopes};
use crate::request::{AnySignedIn, Client};

/// The claims that the token's scopes allow; of a token of the user's own only `sub`.
pub(crate) async fn find(auth: &Auth, caller: AnySignedIn, client: &Client) -> Result<Object, AccountError> {
    let user = account::get(auth, caller.caller, client).await?;
    let scopes = Scopes::of_stored(caller.scope.as_deref().unwrap_or_default());
    let mut claims = profile::claims(&user, &scopes);
    claims.insert("sub".to_owned(), json!(user.id));
    claims.extend(of_gotrue(user, &scopes));
    Ok(claims)
}

/// What an application sees of the user object with these scopes.
pub(crate) fn limited(user: User, scopes: &Scopes) -> User {
    let (email, phone) = (scopes.has(Scope::Email), scopes.has(Scope::Phone));
    let text = |is_shown: bool, text: String| if is_shown { text } else { String::new() };
    User {
        email: text(email, user.email),
        email_confirmed_at: user.email_confirmed_at.filter(|_| email),
        phone: text(phone, user.phone),
        phone_confirmed_at: user.phone_confirmed_at.filter(|_| phone),
        user_metadata: if scopes.has(Scope::Profile) { user.user_metadata } else { Object::new() },
        new_email: String::new(),
        new_phone: String::new(),
        factors: Vec::new(),
        identities: Vec::new(),
        ..user
    }
}

/// Names that GoTrue has beside those of the specification.
fn of_gotrue(user: User, scopes: &Scopes) -> Object {
    let mut claims = Object::new();
    if scopes.has(Scope::Phone) && !user.phone.is_empty() {
        claims.insert("phone".to_owned(), json!(user.phone));
        claims.insert("phone_verified".to_owned(), json!(user.phone_confirmed_at.is_some()));
    }
    if scopes.has(Scope::Profile) {
        claims.insert("user_metadata".to_owned(), Value::Object(user.user_metadata));
    }
    claims
}
