//! Exchange of a refresh token of before the counter, which has a row in `auth.refresh_tokens`: once, for one with a
//! counter. It is accepted as long as the session has no newer one in use.

use rowhouse_crypto::digest_hex;
use rowhouse_db::Transaction;
use rowhouse_tenancy::membership;
use time::OffsetDateTime;

use crate::Auth;
use crate::flow::refresh::{Decided, RefreshError};
use crate::flow::session::{FIRST_COUNTER, Grant};
use crate::lifetime::SessionEnd;
use crate::model::User;
use crate::request::Client;
use crate::rotation::{Rotation, judge_row};
use crate::store::session::{self, SessionRow};
use crate::store::{refresh_token, user};

/// Longest token that had a row. A digest is longer, so that none passes for the token itself.
const LONGEST: usize = 48;

pub(super) async fn exchange(
    auth: &Auth,
    token: &str,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Decided, RefreshError> {
    if token.len() > LONGEST || token.contains('\0') {
        return Err(RefreshError::NotFound);
    }
    let (digest, token) = (digest_hex(token), token.to_owned());
    let operation = client.operation("auth.exchange_row_token");
    let (service, client) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| adopt(&service, tx, &[&digest, &token], &client, now).await;
    auth.control.run_tx(&operation, work).await
}

async fn adopt(
    auth: &Auth,
    tx: &Transaction<'_>,
    forms: &[&str],
    client: &Client,
    now: OffsetDateTime,
) -> Result<Decided, RefreshError> {
    let session = session::lock_by_token(tx, forms).await?.ok_or(RefreshError::NotFound)?;
    let (rows, row, membership) = tokio::try_join!(
        refresh_token::find(tx, session.id, forms),
        user::find(tx, session.user_id),
        async { Ok(membership::find_or_default(tx, session.user_id, session.tenant_id).await?) }
    )?;
    let (presented, newest) = rows.ok_or(RefreshError::NotFound)?;
    let user = row.map(|row| row.user).filter(|user| user.deleted_at.is_none());
    let user = user.ok_or(RefreshError::NotFound)?;
    let interval = auth.settings.refresh_reuse_interval;
    let rotation = judge_row(&presented, &newest, session.current, now, interval);
    if rotation == Rotation::Reused && !session.is_over(now) {
        return Ok(Decided::Reused(session.id));
    }
    require_open(&user, &session, now)?;
    let repeat = match rotation {
        Rotation::Repeat(cause) => Some(cause),
        _ => None,
    };
    let counter = match session.current {
        Some(current) => current.counter,
        None => {
            let tenant = membership.as_ref().map(|membership| membership.tenant_id);
            session::advance(tx, session.id, FIRST_COUNTER, tenant, client, now).await?
        }
    };
    Ok(Decided::Granted(Box::new(Grant { user, session, membership, counter, delegation: None }), repeat))
}

fn require_open(user: &User, session: &SessionRow, now: OffsetDateTime) -> Result<(), RefreshError> {
    if user.is_banned(now) {
        return Err(RefreshError::Banned);
    }
    if session.is_over(now) { Err(RefreshError::SessionOver(SessionEnd::Expired)) } else { Ok(()) }
}
