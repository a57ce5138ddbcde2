//! Users, as an operator names them on the command line: by id or by address.

use rowhouse_db::{Control, DbError};
use rowhouse_kernel::Origin;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

/// Most users of one address that an answer names.
const MAX_NAMED: i64 = 10;

/// The one user of this id or address, or in a sentence why there is none.
pub(crate) async fn find(
    control: &Control,
    origin: &Origin,
    name: &str,
) -> Result<Result<Uuid, String>, DbError> {
    let list = async |client: &Client| list(client, name).await;
    let found = control.statement(&origin.operation("users.find"), list).await?;
    Ok(match found.as_slice() {
        [] => Err(format!("there is no user {name}")),
        [id] => Ok(*id),
        // Users of single sign-on can share an address.
        several => {
            let ids: Vec<String> = several.iter().map(Uuid::to_string).collect();
            Err(format!("several users have the address {name}; name one by id: {}", ids.join(", ")))
        }
    })
}

/// Users of this id; by address only those who were not deleted.
async fn list(client: &Client, name: &str) -> Result<Vec<Uuid>, DbError> {
    let sql = "select u.id from auth.users u where u.id = $1
               union all
               select u.id from auth.users u
               where $1 is null and lower(u.email) = lower($2) and u.deleted_at is null
               limit $3";
    let id = Uuid::parse_str(name).ok();
    let rows =
        client.query_typed(sql, &[(&id, Type::UUID), (&name, Type::TEXT), (&MAX_NAMED, Type::INT8)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
