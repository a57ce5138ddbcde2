//! Raising a session to `aal2` once a second factor was proved.

use rowhouse_db::Transaction;
use rowhouse_tenancy::membership;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::flow::holder::Holder;
use crate::flow::session::Grant;
use crate::method::Method;
use crate::request::Client;
use crate::store::assurance::{self, Proof};
use crate::store::{session, user};

/// Steps of the refresh token. The current one is repeated to whoever presents the one before it, and the one from before
/// the second factor must not be worth what the new one is.
const SKIPPED: i64 = 2;

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
    let tenant = holder.session.tenant_id;
    let counter = session::advance(tx, id, SKIPPED, tenant, client, now).await?;
    let (session, row, membership) =
        tokio::try_join!(session::lock(tx, id, user), user::find(tx, user), async {
            Ok(membership::find_or_default(tx, user, tenant).await?)
        })?;
    let (session, row) = session.zip(row).ok_or(Fault::Vanished)?;
    Ok(Grant { user: row.user, session, membership, counter, delegation: None })
}
