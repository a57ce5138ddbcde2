//! Sessions of operators who act as users. Leaves reading sessions to `session.rs`.

use time::OffsetDateTime;
use tokio_postgres::Client as Connection;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::session::Opened;
use crate::fault::Fault;
use crate::request::Client;

/// A session to be opened.
#[derive(Debug, Clone, Copy)]
pub struct NewImpersonation {
    /// The impersonation: the claim `impersonation_id`.
    pub id: Uuid,
    /// As whom.
    pub user: Uuid,
    /// The tenant; the user's default one if it is not given or not open to the user.
    pub tenant: Option<Uuid>,
    /// Who: the claim `act`.
    pub operator: Uuid,
    /// When the session ends, whatever its tokens say.
    pub ends_at: OffsetDateTime,
}

/// The same with the ids of what is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewActing {
    pub(crate) session: Uuid,
    /// Of the entry that keeps the method.
    pub(crate) claim: Uuid,
    pub(crate) new: NewImpersonation,
}

/// Opens one: `auth.open_impersonation`.
pub(crate) async fn open(
    client: &Connection,
    acting: &NewActing,
    from: &Client,
    now: OffsetDateTime,
) -> Result<Opened, Fault> {
    let sql = "select * from auth.open_impersonation($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let NewActing { session, claim, new } = acting;
    let row = client
        .query_typed_one(
            sql,
            &[
                (session, Type::UUID),
                (&new.user, Type::UUID),
                (&now, Type::TIMESTAMPTZ),
                (&new.ends_at, Type::TIMESTAMPTZ),
                (&from.user_agent, Type::TEXT),
                (&from.address, Type::INET),
                (claim, Type::UUID),
                (&new.operator, Type::UUID),
                (&new.id, Type::UUID),
                (&new.tenant, Type::UUID),
            ],
        )
        .await?;
    Opened::from_row(&row)
}
