//! Users, identities and sessions as clients see them: GoTrue's JSON, field for field.

use rowhouse_kernel::Secret;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::serde::rfc3339;
use uuid::Uuid;

use crate::policy::WeakPassword;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// A user; read from the JSON that the user query makes. Null columns are empty strings where GoTrue has them so.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) aud: String,
    pub(crate) role: String,
    pub(crate) email: String,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) email_confirmed_at: Option<OffsetDateTime>,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) invited_at: Option<OffsetDateTime>,
    pub(crate) phone: String,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) phone_confirmed_at: Option<OffsetDateTime>,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) confirmation_sent_at: Option<OffsetDateTime>,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) confirmed_at: Option<OffsetDateTime>,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) recovery_sent_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) new_email: String,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) email_change_sent_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) new_phone: String,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) phone_change_sent_at: Option<OffsetDateTime>,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) reauthentication_sent_at: Option<OffsetDateTime>,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) last_sign_in_at: Option<OffsetDateTime>,
    #[serde(deserialize_with = "object")]
    pub(crate) app_metadata: Object,
    #[serde(deserialize_with = "object")]
    pub(crate) user_metadata: Object,
    /// Second factors; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) factors: Vec<Factor>,
    pub(crate) identities: Vec<Identity>,
    #[serde(deserialize_with = "instant::required", serialize_with = "rfc3339::serialize")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(deserialize_with = "instant::required", serialize_with = "rfc3339::serialize")]
    pub(crate) updated_at: OffsetDateTime,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) banned_until: Option<OffsetDateTime>,
    #[serde(with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) deleted_at: Option<OffsetDateTime>,
    pub(crate) is_anonymous: bool,
}

impl User {
    /// True while a ban lasts.
    pub(crate) fn is_banned(&self, now: OffsetDateTime) -> bool {
        self.banned_until.is_some_and(|until| until > now)
    }

    /// Whether a second factor was verified.
    pub(crate) fn has_second_factor(&self) -> bool {
        self.factors.iter().any(Factor::is_verified)
    }

    /// True once an address or number is confirmed.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed_at.is_some()
    }
}

/// A user's identity at a provider; read from the JSON that the user query aggregates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) identity_id: Uuid,
    /// The user's id at the provider.
    pub(crate) id: String,
    pub(crate) user_id: Uuid,
    pub(crate) identity_data: Object,
    pub(crate) provider: String,
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) last_sign_in_at: Option<OffsetDateTime>,
    #[serde(default, with = "instant")]
    pub(crate) created_at: Option<OffsetDateTime>,
    #[serde(default, with = "instant")]
    pub(crate) updated_at: Option<OffsetDateTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
}

/// A second factor of a user; read from the JSON that the user query aggregates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Factor {
    pub(crate) id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) friendly_name: Option<String>,
    pub(crate) factor_type: String,
    /// `unverified` or `verified`.
    pub(crate) status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) phone: Option<String>,
    #[serde(default, with = "instant", skip_serializing_if = "Option::is_none")]
    pub(crate) last_challenged_at: Option<OffsetDateTime>,
    #[serde(default, with = "instant")]
    pub(crate) created_at: Option<OffsetDateTime>,
    #[serde(default, with = "instant")]
    pub(crate) updated_at: Option<OffsetDateTime>,
}

impl Factor {
    pub(crate) fn is_verified(&self) -> bool {
        self.status == "verified"
    }
}

/// Metadata that hand-written SQL may have left null, or made something else than an object.
fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Object(object) => Ok(object),
        _ => Ok(Object::new()),
    }
}

/// Instants in RFC 3339. PostgreSQL writes them in the session's time zone; clients get UTC.
pub(crate) mod instant {
    use serde::Deserializer;
    use serde::de::Error;
    use time::serde::rfc3339;
    use time::{OffsetDateTime, UtcOffset};

    pub(crate) use rfc3339::option::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<OffsetDateTime>, D::Error> {
        rfc3339::option::deserialize(deserializer)?.map(in_utc).transpose()
    }

    pub(crate) fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
        in_utc(rfc3339::deserialize(deserializer)?)
    }

    fn in_utc<E: Error>(at: OffsetDateTime) -> Result<OffsetDateTime, E> {
        at.checked_to_offset(UtcOffset::UTC).ok_or_else(|| E::custom("an instant beyond the years of UTC"))
    }
}

/// A session as returned to clients.
#[derive(Debug, Serialize)]
pub(crate) struct Session {
    pub(crate) access_token: String,
    pub(crate) token_type: &'static str,
    /// Seconds.
    pub(crate) expires_in: u64,
    /// Seconds since 1970.
    pub(crate) expires_at: i64,
    pub(crate) refresh_token: String,
    pub(crate) user: User,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weak_password: Option<WeakPassword>,
    /// Tokens of the provider that has authenticated the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider_refresh_token: Option<String>,
    /// For response headers.
    #[serde(skip)]
    pub(crate) refresh_counter: i64,
    #[serde(skip)]
    pub(crate) session_id: Uuid,
}

impl Session {
    /// The same with the tokens of the provider.
    pub(crate) fn with_provider_tokens(self, access: Option<Secret>, refresh: Option<Secret>) -> Self {
        let plain = |secret: Option<Secret>| secret.map(|secret| secret.expose().to_owned());
        Self { provider_token: plain(access), provider_refresh_token: plain(refresh), ..self }
    }
}
