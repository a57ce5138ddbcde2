//! Where the program's own statements look names up. That of the data API's requests is in their context.

/// The schema `public` is the project's: a function or an operator in it can fit a call of the program better than
/// PostgreSQL's own.
pub(crate) const SET_SEARCH_PATH: &str = "set search_path = pg_catalog, pg_temp";
