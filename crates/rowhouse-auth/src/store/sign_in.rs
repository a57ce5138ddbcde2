//! The sign-in with a password, in one transaction and one round trip.

use rowhouse_db::{Batched, Control};
use rowhouse_kernel::Operation;
use time::OffsetDateTime;
use tokio_postgres::types::{ToSql, Type};

use crate::fault::Fault;
use crate::model::User;
use crate::request::Client;
use crate::store::session::{NewSession, Opened};
use crate::store::signin_failure::{Attempt, NOTE_NETWORK};
use crate::store::user::{BY_ID, UserRow};

/// Stores the time of the sign-in, replaces the hash that was `checked` by `renewed` if given, forgets the failures of the
/// network, and opens a session. `None` if since the check the password was changed, the user was deleted, or concurrent
/// guesses have locked the network.
pub(crate) async fn open(
    control: &Control,
    operation: &Operation,
    new: NewSession<'_>,
    (checked, renewed): (&str, Option<&str>),
    (from, attempt): (&Client, &Attempt),
    now: OffsetDateTime,
) -> Result<Option<(Opened, User)>, Fault> {
    let session: [(&(dyn ToSql + Sync), Type); 12] = [
        (&new.id, Type::UUID),
        (&new.user, Type::UUID),
        (&now, Type::TIMESTAMPTZ),
        (&from.user_agent, Type::TEXT),
        (&from.address, Type::INET),
        (&new.others, Type::INT8),
        (&new.claim, Type::UUID),
        (&new.by.method.as_str(), Type::TEXT),
        (&new.by.provider, Type::TEXT),
        (&checked, Type::TEXT),
        (&renewed, Type::TEXT),
        (&attempt.account_digest, Type::TEXT),
    ];
    let network: [(&(dyn ToSql + Sync), Type); 3] =
        [(&new.id, Type::UUID), (&from.address, Type::INET), (&now, Type::TIMESTAMPTZ)];
    let user: [(&(dyn ToSql + Sync), Type); 1] = [(&new.user, Type::UUID)];
    let statements = [
        Batched { sql: OPEN, parameters: &session },
        Batched { sql: NOTE_NETWORK, parameters: &network },
        Batched { sql: BY_ID, parameters: &user },
    ];
    let rows = control.run_batch(operation, &statements).await?;
    let [session, _, user] = rows.as_slice() else { return Ok(None) };
    let (Some(session), Some(user)) = (session.first(), user.first()) else { return Ok(None) };
    Ok(Some((Opened::from_row(session)?, UserRow::from_row(user)?.user)))
}

/// The row of failures is locked to be read, so that a concurrent guess that locks the network is seen.
const OPEN: &str = "with failures as (
       select f.account_digest, f.network, f.locked_until from auth.signin_failures f
       where f.account_digest = $12 and f.network = auth.network_of($5) for update
     ), signed_in as (
       update auth.users
       set last_sign_in_at = $3, updated_at = $3, encrypted_password = coalesce($11, encrypted_password)
       where id = $2 and encrypted_password = $10 and deleted_at is null
         and not exists (select from failures f where f.locked_until > $3)
       returning id
     ), forgotten as (
       delete from auth.signin_failures f using failures g, signed_in
       where f.account_digest = g.account_digest and f.network = g.network
     )
     select o.* from signed_in u, auth.open_session($1, u.id, $3, $4, $5, $6, $7, $8, $9) o";
