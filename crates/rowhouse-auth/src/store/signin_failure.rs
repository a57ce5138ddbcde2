//! `auth.signin_failures` and `auth.known_networks`: wrong passwords, and from where users have signed in.

use std::net::IpAddr;

use rowhouse_db::OwnSession;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::fault::Fault;

/// An account as it was given, and the client that gave it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// Digest of the address in lower case, or of the number.
    pub(crate) account_digest: String,
    pub(crate) from: Option<IpAddr>,
}

/// When a failure locks, and for how long at first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lockout {
    /// Failures in a row from one network.
    pub(crate) failures: i32,
    /// Failures in a row from all networks together.
    pub(crate) account_failures: i32,
    pub(crate) seconds: f64,
}

/// `$1` the account's digest, `$2` the client's address, `$3` by what the account is named.
macro_rules! locked_until {
    ($name:literal) => {
        concat!(
            "select max(f.locked_until) from auth.signin_failures f
             where f.account_digest = $1 and (f.network = auth.network_of($2)
               or f.network = '0.0.0.0/0' and not exists (
                 select from auth.known_networks k join auth.users u on u.id = k.user_id
                 where ",
            $name,
            " = $3 and k.network = auth.network_of($2)))"
        )
    };
}

/// The time until which sign-ins are refused, if any: for this network, or for all that the user does not know.
pub(crate) async fn find_lock(
    client: &OwnSession<'_>,
    attempt: &Attempt,
    email: &str,
) -> Result<Option<OffsetDateTime>, Fault> {
    find_lock_by(client, locked_until!("lower(u.email)"), attempt, email).await
}

/// The same for an account that was named by its number.
pub(crate) async fn find_phone_lock(
    client: &OwnSession<'_>,
    attempt: &Attempt,
    phone: &str,
) -> Result<Option<OffsetDateTime>, Fault> {
    find_lock_by(client, locked_until!("u.phone"), attempt, phone).await
}

async fn find_lock_by(
    client: &OwnSession<'_>,
    sql: &'static str,
    attempt: &Attempt,
    name: &str,
) -> Result<Option<OffsetDateTime>, Fault> {
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&attempt.account_digest, Type::TEXT), (&attempt.from, Type::INET), (&name, Type::TEXT)];
    let row = client.query_prepared_opt(sql, &parameters).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
}

/// A lock that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) account_digest: String,
    /// The network; `0.0.0.0/0` for all that the user does not know.
    pub(crate) network: String,
}

/// The user who is to be told of a lock now: none of an unknown address, none twice a day, and none of a lock of a
/// network from which they have signed in.
pub(crate) async fn claim_letter(
    client: &Client,
    lock: &Lock,
    now: OffsetDateTime,
) -> Result<Option<Uuid>, Fault> {
    let sql = "update auth.signin_failures f set told_at = $3
               where f.account_digest = $1 and f.network = '0.0.0.0/0' and f.user_id is not null
                 and (f.told_at is null or f.told_at <= $3 - interval '1 day')
                 and not exists (select from auth.known_networks k
                   where k.user_id = f.user_id and k.network = $2::text::cidr)
               returning f.user_id";
    let row = client
        .query_typed_opt(
            sql,
            &[(&lock.account_digest, Type::TEXT), (&lock.network, Type::TEXT), (&now, Type::TIMESTAMPTZ)],
        )
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Counts a wrong password. Losing a count in a crash is harmless, so the commit is asynchronous.
pub(crate) async fn count(
    client: &Client,
    attempt: &Attempt,
    user: Option<Uuid>,
    lockout: Lockout,
    now: OffsetDateTime,
) -> Result<Option<Lock>, Fault> {
    let sql = "select auth.count_failed_signin($1, $2, $3, $4, $5, make_interval(secs => $6), $7)::text
               from (select set_config('synchronous_commit', 'off', true)) lax";
    let row = client
        .query_typed_one(
            sql,
            &[
                (&attempt.account_digest, Type::TEXT),
                (&user, Type::UUID),
                (&attempt.from, Type::INET),
                (&lockout.failures, Type::INT4),
                (&lockout.account_failures, Type::INT4),
                (&lockout.seconds, Type::FLOAT8),
                (&now, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    let network: Option<String> = row.try_get(0)?;
    Ok(network.map(|network| Lock { account_digest: attempt.account_digest.clone(), network }))
}

/// Stores from where the user of a session signs in, to the day; `$1` the session, `$2` the address, `$3` now.
pub(super) const NOTE_NETWORK: &str = "with s as (
       select s.user_id, auth.network_of($2) as network from auth.sessions s where s.id = $1 and $2 is not null
     ), surplus as (
       delete from auth.known_networks k using s
       where k.user_id = s.user_id and k.network <> s.network and k.network = any (array(
         select o.network from auth.known_networks o where o.user_id = s.user_id
         order by o.last_seen_at desc offset 49))
     )
     insert into auth.known_networks as k (user_id, network, last_seen_at)
     select s.user_id, s.network, $3 from s
     on conflict (user_id, network) do update set last_seen_at = $3
     where k.last_seen_at < $3 - interval '1 day'";

/// Stores from where the user of a session that was opened signs in.
pub(crate) async fn note_network(
    client: &Client,
    session: Uuid,
    from: Option<IpAddr>,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&session, Type::UUID), (&from, Type::INET), (&now, Type::TIMESTAMPTZ)];
    client.execute_typed(NOTE_NETWORK, &parameters).await?;
    Ok(())
}
