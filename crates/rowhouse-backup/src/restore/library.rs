//! Libraries that a copy's configuration names: one such as pg_cron would act as the original does, beside it. Those of its files are turned
//! off by `config`; roles and databases have settings that no file overrides. Leaves telling to the callers.

use rowhouse_db::DbError;
use serde_json::{Value, json};
use tokio_postgres::Client;

/// What the original's files say, before the lines that `config` has written at their end.
const OF_FILES: &str = "
    select name || ' = ' || setting from (
      select lower(name) as name, setting, row_number() over (partition by lower(name) order by seqno desc) as place
      from pg_file_settings
      where lower(name) in ('shared_preload_libraries', 'session_preload_libraries', 'local_preload_libraries')
    ) entry where place = 2 and setting <> '' order by 1";

/// What keeps each role and database from it.
const OF_ROLES: &str = "
    select format('alter %s reset %s', case
        when r.oid is null and d.oid is null then 'role all'
        when r.oid is null then format('database %I', d.datname)
        when d.oid is null then format('role %I', r.rolname)
        else format('role %I in database %I', r.rolname, d.datname)
      end, split_part(pair, '=', 1))
    from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase
      cross join lateral unnest(s.setconfig) pair
    where split_part(pair, '=', 1) in ('session_preload_libraries', 'local_preload_libraries') and split_part(pair, '=', 2) <> ''
    order by 1";

/// Libraries by the settings that name them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Libraries {
    /// Settings of files that are turned off in the copy.
    off: Vec<String>,
    /// Statements that turn off what its sessions load.
    loaded: Vec<String>,
}

impl Libraries {
    /// Those of a copy whose server runs.
    pub(super) async fn find(client: &Client) -> Result<Self, DbError> {
        let texts = async |sql: &str| -> Result<Vec<String>, DbError> {
            Ok(client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
        };
        Ok(Self { off: texts(OF_FILES).await?, loaded: texts(OF_ROLES).await? })
    }

    pub(crate) fn document(&self) -> Value {
        json!({ "not_loaded": self.off, "remedies": self.loaded })
    }

    /// For people; empty without any.
    pub(crate) fn told(&self) -> String {
        let mut told = String::new();
        if !self.off.is_empty() {
            told.push_str(&format!(
                "\nit does not load the libraries of the original: {}; if it needs them, remove the line at the end of its \
                 postgresql.auto.conf",
                self.off.join("; ")
            ));
        }
        if !self.loaded.is_empty() {
            told.push_str(&format!(
                "\nits sessions load libraries that roles or databases name; if they are not to, run in it: {}",
                self.loaded.join("; ")
            ));
        }
        told
    }
}
