//! A restored copy does not act: its jobs, and with them its mails, schedules and webhooks, rest until `backup activate`.

use std::sync::Arc;

use rowhouse_db::DbError;
use rowhouse_module::Assembly;

use crate::state;

/// Holds the worker back while the database is a copy; it asks again by itself.
pub(crate) fn start(assembly: &mut Assembly) {
    let control = assembly.origin.database.control.clone();
    assembly.prepare(Arc::new(move || {
        let control = control.clone();
        Box::pin(async move {
            // The slot is of no interest here.
            match state::read(&control, "").await?.copy_of {
                None => Ok(()),
                Some(backup) => Err(resting(&backup)),
            }
        })
    }));
}

fn resting(backup: &str) -> DbError {
    DbError::Unavailable(
        format!(
            "this database is a copy, restored from backup {backup}: its jobs, mails and schedules rest until `rowhouse backup \
             activate --yes`"
        )
        .into(),
    )
}
