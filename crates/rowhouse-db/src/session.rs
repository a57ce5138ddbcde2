//! Settings of the program's own sessions, whatever the server, the database or the login have. Those of the data API's
//! requests are in their context.

/// The schema `public` is the project's: a function or an operator in it can fit a call of the program better than
/// PostgreSQL's own.
pub(crate) const SET_SEARCH_PATH: &str = "set search_path = pg_catalog, pg_temp";

/// The database's search path and after it the extensions, as the data API's requests have them by default. Operators are named with
/// their schema: the path may lead to one of the project's, which would run as the program's login.
pub(crate) const PROJECT_SEARCH_PATH: &str = "reset search_path; select pg_catalog.set_config('search_path', \
     case when pg_catalog.current_setting('search_path') operator(pg_catalog.=) '' then 'extensions' \
     else pg_catalog.concat(pg_catalog.current_setting('search_path'), ', extensions') end, false)";

/// Backslashes in literals mean the same in every database.
pub(crate) const SET_STANDARD_STRINGS: &str = "set standard_conforming_strings = on";
