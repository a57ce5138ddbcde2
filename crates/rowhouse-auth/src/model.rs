//! Users, identities and sessions as clients see them: GoTrue's JSON, field for field.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use time::serde::rfc3339;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::policy::WeakPassword;

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// A user. Null columns are empty strings where GoTrue has them so.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) aud: String,
    pub(crate) role: String,
    pub(crate) email: String,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) email_confirmed_at: Option<OffsetDateTime>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) invited_at: Option<OffsetDateTime>,
    pub(crate) phone: String,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) phone_confirmed_at: Option<OffsetDateTime>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) confirmation_sent_at: Option<OffsetDateTime>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) confirmed_at: Option<OffsetDateTime>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) recovery_sent_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) new_email: String,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) email_change_sent_at: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) new_phone: String,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) phone_change_sent_at: Option<OffsetDateTime>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) reauthentication_sent_at: Option<OffsetDateTime>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) last_sign_in_at: Option<OffsetDateTime>,
    pub(crate) app_metadata: Object,
    pub(crate) user_metadata: Object,
    /// Second factors; left out if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) factors: Vec<Factor>,
    pub(crate) identities: Vec<Identity>,
    #[serde(with = "rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) banned_until: Option<OffsetDateTime>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub(crate) deleted_at: Option<OffsetDateTime>,
    pub(crate) is_anonymous: bool,
}

impl User {
    /// True while a ban lasts.
    pub(crate) fn is_banned(&self, now: OffsetDateTime) -> bool {
        self.banned_until.is_some_and(|until| until > now)
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
    #[serde(
        default,
        deserialize_with = "utc",
        serialize_with = "rfc3339::option::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) last_sign_in_at: Option<OffsetDateTime>,
    #[serde(default, deserialize_with = "utc", serialize_with = "rfc3339::option::serialize")]
    pub(crate) created_at: Option<OffsetDateTime>,
    #[serde(default, deserialize_with = "utc", serialize_with = "rfc3339::option::serialize")]
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
    #[serde(
        default,
        deserialize_with = "utc",
        serialize_with = "rfc3339::option::serialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub(crate) last_challenged_at: Option<OffsetDateTime>,
    #[serde(default, deserialize_with = "utc", serialize_with = "rfc3339::option::serialize")]
    pub(crate) created_at: Option<OffsetDateTime>,
    #[serde(default, deserialize_with = "utc", serialize_with = "rfc3339::option::serialize")]
    pub(crate) updated_at: Option<OffsetDateTime>,
}

impl Factor {
    pub(crate) fn is_verified(&self) -> bool {
        self.status == "verified"
    }
}

/// PostgreSQL writes instants in the session's time zone; clients get UTC.
fn utc<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
    Ok(rfc3339::option::deserialize(deserializer)?.map(|at| at.to_offset(UtcOffset::UTC)))
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
    /// For response headers.
    #[serde(skip)]
    pub(crate) refresh_counter: i64,
    #[serde(skip)]
    pub(crate) session_id: Uuid,
}
