//! Codes that end a sign-in in progress and are exchanged for a session. Leaves the exchange to `pkce`.

use rowhouse_crypto::OpaqueSecret;
use rowhouse_db::Transaction;
use uuid::Uuid;

use crate::Auth;
use crate::fault::Fault;
use crate::store::flow_state;

/// Gives a flow its code; `None` if the flow is gone.
pub(crate) async fn issue(
    auth: &Auth,
    tx: &Transaction<'_>,
    flow: Uuid,
    user: Uuid,
) -> Result<Option<OpaqueSecret>, Fault> {
    let code = OpaqueSecret::generate(&*auth.rng);
    let is_issued = flow_state::issue_code(tx, flow, user, &code.digest(), auth.now()).await?;
    Ok(is_issued.then_some(code))
}
