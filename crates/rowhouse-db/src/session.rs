//! Settings of the program's own sessions, whatever the server, the database or the login have. Those of the data API's
//! requests are in their context.

/// The schema `public` is the project's: a function or an operator in it can fit a call of the program better than
/// PostgreSQL's own.
pub(crate) const SET_SEARCH_PATH: &str = "set search_path = pg_catalog, pg_temp";

/// The database's search path and after it the extensions, as the data API's requests have them by default.
pub(crate) const PROJECT_SEARCH_PATH: &str = "reset search_path; select pg_catalog.set_config('search_path', \
     pg_catalog.concat_ws(', ', nullif(pg_catalog.current_setting('search_path'), ''), 'extensions'), false)";

/// Backslashes in literals mean the same in every database.
pub(crate) const SET_STANDARD_STRINGS: &str = "set standard_conforming_strings = on";
