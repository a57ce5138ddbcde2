//! Raising a session to `aal2` once a second factor was proved.

use rowhouse_crypto::OpaqueSecret;
use rowhouse_db::Transaction;
use rowhouse_tenancy::membership;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::holder::Holder;
use crate::flow::session::{Grant, successor};
use crate::method::Method;
use crate::request::Client;
use crate::store::assurance::{self, Proof};
use crate::store::{refresh_token, session, user};

/// Raises the holder's session, ends the user's sessions without a second factor, and rotates the refresh token.
pub(crate) async fn raise(
    auth: &Auth,
    tx: &Transaction<'_>,
    holder: &Holder,
    (factor, method): (Option<Uuid>, Method),
    client: &Client,
    now: OffsetDateTime,
) -> Result<Grant, Fault> {
    let (id, user) = (holder.session.id, holder.user.id);
    let proof = Proof { factor, method, claim: auth.new_id() };
    assurance::raise(tx, id, user, proof, now).await?;
    let refresh_token = rotate(auth, tx, id, user, now).await?;
    let tenant = holder.session.tenant_id;
    let (session, row, membership, ()) = tokio::try_join!(
        session::lock(tx, id, user),
        user::find(tx, user),
        async { Ok(membership::find_or_default(tx, user, tenant).await?) },
        session::touch(tx, id, tenant, client, now),
    )?;
    let (session, row) = session.zip(row).ok_or(Fault::Vanished)?;
    Ok(Grant { user: row.user, session, membership, refresh_token })
}

/// Rotates the session's refresh token twice. A token is repeated to whoever presents its parent, and the one from before
/// the second factor must not be worth what the new one is.
async fn rotate(
    auth: &Auth,
    tx: &Transaction<'_>,
    session: Uuid,
    user: Uuid,
    now: OffsetDateTime,
) -> Result<OpaqueSecret, Fault> {
    let active = refresh_token::find_active(tx, session).await?.ok_or(Fault::Vanished)?;
    let skipped = successor(auth, &active.digest)?.digest();
    let next = successor(auth, &skipped)?;
    refresh_token::replace(tx, session, user, &skipped, &next.digest(), now).await?;
    Ok(next)
}
