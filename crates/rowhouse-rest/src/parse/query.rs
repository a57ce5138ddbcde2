//! The query string: split, decoded, and each parameter parsed by its grammar.

use super::cursor::{Cursor, Mistake};
use super::filter::{Place, operation, required};
use super::pair::{Pair, split};
use super::{QueryError, clause, content, logic, name, order, select};
use crate::request::{EmbedPath, Field, Filter, GroupFilter, Logic, OrderTerm, SelectItem};

/// A parsed query string; ranges are still numbers.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) select: Vec<SelectItem>,
    pub(super) filters: Vec<(EmbedPath, Filter)>,
    pub(super) logic: Vec<(EmbedPath, Logic)>,
    pub(super) order: Vec<(EmbedPath, Vec<OrderTerm>)>,
    pub(super) distinct: Vec<(EmbedPath, Vec<Field>)>,
    pub(super) having: Vec<(EmbedPath, Logic<GroupFilter>)>,
    pub(super) limits: Vec<LimitParameter>,
    pub(super) columns: Option<Vec<String>>,
    pub(super) on_conflict: Option<Vec<String>>,
    pub(super) arguments: Vec<(String, String)>,
    pub(super) pairs: Vec<Pair<'a>>,
    /// Remaining budget of logic trees' nodes.
    nodes: usize,
}

/// `limit` or `offset`, of the root or of an embed. A value that is not a number is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LimitParameter {
    pub(super) path: EmbedPath,
    pub(super) is_offset: bool,
    pub(super) value: Option<i64>,
}

/// Parses a query string. With `arguments`, parameters without an operator are arguments of a function.
pub(super) fn parse(text: &str, arguments: bool) -> Result<Query<'_>, QueryError> {
    let mut query = Query {
        select: Vec::new(),
        filters: Vec::new(),
        logic: Vec::new(),
        order: Vec::new(),
        distinct: Vec::new(),
        having: Vec::new(),
        limits: Vec::new(),
        columns: None,
        on_conflict: None,
        arguments: Vec::new(),
        pairs: split(text)?,
        nodes: content::MAX_NODES,
    };
    if text.len() > content::URL_BYTES {
        content::require_bounded(&query.pairs)?;
    }
    let mut select = None;
    let pairs = std::mem::take(&mut query.pairs);
    for (key, value) in &pairs {
        let Some(value) = value else { continue };
        match key.as_ref() {
            "select" if select.is_some() => {}
            "columns" if query.columns.is_some() => {}
            "on_conflict" if query.on_conflict.is_some() => {}
            "select" => select = Some(grammar("select parameter", value, value, select::parse)?),
            "columns" => query.columns = Some(grammar("columns parameter", value, value, name::names)?),
            "on_conflict" => {
                query.on_conflict = Some(grammar("on_conflict parameter", value, value, name::names)?);
            }
            key => query.take(key, value, arguments)?,
        }
    }
    query.select = select.unwrap_or_else(select::everything);
    query.pairs = pairs;
    Ok(query)
}

impl Query<'_> {
    /// Dispatches a parameter by the last part of its key.
    fn take(&mut self, key: &str, value: &str, arguments: bool) -> Result<(), QueryError> {
        match key.rsplit('.').next().unwrap_or(key) {
            "order" => {
                let (path, _) = grammar("tree path", key, key, name::tree_path)?;
                self.order.push((path, grammar("order", value, value, order::parse)?));
            }
            last @ ("limit" | "offset") => {
                let (path, _) = grammar("tree path", key, key, name::tree_path)?;
                self.limits.push(LimitParameter { path, is_offset: last == "offset", value: number(value) });
            }
            "and" | "or" => {
                let (path, operator) = grammar("logic path", key, key, logic::key)?;
                let tree = format!("{operator}{value}");
                let parse = |cursor: &mut Cursor<'_>| logic::parse(cursor, logic::filter, &mut self.nodes);
                let tree = grammar("logic tree", value, &tree, parse)?;
                self.logic.push((path, tree));
            }
            // No filter begins with a bracket, so columns of these names can still be filtered.
            "distinct" if clause::opens(value) => {
                let (path, _) = grammar("tree path", key, key, name::tree_path)?;
                self.distinct.push((path, grammar("distinct", value, value, clause::distinct)?));
            }
            "having" if clause::opens(value) => {
                let (path, _) = grammar("tree path", key, key, name::tree_path)?;
                let tree = format!("and{value}");
                let parse =
                    |cursor: &mut Cursor<'_>| logic::parse(cursor, clause::group_filter, &mut self.nodes);
                let tree = grammar("having", value, &tree, parse)?;
                self.having.push((path, tree));
            }
            _ => self.filter_or_argument(key, value, arguments)?,
        }
        Ok(())
    }

    fn filter_or_argument(&mut self, key: &str, value: &str, arguments: bool) -> Result<(), QueryError> {
        let (path, field) = grammar("tree path", key, key, name::tree_path)?;
        let found = grammar("filter", value, value, |cursor| match arguments {
            true => operation(cursor, Place::Parameter),
            false => required(cursor, Place::Parameter).map(Some),
        })?;
        match found {
            Some((negated, operation)) => self.filters.push((path, Filter { field, negated, operation })),
            None => self.arguments.push((field.name, value.to_owned())),
        }
        Ok(())
    }
}

/// Runs one grammar over `parsed`; an error shows `shown`, the text as the client wrote it.
fn grammar<T>(
    what: &str,
    shown: &str,
    parsed: &str,
    parse: impl FnOnce(&mut Cursor<'_>) -> Result<T, Mistake>,
) -> Result<T, QueryError> {
    parse(&mut Cursor::new(parsed)).map_err(|mistake| mistake.explain(what, shown, parsed))
}

/// A whole number; beyond 64 bits it is as large as they allow.
fn number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX }))
}
