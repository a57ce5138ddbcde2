//! What `doctor` says of backups: whether what is wanted is also done.

use rowhouse_db::DbError;
use tokio_postgres::Client;

use crate::source::slot_name;
use crate::state;

/// What is in order, in a sentence, or what is not, with the remedy.
///
/// # Errors
/// The database's.
pub async fn standing(client: &Client, is_embedded: bool) -> Result<Result<String, String>, DbError> {
    let off = || Ok(Ok("off; `rowhouse backup create` turns them on".to_owned()));
    let database = client.query_one("select current_database()::text", &[]).await?;
    let slot = slot_name(is_embedded, database.get(0));
    let Some(state) = state::read_with(client, &slot).await? else { return off() };
    if let Some(backup) = &state.copy_of {
        return Ok(Err(format!(
            "this database is a copy of backup {backup}, and its jobs rest; if it takes the original's place, run: rowhouse \
             backup activate --yes"
        )));
    }
    match state.trouble(&slot) {
        Some(why) => Ok(Err(why)),
        None if state.has_slot => Ok(Ok("on; `rowhouse backup list` prints them".to_owned())),
        None => off(),
    }
}
