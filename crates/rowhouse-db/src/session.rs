//! Settings of the program's own sessions, whatever the server, the database or the login have. Those of the data API's
//! requests are in their context.

/// The schema `public` is the project's: a function or an operator in it can fit a call of the program better than
/// PostgreSQL's own.
pub(crate) const SET_SEARCH_PATH: &str = "set search_path = pg_catalog, pg_temp";

/// Backslashes in literals mean the same in every database.
pub(crate) const SET_STANDARD_STRINGS: &str = "set standard_conforming_strings = on";
