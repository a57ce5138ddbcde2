//! Privacy: what is stored about a user as an export, and erasing a user so that a restored backup does not undo it.

pub(crate) mod command;
mod list;
pub(crate) mod route;
mod store;
