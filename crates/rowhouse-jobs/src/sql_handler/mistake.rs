//! What the jobs of declared kinds would run into, as only the database knows. Leaves saying so to whoever starts.

use rowhouse_db::DbError;
use tokio_postgres::Client;

use crate::settings::{JobsSettings, KindHandler};

/// Functions of declared kinds that do not exist or that jobs may not call: each by its setting, with the remedy.
///
/// # Errors
/// If the database cannot be asked.
pub async fn mistakes(client: &Client, settings: &JobsSettings) -> Result<Vec<String>, DbError> {
    let mut found = Vec::new();
    for (name, kind) in settings.kinds.iter().filter(|(_, kind)| kind.handler == KindHandler::Sql) {
        if let Some(why) = mistake(client, &kind.function).await? {
            found.push(format!("jobs.kinds.\"{name}\".function: {why}"));
        }
    }
    Ok(found)
}

async fn mistake(client: &Client, function: &str) -> Result<Option<String>, DbError> {
    let sql = "select
          exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
            where n.nspname = name[1] and p.proname = name[2]),
          exists (select from jobs.allowed_functions a where a.schema_name = name[1] and a.function_name = name[2]),
          format('select jobs.allow_function(%L)', $1)
        from parse_ident(split_part($1, '(', 1)) as name";
    match client.query_one(sql, &[&function]).await.map_err(DbError::from) {
        Ok(row) if !row.get::<_, bool>(0) => {
            Ok(Some(format!("there is no function {function}; create it in a migration of the project")))
        }
        Ok(row) if !row.get::<_, bool>(1) => {
            let allow: String = row.get(2);
            Ok(Some(format!("jobs may not call {function}; run in a migration of the project: {allow}")))
        }
        Ok(_) => Ok(None),
        // Not a name.
        Err(DbError::Refused(why)) => Ok(Some(why.to_string())),
        Err(error) => Err(error),
    }
}
