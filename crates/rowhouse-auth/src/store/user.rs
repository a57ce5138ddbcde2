//! `auth.users` and `auth.identities`.

use rowhouse_db::DbError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::fault::Fault;
use crate::model::{Object, User, instant};

/// A user with columns that clients never see.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct UserRow {
    pub(crate) user: User,
    /// PHC string or bcrypt.
    pub(crate) encrypted_password: Option<String>,
}

/// A user with the state of a session.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LiveUser {
    pub(crate) row: UserRow,
    /// Whether the session exists.
    pub(crate) has_session: bool,
    /// When it ends.
    #[serde(with = "instant")]
    pub(crate) not_after: Option<OffsetDateTime>,
    /// Its assurance level.
    pub(crate) aal: Option<String>,
}

impl LiveUser {
    /// Whether a second factor is missing: the user has one, and it was not verified in this session.
    pub(crate) fn lacks_factor(&self) -> bool {
        self.row.user.has_second_factor() && self.aal.as_deref().unwrap_or("aal1") == "aal1"
    }
}

/// The user with identities and factors as one JSON document, which [`parse`] reads; tolerates nulls and infinities that
/// hand-written SQL leaves. `$more` are further fields of the document.
macro_rules! select_user {
    ($more:literal, $rest:literal) => {
        concat!(
            "select to_json(l)::text from (select to_json(r) as row",
            $more,
            " from auth.users u cross join lateral (
               select u.id, coalesce(u.aud, '') as aud, coalesce(u.role, '') as role, coalesce(u.email, '') as email,
                 u.email_confirmed_at, u.invited_at, coalesce(u.phone, '') as phone, u.phone_confirmed_at, u.confirmation_sent_at,
                 u.confirmed_at, u.recovery_sent_at, coalesce(u.email_change, '') as new_email, u.email_change_sent_at,
                 coalesce(u.phone_change, '') as new_phone, u.phone_change_sent_at, u.reauthentication_sent_at, u.last_sign_in_at,
                 u.raw_app_meta_data as app_metadata, u.raw_user_meta_data as user_metadata,
                 coalesce(u.created_at, now()) as created_at, coalesce(u.updated_at, u.created_at, now()) as updated_at,
                 case when u.banned_until = 'infinity' then '9999-12-31' else u.banned_until end as banned_until,
                 u.deleted_at, u.is_anonymous,
                 (select coalesce(json_agg(i order by i.created_at, i.provider <> 'email', i.identity_id), '[]') from (
                   select i.id as identity_id, i.provider_id as id, i.user_id, i.identity_data, i.provider, i.last_sign_in_at,
                     i.created_at, i.updated_at, i.email
                   from auth.identities i where i.user_id = u.id) i) as identities,
                 (select coalesce(json_agg(f order by f.created_at, f.id), '[]') from (
                   select f.id, f.friendly_name, f.factor_type, f.status, f.phone, f.last_challenged_at, f.created_at, f.updated_at
                   from auth.mfa_factors f where f.user_id = u.id) f) as factors
             ) x cross join lateral (select x as \"user\", nullif(u.encrypted_password, '') as encrypted_password) r ",
            $rest,
            ") l"
        )
    };
}

/// Reads the document of a statement with `select_user!`: a [`UserRow`] in the field `row`, and fields beside it.
pub(super) fn parse<T: DeserializeOwned>(document: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(document).map_err(Fault::Json)
}

impl UserRow {
    pub(super) fn from_row(row: &Row) -> Result<Self, Fault> {
        Ok(parse::<OnlyUser>(row.try_get::<_, &str>(0)?.as_bytes())?.row)
    }
}

#[derive(Deserialize)]
pub(super) struct OnlyUser {
    pub(super) row: UserRow,
}

pub(super) const BY_EMAIL: &str = select_user!(
    "",
    "where lower(u.email) = $1 and u.is_sso_user = false and u.deleted_at is null
     order by u.email = $1 desc, u.created_at limit 1"
);

/// By lower-case address; without users of single sign-on, who have no password.
pub(crate) async fn find_by_email(client: &Client, email: &str) -> Result<Option<UserRow>, Fault> {
    let row = client.query_typed_opt(BY_EMAIL, &[(&email, Type::TEXT)]).await?;
    row.as_ref().map(UserRow::from_row).transpose()
}

pub(super) const BY_PHONE: &str =
    select_user!("", "where u.phone = $1 and u.is_sso_user = false and u.deleted_at is null");

