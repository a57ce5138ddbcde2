//! The end of accounts: of their rows, or of what the rows say.

use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fault::Fault;

/// The slug of an organization that has other members and no other owner.
pub(crate) async fn find_owned_alone(client: &Client, id: Uuid) -> Result<Option<String>, Fault> {
    Ok(client.query_typed_one("select auth.owned_alone_by($1)", &[(&id, Type::UUID)]).await?.try_get(0)?)
}

/// Deletes a user with all dependent rows. False if there is none.
pub(crate) async fn delete(client: &Client, id: Uuid) -> Result<bool, Fault> {
    Ok(client.query_typed_one("select auth.delete_user($1)", &[(&id, Type::UUID)]).await?.try_get(0)?)
}

/// Keeps the row for foreign keys, without address, number and metadata, and ends every session.
pub(crate) async fn soft_delete(client: &Client, id: Uuid, now: OffsetDateTime) -> Result<bool, Fault> {
    let sql = "with sessions as (delete from auth.sessions where user_id = $1),
                 tokens as (delete from auth.one_time_tokens where user_id = $1),
                 identities as (delete from auth.identities where user_id = $1)
               update auth.users
               set email = encode(sha256(convert_to(id || coalesce(email, ''), 'utf8')), 'hex'),
                 phone = null, email_change = '', phone_change = '', encrypted_password = '',
                 raw_user_meta_data = '{}', raw_app_meta_data = '{}', deleted_at = $2, updated_at = $2
               where id = $1 and deleted_at is null";
    Ok(client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await? == 1)
}
