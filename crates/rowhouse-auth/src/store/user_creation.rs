//! New users, with the identities of their address and number. Leaves why one cannot be written to `user_change.rs`.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;
use crate::model::Object;
use crate::store::user_change::{WriteError, json, taken};

/// A user to be created.
#[derive(Debug)]
pub(crate) struct NewUser {
    pub(crate) id: Uuid,
    /// Empty for none.
    pub(crate) email: String,
    /// Empty for none.
    pub(crate) phone: String,
    pub(crate) role: String,
    pub(crate) encrypted_password: Option<String>,
    /// Of the address.
    pub(crate) is_confirmed: bool,
    /// Of the number.
    pub(crate) is_phone_confirmed: bool,
    /// Invited users join somebody else's tenant and get none of their own.
    pub(crate) is_invited: bool,
    pub(crate) app_metadata: Object,
    pub(crate) user_metadata: Object,
    /// Of the identity of the provider `email`, or `phone` for a user without address.
    pub(crate) identity_data: Object,
    pub(crate) banned_until: Option<OffsetDateTime>,
}

/// Creates a user with an identity for the address and one for the number; triggers create profile, organization and tenant.
///
/// The address of another user ends in [`WriteError::EmailTaken`], the number in [`WriteError::PhoneTaken`].
pub(crate) async fn insert(
    client: &Client,
    user: &NewUser,
    identity: Uuid,
    now: OffsetDateTime,
) -> Result<(), WriteError> {
    let sql = "with person as (
                 insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at,
                   raw_app_meta_data, raw_user_meta_data, created_at, updated_at, banned_until, invited_at, phone, phone_confirmed_at)
                 values ('00000000-0000-0000-0000-000000000000', $1, 'authenticated', $2, nullif($3, ''), coalesce($4, ''),
                   case when $5 then $8 end, $6, $7, $8, $8, $10, case when $12 then $8 end, nullif($13, ''),
                   case when $14 then $8 end)
                 returning id, email, phone
               )
               insert into auth.identities (id, provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
               select $9, id, id, $11, case when email is null then 'phone' else 'email' end, $8, $8, $8
               from person
               union all
               select gen_random_uuid(), id, id, jsonb_build_object('sub', id, 'phone', phone, 'email_verified', false,
                 'phone_verified', $14), 'phone', $8, $8, $8
               from person where email is not null and phone is not null";
    let result = client
        .execute_typed(
            sql,
            &[
                (&user.id, Type::UUID),
                (&user.role, Type::TEXT),
                (&user.email, Type::TEXT),
                (&user.encrypted_password, Type::TEXT),
                (&user.is_confirmed, Type::BOOL),
                (&json(&user.app_metadata), Type::JSONB),
                (&json(&user.user_metadata), Type::JSONB),
                (&now, Type::TIMESTAMPTZ),
                (&identity, Type::UUID),
                (&user.banned_until, Type::TIMESTAMPTZ),
                (&json(&user.identity_data), Type::JSONB),
                (&user.is_invited, Type::BOOL),
                (&user.phone, Type::TEXT),
                (&user.is_phone_confirmed, Type::BOOL),
            ],
        )
        .await;
    result.map(|_| ()).map_err(taken)
}

/// Creates a user without address, number and identities.
pub(crate) async fn insert_anonymous(
    client: &Client,
    id: Uuid,
    user_metadata: &Object,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "insert into auth.users (instance_id, id, aud, role, encrypted_password, raw_app_meta_data, raw_user_meta_data,
                 created_at, updated_at, is_anonymous)
               values ('00000000-0000-0000-0000-000000000000', $1, 'authenticated', 'authenticated', '', '{}', $2, $3, $3, true)";
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&id, Type::UUID), (&json(user_metadata), Type::JSONB), (&now, Type::TIMESTAMPTZ)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}
