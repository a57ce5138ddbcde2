//! Inputs for building the levels of a read.

use rowhouse_db::catalog::{Snapshot, Table};

use super::column::Columns;
use super::node::{Qualifier, Source};
use crate::request::{ApiRequest, EmbedPath, SelectItem};

/// Builds nodes for one request.
#[derive(Clone, Copy)]
pub(super) struct Builder<'a> {
    pub(super) request: &'a ApiRequest,
    pub(super) snapshot: &'a Snapshot,
    pub(super) max_rows: Option<i64>,
    pub(super) allow_aggregates: bool,
}

/// Inputs for building a node.
pub(super) struct Place<'a, 'p> {
    pub(super) source: Source<'a>,
    pub(super) qualifier: Qualifier<'a>,
    /// Its name in PostgreSQL's messages.
    pub(super) relation: String,
    pub(super) columns: Columns<'a>,
    pub(super) table: Option<&'a Table>,
    pub(super) items: &'a [SelectItem],
    pub(super) path: &'p [String],
    pub(super) spread: bool,
}

impl<'a> Place<'a, '_> {
    /// Its table's name, or that of the function.
    pub(super) fn name(&self) -> &str {
        self.table.map_or(&self.relation, |table| &table.name.name)
    }
}

/// The items for the level at `path`.
pub(super) fn here<'a, T>(
    all: &'a [(EmbedPath, T)],
    path: &[String],
) -> impl Iterator<Item = &'a (EmbedPath, T)> {
    all.iter().filter(move |(way, _)| way == path)
}
