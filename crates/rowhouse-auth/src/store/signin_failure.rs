//! `auth.signin_failures` and `auth.known_networks`: wrong passwords, and from where users have signed in.

use std::net::IpAddr;

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;

/// An account as it was given, and the client that gave it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// Digest of the address in lower case.
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

/// The time until which sign-ins are refused, if any: for this network, or for all that the user does not know.
pub(crate) async fn find_lock(
    client: &Client,
    attempt: &Attempt,
    email: &str,
) -> Result<Option<OffsetDateTime>, Fault> {
    let sql = "select max(f.locked_until) from auth.signin_failures f
               where f.account_digest = $1 and (f.network = auth.network_of($2)
                 or f.network = '0.0.0.0/0' and not exists (
                   select from auth.known_networks k join auth.users u on u.id = k.user_id
                   where lower(u.email) = $3 and k.network = auth.network_of($2)))";
    let row = client
        .query_typed_one(
            sql,
            &[(&attempt.account_digest, Type::TEXT), (&attempt.from, Type::INET), (&email, Type::TEXT)],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Counts a wrong password. Losing a count in a crash is harmless, so the commit is asynchronous.
pub(crate) async fn count(
    client: &Client,
    attempt: &Attempt,
    user: Option<Uuid>,
    lockout: Lockout,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "select auth.count_failed_signin($1, $2, $3, $4, $5, make_interval(secs => $6), $7)
               from (select set_config('synchronous_commit', 'off', true)) lax";
    client
        .execute_typed(
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
    Ok(())
}

/// Forgets the failures of this network after a right password. False if concurrent guesses have locked it meanwhile;
/// then the transaction must not be committed.
pub(crate) async fn clear(client: &Client, attempt: &Attempt, now: OffsetDateTime) -> Result<bool, Fault> {
    let sql = "with gone as (
                 delete from auth.signin_failures where account_digest = $1 and network = auth.network_of($2)
                 returning locked_until
               )
               select not coalesce(bool_or(locked_until > $3), false) from gone";
    let row = client
        .query_typed_one(
            sql,
            &[(&attempt.account_digest, Type::TEXT), (&attempt.from, Type::INET), (&now, Type::TIMESTAMPTZ)],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Stores from where a user has signed in, to the day.
pub(crate) async fn note_network(
    client: &Client,
    user: Uuid,
    from: Option<IpAddr>,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "with surplus as (
                 delete from auth.known_networks where user_id = $1 and network = any (array(
                   select k.network from auth.known_networks k where k.user_id = $1
                   order by k.last_seen_at desc offset 49)) and network <> auth.network_of($2)
               )
               insert into auth.known_networks as k (user_id, network, last_seen_at)
               select $1, auth.network_of($2), $3 where $2 is not null
               on conflict (user_id, network) do update set last_seen_at = $3
               where k.last_seen_at < $3 - interval '1 day'";
    client.execute_typed(sql, &[(&user, Type::UUID), (&from, Type::INET), (&now, Type::TIMESTAMPTZ)]).await?;
    Ok(())
}
