//! `auth.refresh_session`: the exchange of a refresh token with a counter, in one statement.

use rowhouse_crypto::CounterToken;
use rowhouse_db::OwnSession;
use rowhouse_tenancy::membership::Membership;
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::fault::Fault;
use crate::lifetime::{Bounds, SessionEnd};
use crate::request::Client;
use crate::rotation::RepeatCause;
use crate::store::session::{SessionRow, find_membership};

/// What was done.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The session goes on: with the next counter, or with the current one again.
    Granted(Box<SessionRow>, Option<Membership>, Option<RepeatCause>),
    /// Nothing was changed: the session has to be ended.
    Reused,
    Unknown,
    Banned,
    Over(SessionEnd),
}

pub(super) const EXCHANGE: &str =
    "select outcome, $1 as id, user_id, created_at, not_after, aal, amr, counter as refresh_token_counter,
       null::timestamptz as rotated_at, tenant_id, organization_id, tenant_role, impersonator, impersonation_id
     from auth.refresh_session($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

/// Decides about the token and changes the session accordingly.
pub(crate) async fn exchange(
    client: &OwnSession<'_>,
    token: CounterToken,
    bounds: Bounds,
    from: &Client,
    now: OffsetDateTime,
) -> Result<Outcome, Fault> {
    let row = client
        .query_prepared_opt(
            EXCHANGE,
            &[
                (&token.session.0, Type::UUID),
                (&token.counter, Type::INT8),
                (&now, Type::TIMESTAMPTZ),
                (&bounds.reusable_after, Type::TIMESTAMPTZ),
                (&bounds.opened_after, Type::TIMESTAMPTZ),
                (&bounds.opened_after_low_aal, Type::TIMESTAMPTZ),
                (&bounds.used_after, Type::TIMESTAMPTZ),
                (&bounds.is_single, Type::BOOL),
                (&from.user_agent, Type::TEXT),
                (&from.address, Type::INET),
            ],
        )
        .await?;
    row.map_or(Ok(Outcome::Unknown), |row| read(&row))
}

fn read(row: &Row) -> Result<Outcome, Fault> {
    let outcome: String = row.try_get("outcome")?;
    let granted =
        |cause| Ok(Outcome::Granted(Box::new(SessionRow::from_row(row)?), find_membership(row)?, cause));
    match outcome.as_str() {
        "rotated" => granted(None),
        "parent_of_active" => granted(Some(RepeatCause::ParentOfActive)),
        "within_interval" => granted(Some(RepeatCause::WithinInterval)),
        "reused" => Ok(Outcome::Reused),
        "banned" => Ok(Outcome::Banned),
        other => Ok(SessionEnd::parse(other).map_or(Outcome::Unknown, Outcome::Over)),
    }
}