/// By number, without plus sign and spaces.
pub(crate) async fn find_by_phone(client: &Client, phone: &str) -> Result<Option<UserRow>, Fault> {
    let row = client.query_typed_opt(BY_PHONE, &[(&phone, Type::TEXT)]).await?;
    row.as_ref().map(UserRow::from_row).transpose()
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

pub(super) const BY_ID: &str = select_user!("", "where u.id = $1");
pub(super) const OF_SESSION: &str =
    select_user!("", "where u.id = (select s.user_id from auth.sessions s where s.id = $1)");

/// By id, deleted or not.
pub(crate) async fn find(client: &Client, id: Uuid) -> Result<Option<UserRow>, Fault> {
    let row = client.query_typed_opt(BY_ID, &[(&id, Type::UUID)]).await?;
    row.as_ref().map(UserRow::from_row).transpose()
}

/// By id, locked for a change that depends on what is there.
pub(crate) async fn lock(client: &Client, id: Uuid) -> Result<Option<UserRow>, Fault> {
    let row = client
        .query_typed_opt(select_user!("", "where u.id = $1 for no key update of u"), &[(&id, Type::UUID)])
        .await?;
    row.as_ref().map(UserRow::from_row).transpose()
}

pub(super) const LIVE: &str = select_user!(
    ", s.id is not null as has_session, s.aal, case when s.not_after = 'infinity' then '9999-12-31' else s.not_after end as not_after",
    "left join auth.sessions s on s.id = $2 and s.user_id = u.id where u.id = $1"
);

/// The user and the state of a session, in one query.
pub(crate) async fn find_live(
    client: &Client,
    id: Uuid,
    session: Option<Uuid>,
) -> Result<Option<LiveUser>, Fault> {
    let row = client.query_typed_opt(LIVE, &[(&id, Type::UUID), (&session, Type::UUID)]).await?;
    row.as_ref().map(LiveUser::from_row).transpose()
}

impl LiveUser {
    pub(super) fn from_row(row: &Row) -> Result<Self, Fault> {
        parse(row.try_get::<_, &str>(0)?.as_bytes())
    }
}

/// One page of users, newest first, and the number of all. `filter` is a part of the address, the number or the
/// name; empty for everybody.
pub(crate) async fn list(
    client: &Client,
    filter: &str,
    limit: i64,
    offset: i64,
) -> Result<(Vec<User>, i64), Fault> {
    let sql = select_user!(
        "",
        "where $3 = '' or strpos(lower(u.email), lower($3)) > 0 or strpos(u.phone, $3) > 0
           or strpos(lower(u.raw_user_meta_data ->> 'full_name'), lower($3)) > 0
         order by u.created_at desc, u.id desc limit $1 offset $2"
    );
    let rows = client
        .query_typed(sql, &[(&limit, Type::INT8), (&offset, Type::INT8), (&filter, Type::TEXT)])
        .await?;
    let users =
        rows.iter().map(|row| UserRow::from_row(row).map(|row| row.user)).collect::<Result<_, _>>()?;
    let count = "select count(*) from auth.users u
                 where $1 = '' or strpos(lower(u.email), lower($1)) > 0 or strpos(u.phone, $1) > 0
                   or strpos(lower(u.raw_user_meta_data ->> 'full_name'), lower($1)) > 0";
    let total = client.query_typed_one(count, &[(&filter, Type::TEXT)]).await?.try_get(0)?;
    Ok((users, total))
}

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

fn json(object: &Object) -> Value {
    Value::Object(object.clone())
}

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

/// Applies a change; a new password also lifts a lock.
pub(crate) async fn update(
    client: &Client,
    id: Uuid,
    change: &UserChange,
    now: OffsetDateTime,
) -> Result<(), WriteError> {
    let sql = "with person as (
                 update auth.users set
                   email = coalesce($2, email),
                   email_change = case when $2 is not null then '' else coalesce($3, email_change) end,
                   email_confirmed_at = case when $4 then coalesce(email_confirmed_at, $11) else email_confirmed_at end,
                   encrypted_password = coalesce($5, encrypted_password),
                   raw_user_meta_data = coalesce($6, raw_user_meta_data),
                   raw_app_meta_data = coalesce($7, raw_app_meta_data),
                   role = coalesce($8, role),
                   banned_until = case when $9 then $10 else banned_until end,
                   updated_at = $11
                 where id = $1
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
