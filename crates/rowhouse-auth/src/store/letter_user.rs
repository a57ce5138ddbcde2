//! What sending letters and confirming them changes in `auth.users`.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;
use crate::model::Object;
use crate::one_time::{Purpose, Sent, TokenType};

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
    };
    client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// Begins the sign-up of an unconfirmed account anew: password and metadata replace those of whoever signed up before.
pub(crate) async fn restart(
    client: &Client,
    id: Uuid,
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
               update auth.identities set identity_data = $3, updated_at = $4 where user_id = $1 and provider = 'email'";
    client
        .execute_typed(
            sql,
            &[
                (&id, Type::UUID),
                (&encrypted_password, Type::TEXT),
                (&serde_json::Value::Object(user_metadata.clone()), Type::JSONB),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
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
