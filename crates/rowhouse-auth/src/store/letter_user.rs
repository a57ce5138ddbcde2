//! What sending letters and confirming them changes in `auth.users`.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::fault::Fault;
use crate::model::Object;
use crate::one_time::{Purpose, Sent, TokenType};
use crate::store::phone_user;
use crate::store::user_change::{WriteError, taken};

/// Stores when a letter was sent.
pub(crate) async fn note_sent(
    client: &Client,
    id: Uuid,
    sent: Sent,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = match (sent.token_type, sent.purpose) {
        (TokenType::Confirmation, Purpose::Invite) => {
            "update auth.users set confirmation_sent_at = $2, invited_at = $2, updated_at = $2 where id = $1"
        }
        (TokenType::Confirmation, _) => {
            "update auth.users set confirmation_sent_at = $2, updated_at = $2 where id = $1"
        }
        (TokenType::Recovery, _) => {
            "update auth.users set recovery_sent_at = $2, updated_at = $2 where id = $1"
        }
        (TokenType::EmailChangeNew | TokenType::EmailChangeCurrent, _) => {
            "update auth.users set email_change_sent_at = $2, email_change_confirm_status = 0, updated_at = $2 where id = $1"
        }
        (TokenType::Reauthentication, _) => {
            "update auth.users set reauthentication_sent_at = $2, updated_at = $2 where id = $1"
        }
        (TokenType::PhoneConfirmation | TokenType::PhoneChange, _) => {
            return phone_user::note_sent(client, id, sent.token_type, now).await;
        }
    };
    client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// Begins the sign-up of an unconfirmed account anew: password and metadata, also of its identity with `provider`, replace
/// those of whoever signed up before.
pub(crate) async fn restart(
    client: &Client,
    (id, provider): (Uuid, &str),
    encrypted_password: Option<&str>,
    user_metadata: &Object,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "with person as (
                 update auth.users set encrypted_password = coalesce($2, ''), raw_user_meta_data = $3, updated_at = $4
                 where id = $1
               ), unlocked as (
                 delete from auth.signin_failures where user_id = $1
               )
               update auth.identities set identity_data = $3, updated_at = $4 where user_id = $1 and provider = $5";
    let metadata = serde_json::Value::Object(user_metadata.clone());
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&id, Type::UUID),
        (&encrypted_password, Type::TEXT),
        (&metadata, Type::JSONB),
        (&now, Type::TIMESTAMPTZ),
        (&provider, Type::TEXT),
    ];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Takes the password from an account, if it has one.
pub(crate) async fn drop_password(client: &Client, id: Uuid, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "update auth.users set encrypted_password = '', updated_at = $2 where id = $1 and encrypted_password <> ''";
    client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// Confirms the account's address. `keeps_password` is false where whoever set the password has not been shown to own
/// the address.
pub(crate) async fn confirm(
    client: &Client,
    id: Uuid,
    keeps_password: bool,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "with person as (
                 update auth.users set email_confirmed_at = $3, updated_at = $3,
                   encrypted_password = case when $2 then encrypted_password else '' end,
                   raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{\"email_verified\": true}'
                 where id = $1 and email_confirmed_at is null
                 returning id, email
               )
               update auth.identities i set identity_data = i.identity_data || '{\"email_verified\": true}', updated_at = $3
               from person where i.user_id = person.id and i.email = lower(person.email)";
    client
        .execute_typed(sql, &[(&id, Type::UUID), (&keeps_password, Type::BOOL), (&now, Type::TIMESTAMPTZ)])
        .await?;
    Ok(())
}

/// Whether one of two owners has confirmed a change of the address.
pub(crate) async fn is_half_confirmed(client: &Client, id: Uuid) -> Result<bool, Fault> {
    let sql = "select exists (select from auth.users where id = $1 and email_change_confirm_status = 1)";
    Ok(client.query_typed_one(sql, &[(&id, Type::UUID)]).await?.try_get(0)?)
}

/// Stores that one of two owners has confirmed a change of the address. False if one had before.
pub(crate) async fn confirm_half(client: &Client, id: Uuid, now: OffsetDateTime) -> Result<bool, Fault> {
    let sql = "update auth.users set email_change_confirm_status = 1, updated_at = $2
               where id = $1 and email_change_confirm_status = 0";
    Ok(client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await? == 1)
}

/// Makes the pending address the account's, and that of its e-mail identity, which it gets if it had none; an anonymous
/// user becomes a permanent one.
pub(crate) async fn apply_email_change(
    client: &Client,
    id: Uuid,
    identity: Uuid,
    now: OffsetDateTime,
) -> Result<(), WriteError> {
    let sql = "with person as (
                 update auth.users set email = email_change, email_change = '', email_change_confirm_status = 0,
                   email_confirmed_at = coalesce(email_confirmed_at, $3), is_anonymous = false, updated_at = $3,
                   raw_user_meta_data = coalesce(raw_user_meta_data, '{}') || '{\"email_verified\": true}',
                   raw_app_meta_data = coalesce(raw_app_meta_data, '{}') || jsonb_build_object(
                     'provider', coalesce(raw_app_meta_data ->> 'provider', 'email'),
                     'providers', coalesce(raw_app_meta_data -> 'providers', '[]') ||
                       case when coalesce(raw_app_meta_data -> 'providers', '[]') ? 'email' then '[]' else '[\"email\"]' end::jsonb)
                 where id = $1 and email_change <> ''
                 returning id, email
               ), changed as (
                 update auth.identities i set updated_at = $3,
                   identity_data = i.identity_data || jsonb_build_object('email', person.email, 'email_verified', true)
                 from person where i.user_id = person.id and i.provider = 'email'
                 returning i.user_id
               )
               insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
               select $2, id, id, jsonb_build_object('sub', id, 'email', email, 'email_verified', true, 'phone_verified', false),
                 'email', $3, $3, $3
               from person where id not in (select user_id from changed)";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&id, Type::UUID), (&identity, Type::UUID), (&now, Type::TIMESTAMPTZ)];
    client.execute_typed(sql, &parameters).await.map(|_| ()).map_err(taken)
}

/// Writes into the audit log that somebody signed up with the address of an account.
pub(crate) async fn audit_repeated_sign_up(client: &Client, id: Uuid) -> Result<(), Fault> {
    let sql =
        "select auth.audit_repeated('user_repeated_signup', u.id, jsonb_build_object('log_type', 'user',
                 'traits', jsonb_build_object('user_id', u.id, 'user_email', u.email)))
               from auth.users u where u.id = $1";
    client.execute_typed(sql, &[(&id, Type::UUID)]).await?;
    Ok(())
}
