//! What numbers and their confirmation change in `auth.users` and `auth.identities`.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::fault::Fault;
use crate::one_time::TokenType;
use crate::store::user_change::{WriteError, taken};

/// Refuses a number that a user other than `except` has.
pub(crate) async fn require_free(client: &Client, phone: &str, except: Uuid) -> Result<(), WriteError> {
    let sql = "select exists (select from auth.users where phone = $1 and id <> $2)";
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&phone, Type::TEXT), (&except, Type::UUID)];
    let taken = client.query_typed_one(sql, &parameters).await.map_err(Fault::from)?;
    if taken.try_get(0).map_err(Fault::from)? { Err(WriteError::PhoneTaken) } else { Ok(()) }
}

/// Stores when a code was sent.
pub(crate) async fn note_sent(
    client: &Client,
    id: Uuid,
    token_type: TokenType,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = match token_type {
        TokenType::PhoneChange => {
            "update auth.users set phone_change_sent_at = $2, updated_at = $2 where id = $1"
        }
        TokenType::Reauthentication => {
            "update auth.users set reauthentication_sent_at = $2, updated_at = $2 where id = $1"
        }
        _ => "update auth.users set confirmation_sent_at = $2, updated_at = $2 where id = $1",
    };
    client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// Confirms the account's number. `keeps_password` is false where whoever set the password has not been shown to own the
/// number.
pub(crate) async fn confirm(
    client: &Client,
    id: Uuid,
    keeps_password: bool,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "with person as (
                 update auth.users set phone_confirmed_at = $3, updated_at = $3,
                   encrypted_password = case when $2 then encrypted_password else '' end,
                   raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{\"phone_verified\": true}'
                 where id = $1 and phone is not null and phone_confirmed_at is null
                 returning id
               )
               update auth.identities i set identity_data = i.identity_data || '{\"phone_verified\": true}', updated_at = $3
               from person where i.user_id = person.id and i.provider = 'phone'";
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&id, Type::UUID), (&keeps_password, Type::BOOL), (&now, Type::TIMESTAMPTZ)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Stores a number that has to be confirmed.
pub(crate) async fn set_pending(
    client: &Client,
    id: Uuid,
    phone: &str,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "update auth.users set phone_change = $2, updated_at = $3 where id = $1";
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&id, Type::UUID), (&phone, Type::TEXT), (&now, Type::TIMESTAMPTZ)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// A number to be given to an account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewPhone<'a> {
    pub(crate) phone: &'a str,
    pub(crate) is_confirmed: bool,
    /// Of the identity of the provider `phone`, if there is none yet.
    pub(crate) identity: Uuid,
}

/// Gives an account a number, and its identity of the provider `phone`, too; with a confirmed one an anonymous user becomes
/// a permanent one.
pub(crate) async fn set(
    client: &Client,
    id: Uuid,
    new: NewPhone<'_>,
    now: OffsetDateTime,
) -> Result<(), WriteError> {
    let sql = "with person as (
                 update auth.users set phone = $2, phone_change = '',
                   phone_confirmed_at = case when $3 then coalesce(phone_confirmed_at, $5) else phone_confirmed_at end,
                   is_anonymous = is_anonymous and not $3, updated_at = $5,
                   raw_user_meta_data = coalesce(raw_user_meta_data, '{}') ||
                     case when $3 then '{\"phone_verified\": true}' else '{}' end::jsonb,
                   raw_app_meta_data = coalesce(raw_app_meta_data, '{}') || jsonb_build_object(
                     'provider', coalesce(raw_app_meta_data ->> 'provider', 'phone'),
                     'providers', coalesce(raw_app_meta_data -> 'providers', '[]') ||
                       case when coalesce(raw_app_meta_data -> 'providers', '[]') ? 'phone' then '[]' else '[\"phone\"]' end::jsonb)
                 where id = $1
                 returning id, phone
               ), changed as (
                 update auth.identities i set updated_at = $5,
                   identity_data = i.identity_data || jsonb_build_object('phone', person.phone, 'phone_verified', $3)
                 from person where i.user_id = person.id and i.provider = 'phone'
                 returning i.user_id
               )
               insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
               select $4, id, id, jsonb_build_object('sub', id, 'phone', phone, 'email_verified', false, 'phone_verified', $3),
                 'phone', $5, $5, $5
               from person where id not in (select user_id from changed)";
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&id, Type::UUID),
        (&new.phone, Type::TEXT),
        (&new.is_confirmed, Type::BOOL),
        (&new.identity, Type::UUID),
        (&now, Type::TIMESTAMPTZ),
    ];
    client.execute_typed(sql, &parameters).await.map(|_| ()).map_err(taken)
}
