//! Users with their identities and factors, read. Leaves creating them to `user_creation.rs`, and changing to `user_change.rs`.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::fault::Fault;
use crate::model::{User, instant};

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
