//! Users by prepared statements, for the requests that are sent most often.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use rowhouse_db::flight::Query;
use rowhouse_db::{Lookups, OwnSession};
use rowhouse_kernel::Operation;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;
use crate::store::user::{BY_EMAIL, BY_PHONE, LIVE, LiveUser, OF_SESSION, UserRow, parse};

/// The user of a session, deleted or not.
pub(crate) async fn find_of_session(
    client: &OwnSession<'_>,
    session: Uuid,
) -> Result<Option<UserRow>, Fault> {
    let row = client.query_prepared_opt(OF_SESSION, &[(&session, Type::UUID)]).await?;
    row.as_ref().map(UserRow::from_row).transpose()
}

/// By lower-case address, as [`super::user::find_by_email`] does.
pub(crate) async fn find_by_email(client: &OwnSession<'_>, email: &str) -> Result<Option<UserRow>, Fault> {
    let row = client.query_prepared_opt(BY_EMAIL, &[(&email, Type::TEXT)]).await?;
    row.as_ref().map(UserRow::from_row).transpose()
}

/// By number, as [`super::user::find_by_phone`] does.
pub(crate) async fn find_by_phone(client: &OwnSession<'_>, phone: &str) -> Result<Option<UserRow>, Fault> {
    let row = client.query_prepared_opt(BY_PHONE, &[(&phone, Type::TEXT)]).await?;
    row.as_ref().map(UserRow::from_row).transpose()
}

/// The user and the state of a session, as [`super::user::find_live`] does.
pub(crate) async fn find_live(
    client: &OwnSession<'_>,
    id: Uuid,
    session: Option<Uuid>,
) -> Result<Option<LiveUser>, Fault> {
    let row = client.query_prepared_opt(LIVE, &[(&id, Type::UUID), (&session, Type::UUID)]).await?;
    row.as_ref().map(LiveUser::from_row).transpose()
}

/// The same by itself, as the whole of an operation.
pub(crate) async fn look_up_live(
    lookups: &Lookups,
    operation: &Operation,
    id: Uuid,
    session: Option<Uuid>,
) -> Result<Option<LiveUser>, Fault> {
    static SQL: LazyLock<Arc<str>> = LazyLock::new(|| LIVE.into());
    let value = |id: Uuid| Some(Bytes::from(id.to_string()));
    let query = Query { sql: Arc::clone(&SQL), params: vec![value(id), session.and_then(value)] };
    let rows = lookups.rows(operation, &query).await?;
    let document = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    document.map(|document| parse(&document)).transpose()
}
