//! Which tenant is meant: by its id or its slug, as the live database or the backup knows it.

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use rowhouse_module::CannotRun;
use tokio_postgres::Client;
use uuid::Uuid;

const BY_ID: &str = "select id from tenancy.tenants where id = $1";
const BY_SLUG: &str = "select id from tenancy.tenants where slug = $1 order by id";

pub(super) async fn tenant(live: &Client, copy: &Client, text: &str) -> Result<TenantId, CannotRun> {
    let mut found = ids(live, text).await?;
    let in_backup = ids(copy, text).await?;
    found.extend(&in_backup);
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [] => Err(CannotRun::because(format!("no tenant has the id or slug \"{text}\""))),
        [one] => require_in(copy, *one).await,
        several => {
            let ids: Vec<String> = several.iter().map(Uuid::to_string).collect();
            Err(CannotRun::because(format!(
                "several tenants have the slug \"{text}\"; name one by its id: {}",
                ids.join(", ")
            )))
        }
    }
}

async fn require_in(copy: &Client, id: Uuid) -> Result<TenantId, CannotRun> {
    match by_id(copy, id).await?.is_empty() {
        true => Err(CannotRun::because(format!(
            "the backup has no tenant {id}: it was made later; choose a later target"
        ))),
        false => Ok(TenantId(id)),
    }
}

/// What reads as an id is one: whoever names a tenant could give it the id of another as its slug.
async fn ids(client: &Client, text: &str) -> Result<Vec<Uuid>, DbError> {
    match Uuid::try_parse(text) {
        Ok(id) => by_id(client, id).await,
        Err(_) => Ok(client.query(BY_SLUG, &[&text]).await?.iter().map(|row| row.get(0)).collect()),
    }
}

async fn by_id(client: &Client, id: Uuid) -> Result<Vec<Uuid>, DbError> {
    Ok(client.query(BY_ID, &[&id]).await?.iter().map(|row| row.get(0)).collect())
}
