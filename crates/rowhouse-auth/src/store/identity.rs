//! `auth.identities` of other providers, and accounts that they make.

use rowhouse_db::DbError;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;
use crate::model::Object;
use crate::store::user_change::WriteError;

/// A person at a provider.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AtProvider<'a> {
    pub(crate) provider: &'a str,
    /// The person's id there.
    pub(crate) subject: &'a str,
}

/// The user who has this identity. Until the transaction ends, no other one reads or creates it.
pub(crate) async fn lock(client: &Client, at: AtProvider<'_>) -> Result<Option<Uuid>, Fault> {
    let key = format!("identity:{}:{}", at.provider, at.subject);
    let lock = "select pg_advisory_xact_lock(hashtextextended($1, 0))";
    client.query_typed_one(lock, &[(&key, Type::TEXT)]).await?;
    find(client, at).await
}

/// The user who has this identity.
pub(crate) async fn find(client: &Client, at: AtProvider<'_>) -> Result<Option<Uuid>, Fault> {
    let sql = "select user_id from auth.identities where provider = $1 and provider_id = $2";
    let row = client.query_typed_opt(sql, &[(&at.provider, Type::TEXT), (&at.subject, Type::TEXT)]).await?;
    row.map(|row| row.try_get(0).map_err(Fault::from)).transpose()
}

/// Adds an identity to a user.
pub(crate) async fn insert(
    client: &Client,
    id: Uuid,
    user: Uuid,
    at: AtProvider<'_>,
    data: &Object,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
               values ($1, $2, $3, $4, $5, $6, $6, $6)";
    client
        .execute_typed(
            sql,
            &[
                (&id, Type::UUID),
                (&at.subject, Type::TEXT),
                (&user, Type::UUID),
                (&Value::Object(data.clone()), Type::JSONB),
                (&at.provider, Type::TEXT),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// What the provider says of the person now.
pub(crate) async fn set_data(
    client: &Client,
    at: AtProvider<'_>,
    data: &Object,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "update auth.identities set identity_data = $3, last_sign_in_at = $4, updated_at = $4
               where provider = $1 and provider_id = $2";
    client
        .execute_typed(
            sql,
            &[
                (&at.provider, Type::TEXT),
                (&at.subject, Type::TEXT),
                (&Value::Object(data.clone()), Type::JSONB),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// Removes an identity of a user. False if there is none.
pub(crate) async fn delete(client: &Client, user: Uuid, id: Uuid) -> Result<bool, Fault> {
    let sql = "delete from auth.identities where id = $2 and user_id = $1";
    Ok(client.execute_typed(sql, &[(&user, Type::UUID), (&id, Type::UUID)]).await? == 1)
}

/// Sets `provider` and `providers` in the user's app metadata.
pub(crate) async fn list_providers(client: &Client, user: Uuid, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "select auth.list_providers($1, $2)";
    client.query_typed(sql, &[(&user, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// Removes everything by which whoever made an account with a foreign address could come back.
pub(crate) async fn evict_unproved(client: &Client, user: Uuid) -> Result<(), Fault> {
    client.query_typed("select auth.evict_unproved($1)", &[(&user, Type::UUID)]).await?;
    Ok(())
}

/// Takes an address that was never confirmed from an account that goes on without it.
pub(crate) async fn free_address(client: &Client, user: Uuid, now: OffsetDateTime) -> Result<(), Fault> {
    let sql = "with address as (delete from auth.identities where user_id = $1 and provider = 'email'),
                 links as (delete from auth.one_time_tokens where user_id = $1)
               update auth.users set email = null, email_change = '', encrypted_password = case
                 when phone_confirmed_at is null then '' else encrypted_password end, updated_at = $2
               where id = $1";
    client.execute_typed(sql, &[(&user, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}

/// An account that a provider's sign-in makes.
#[derive(Debug)]
pub(crate) struct NewExternalUser<'a> {
    pub(crate) id: Uuid,
    pub(crate) email: Option<&'a str>,
    pub(crate) user_metadata: &'a Object,
}

/// Creates a user without identities; an address is confirmed. Triggers create profile, organization and tenant.
pub(crate) async fn insert_user(
    client: &Client,
    new: &NewExternalUser<'_>,
    now: OffsetDateTime,
) -> Result<(), WriteError> {
    let sql =
        "insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
                 raw_app_meta_data, raw_user_meta_data, created_at, updated_at)
               values ('00000000-0000-0000-0000-000000000000', $1, 'authenticated', 'authenticated', $2, '',
                 case when $2 is not null then $4 end, '{}', $3, $4, $4)";
    let result = client
        .execute_typed(
            sql,
            &[
                (&new.id, Type::UUID),
                (&new.email, Type::TEXT),
                (&Value::Object(new.user_metadata.clone()), Type::JSONB),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await;
    result.map(|_| ()).map_err(taken)
}

/// Another transaction was first with the address.
fn taken(error: tokio_postgres::Error) -> WriteError {
    let error = DbError::from(error);
    match error.constraint() {
        Some("users_email_partial_key") => WriteError::EmailTaken,
        _ => WriteError::Fault(error.into()),
    }
}

/// What a sign-in or a link changes in the account.
#[derive(Debug, Default)]
pub(crate) struct AccountUpdate<'a> {
    pub(crate) user_metadata: Option<Object>,
    /// An address that the provider vouches for; it is confirmed, and the account not anonymous any more.
    pub(crate) email: Option<&'a str>,
    /// Confirms the address that is there.
    pub(crate) confirm: bool,
}

pub(crate) async fn update_user(
    client: &Client,
    user: Uuid,
    update: &AccountUpdate<'_>,
    now: OffsetDateTime,
) -> Result<(), WriteError> {
    let sql = "update auth.users set
                 raw_user_meta_data = coalesce($2, raw_user_meta_data),
                 email = coalesce($3, email),
                 email_confirmed_at = case when $3 is not null or $4 then coalesce(email_confirmed_at, $5) else email_confirmed_at end,
                 is_anonymous = is_anonymous and $3 is null,
                 last_sign_in_at = $5, updated_at = $5
               where id = $1";
    let metadata = update.user_metadata.clone().map(Value::Object);
    let result = client
        .execute_typed(
            sql,
            &[
                (&user, Type::UUID),
                (&metadata, Type::JSONB),
                (&update.email, Type::TEXT),
                (&update.confirm, Type::BOOL),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await;
    result.map(|_| ()).map_err(taken)
}
