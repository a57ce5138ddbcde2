//! Changes of users, and why one cannot be written.

use rowhouse_db::DbError;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;
use crate::model::Object;

/// Why a user cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Another user has the address.
    #[error("A user with this email address has already been registered")]
    EmailTaken,
    /// Another user has the phone number.
    #[error("A user with this phone number has already been registered")]
    PhoneTaken,
    /// Another user has the id that an administrator gave.
    #[error("User id is already in use")]
    IdTaken,
    /// Anything else.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Maps a unique violation of `auth.users` (SQLSTATE 23505) by the name of its constraint.
pub(super) fn taken(error: tokio_postgres::Error) -> WriteError {
    let error = DbError::from(error);
    match (error.code(), error.constraint()) {
        (Some("23505"), Some("users_email_partial_key")) => WriteError::EmailTaken,
        (Some("23505"), Some("users_phone_key")) => WriteError::PhoneTaken,
        (Some("23505"), Some("users_pkey")) => WriteError::IdTaken,
        _ => WriteError::Fault(error.into()),
    }
}

/// Refuses an address that a user other than `except` has in any case. The unique index, GoTrue's over the exact
/// text, decides between concurrent requests.
pub(crate) async fn require_free(client: &Client, email: &str, except: Uuid) -> Result<(), WriteError> {
    let sql = "select exists (select from auth.users
                 where lower(email) = $1 and is_sso_user = false and deleted_at is null and id <> $2)";
    let taken = client
        .query_typed_one(sql, &[(&email, Type::TEXT), (&except, Type::UUID)])
        .await
        .map_err(Fault::from)?;
    if taken.try_get(0).map_err(Fault::from)? { Err(WriteError::EmailTaken) } else { Ok(()) }
}

/// What to change; `None` leaves a column as it is.
#[derive(Debug, Default)]
pub(crate) struct UserChange {
    pub(crate) email: Option<String>,
    /// An address that has to be confirmed.
    pub(crate) pending_email: Option<String>,
    pub(crate) confirm_email: bool,
    pub(crate) encrypted_password: Option<String>,
    pub(crate) user_metadata: Option<Object>,
    pub(crate) app_metadata: Option<Object>,
    pub(crate) role: Option<String>,
    /// `Some(None)` lifts a ban.
    pub(crate) banned_until: Option<Option<OffsetDateTime>>,
}

/// Applies a change. A new password also lifts a lock, and ends what was begun under the old one: links and codes that were
/// sent, and addresses and numbers that wait to be confirmed (as GoTrue does).
pub(crate) async fn update(
    client: &Client,
    id: Uuid,
    change: &UserChange,
    now: OffsetDateTime,
) -> Result<(), WriteError> {
    let sql = "with person as (
                 update auth.users set
                   email = coalesce($2, email),
                   email_change = case when $2 is not null then '' when $3 is not null then $3
                     when $5::text is not null then '' else email_change end,
                   phone_change = case when $5::text is not null then '' else phone_change end,
                   email_confirmed_at = case when $4 then coalesce(email_confirmed_at, $11) else email_confirmed_at end,
                   encrypted_password = coalesce($5, encrypted_password),
                   raw_user_meta_data = coalesce($6, raw_user_meta_data),
                   raw_app_meta_data = coalesce($7, raw_app_meta_data),
                   role = coalesce($8, role),
                   banned_until = case when $9 then $10 else banned_until end,
                   updated_at = $11
                 where id = $1
               ), letters as (
                 delete from auth.one_time_tokens where user_id = $1 and $5::text is not null
               ), unlocked as (
                 delete from auth.signin_failures where user_id = $1 and $5::text is not null
               )
               update auth.identities set
                 identity_data = identity_data || jsonb_strip_nulls(jsonb_build_object('email', $2,
                   'email_verified', case when $4 then true end)),
                 updated_at = $11
               where user_id = $1 and provider = 'email' and ($2 is not null or $4)";
    let user_metadata = change.user_metadata.as_ref().map(json);
    let app_metadata = change.app_metadata.as_ref().map(json);
    let result = client
        .execute_typed(
            sql,
            &[
                (&id, Type::UUID),
                (&change.email, Type::TEXT),
                (&change.pending_email, Type::TEXT),
                (&change.confirm_email, Type::BOOL),
                (&change.encrypted_password, Type::TEXT),
                (&user_metadata, Type::JSONB),
                (&app_metadata, Type::JSONB),
                (&change.role, Type::TEXT),
                (&change.banned_until.is_some(), Type::BOOL),
                (&change.banned_until.flatten(), Type::TIMESTAMPTZ),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await;
    result.map(|_| ()).map_err(taken)
}

/// Stores the time of a sign-in that checked no password.
pub(crate) async fn note_sign_in_time(client: &Client, id: Uuid, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "update auth.users set last_sign_in_at = $2 where id = $1";
    client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

pub(super) fn json(object: &Object) -> Value {
    Value::Object(object.clone())
}
