//! One level of a read: where rows come from, which columns, conditions, order, range, and what is embedded.

use std::collections::HashSet;

use rowhouse_db::catalog::{Relation, Snapshot, Table};

use super::spread::{self, Lifted};
use super::{Condition, Measure, PlanError, ResolvedField, clause, embed};
use crate::request::{
    Aggregate, ApiRequest, Direction, Embed, EmbedPath, IsValue, JoinType, JsonKey, Nulls, Operation,
};
use crate::request::{OrderTerm, RowRange, SelectColumn, SelectItem};

/// A level of a read. The root has no relation; an embed is joined to its parent.
#[derive(Debug)]
pub(crate) struct ReadNode<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) qualifier: Qualifier<'a>,
    /// Empty: every column.
    pub(crate) select: Vec<Selected<'a>>,
    pub(crate) conditions: Vec<Condition<'a>>,
    pub(crate) having: Vec<Condition<'a>>,
    pub(crate) distinct: Option<Distinct<'a>>,
    pub(crate) order: Vec<OrderBy<'a>>,
    pub(crate) range: RowRange,
    pub(crate) embeds: Vec<EmbedNode<'a>>,
    /// Embedded JSON may be grouped by, so it must be of a type that can be compared.
    pub(crate) comparable: bool,
}

impl ReadNode<'_> {
    /// Something other than what is shown asks for groups.
    pub(crate) fn is_grouped(&self) -> bool {
        let by_aggregate = |order: &OrderBy<'_>| matches!(order.by, Ordering::Aggregate(_));
        !self.having.is_empty() || self.order.iter().any(by_aggregate)
    }
}

/// Which rows count as one.
#[derive(Debug)]
pub(crate) enum Distinct<'a> {
    /// Those that are shown alike.
    Rows,
    /// Those that agree in these; the order begins with them.
    On(Vec<Ordering<'a>>),
}

/// Where rows come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    Table(&'a Table),
    /// The rows written or returned by the statement's first part.
    Cte,
}

/// How columns are told apart. Errors from PostgreSQL show it, so the root keeps its own name.
#[derive(Debug, Clone)]
pub(crate) enum Qualifier<'a> {
    Table {
        schema: &'a str,
        name: &'a str,
    },
    Alias(&'a str),
    /// A table at a depth below the root.
    Numbered {
        name: &'a str,
        depth: usize,
    },
}

#[derive(Debug)]
pub(crate) struct Selected<'a> {
    pub(crate) field: ResolvedField<'a>,
    pub(crate) cast: Option<&'a str>,
    pub(crate) aggregate: Option<Aggregated<'a>>,
    pub(crate) alias: Option<&'a str>,
    /// The row as one value, to be counted further up.
    pub(crate) whole_row: bool,
}

/// An aggregate, and the type that its result is cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aggregated<'a> {
    pub(crate) function: Aggregate,
    pub(crate) cast: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct OrderBy<'a> {
    pub(crate) by: Ordering<'a>,
    pub(crate) direction: Option<Direction>,
    pub(crate) nulls: Option<Nulls>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Ordering<'a> {
    Column(ResolvedField<'a>),
    /// The shown column with this place, counted from one.
    Shown(usize),
    Aggregate(Measure<'a>),
    /// A column of the embed with this place.
    Embed {
        place: usize,
        field: ResolvedField<'a>,
    },
}

/// An embedded read.
#[derive(Debug)]
pub(crate) struct EmbedNode<'a> {
    pub(crate) name: &'a str,
    pub(crate) depth: usize,
    pub(crate) relation: &'a Relation,
    pub(crate) joined: Joined,
    /// Nothing was asked of it: it joins and filters, and is not shown.
    pub(crate) is_hidden: bool,
    /// Its columns are shown as the parent's.
    pub(crate) spread: Option<Vec<Lifted<'a>>>,
    pub(crate) node: ReadNode<'a>,
}

pub(crate) type Joined = JoinType;

/// Builds nodes for one request.
#[derive(Clone, Copy)]
pub(super) struct Builder<'a> {
    pub(super) request: &'a ApiRequest,
    pub(super) snapshot: &'a Snapshot,
    pub(super) max_rows: Option<i64>,
    pub(super) allow_aggregates: bool,
}

/// What a node is built from.
pub(super) struct Place<'a, 'p> {
    source: Source<'a>,
    qualifier: Qualifier<'a>,
    pub(super) table: Option<&'a Table>,
    pub(super) items: &'a [SelectItem],
    pub(super) path: &'p [String],
    pub(super) spread: bool,
}

impl<'a> Builder<'a> {
    /// The root of a read of `table`.
    pub(super) fn table(self, table: &'a Table) -> Result<ReadNode<'a>, PlanError> {
        let qualifier = Qualifier::Table { schema: &table.name.schema, name: &table.name.name };
        let mut root = self.root(Source::Table(table), qualifier, Some(table))?;
        root.range = self.request.range.first(self.max_rows);
        Ok(root)
    }

    /// The root over rows that the statement itself gives, known as `name`.
    pub(super) fn given(self, name: &'a str, table: Option<&'a Table>) -> Result<ReadNode<'a>, PlanError> {
        self.root(Source::Cte, Qualifier::Alias(name), table)
    }

    fn root(
        self,
        source: Source<'a>,
        qualifier: Qualifier<'a>,
        table: Option<&'a Table>,
    ) -> Result<ReadNode<'a>, PlanError> {
        self.check_paths()?;
        self.node(&Place { source, qualifier, table, items: &self.request.select, path: &[], spread: false })
    }

    /// Every filter, order and limit must be for something selected.
    fn check_paths(self) -> Result<(), PlanError> {
        let request = self.request;
        let filters = request.filters.iter().map(|(path, _)| path);
        let logic = request.logic.iter().map(|(path, _)| path);
        let order = request.order.iter().map(|(path, _)| path);
        let distinct = request.distinct.iter().map(|(path, _)| path);
        let having = request.having.iter().map(|(path, _)| path);
        let ranges = request.embed_ranges.iter().map(|(path, _)| path);
        let all = filters.chain(logic).chain(order).chain(distinct).chain(having).chain(ranges);
        for path in all.filter(|path| !path.is_empty()) {
            embed::check_path(&request.select, path)?;
        }
        Ok(())
    }

    fn node(self, place: &Place<'a, '_>) -> Result<ReadNode<'a>, PlanError> {
        let mut node = ReadNode {
            source: place.source,
            qualifier: place.qualifier.clone(),
            select: Vec::new(),
            conditions: Vec::new(),
            having: Vec::new(),
            distinct: None,
            order: Vec::new(),
            range: RowRange::ALL,
            embeds: Vec::new(),
            comparable: clause::compares_whole(self.request)
                || (self.allow_aggregates && spread::has_aggregates(&self.request.select)),
        };
        let mut names = HashSet::new();
        for item in place.items {
            match item {
                SelectItem::Column(column) => self.select(column, place, &mut node.select)?,
                SelectItem::Embed(embed) => {
                    let found = self.embed(embed, place)?;
                    if !names.insert(found.name) {
                        return Err(repeated(place, &found));
                    }
                    node.embeds.push(found);
                }
            }
        }
        node.conditions = self.conditions(place, &node.embeds);
        if let Some((_, terms)) = self.request.order.iter().find(|(path, _)| path == place.path) {
            node.order =
                terms.iter().map(|term| order(term, place, &node.embeds)).collect::<Result<_, _>>()?;
        }
        if clause::compares(self.request) {
            clause::add(self, place, &mut node)?;
        }
        Ok(node)
    }

    /// A column; of `*` every column by name where names are needed, to be grouped by or lifted.
    fn select(
        self,
        column: &'a SelectColumn,
        place: &Place<'a, '_>,
        found: &mut Vec<Selected<'a>>,
    ) -> Result<(), PlanError> {
        if column.aggregate.is_some() && !self.allow_aggregates {
            return Err(PlanError::Aggregates);
        }
        let plain = |field, alias| Selected { field, cast: None, aggregate: None, alias, whole_row: false };
        let is_star = column.field.name == "*" && column.aggregate.is_none();
        let by_name = place.spread
            || place.items.iter().any(spread::is_aggregate)
            || place.table.is_some_and(|t| t.columns.iter().any(|c| c.representation.to_json.is_some()))
            || clause::compares_at(self.request, place.path);
        if let Some(table) = place.table.filter(|_| is_star && by_name) {
            found.extend(table.columns.iter().map(|column| {
                let alias = column.representation.to_json.as_ref().map(|_| column.name.as_str());
                plain(ResolvedField::column(column), alias)
            }));
            return Ok(());
        }
        let function = column.aggregate;
        let aggregate =
            function.map(|function| Aggregated { function, cast: column.aggregate_cast.as_deref() });
        let default = match function {
            Some(function) if place.spread => Some(spread::name_of(function)),
            Some(_) => None,
            None => last_key(column),
        };
        let field = ResolvedField::new(&column.field, place.table);
        let converted = field.shown_by().filter(|_| function.is_none()).map(|_| field.name);
        let alias = column.alias.as_deref().or(default).or(converted);
        found.push(Selected { cast: column.cast.as_deref(), aggregate, ..plain(field, alias) });
        Ok(())
    }

    fn conditions(self, place: &Place<'a, '_>, embeds: &[EmbedNode<'a>]) -> Vec<Condition<'a>> {
        let mut conditions = Vec::new();
        for (_, logic) in here(&self.request.logic, place.path) {
            conditions.push(Condition::logic(logic, place.table));
        }
        for (_, filter) in here(&self.request.filters, place.path) {
            conditions.push(Condition::filter(filter, place.table));
        }
        for condition in &mut conditions {
            about_embeds(condition, embeds);
        }
        conditions
    }

    fn embed(self, embed: &'a Embed, parent: &Place<'a, '_>) -> Result<EmbedNode<'a>, PlanError> {
        let relation =
            embed::find(self.snapshot, &self.request.schema, parent.table, &parent.qualifier, embed)?;
        let table = self.snapshot.table(&relation.target.schema, &relation.target.name).ok_or_else(|| {
            PlanError::UnknownTable {
                schema: relation.target.schema.clone(),
                table: relation.target.name.clone(),
                like: None,
            }
        })?;
        let mut path = parent.path.to_vec();
        path.push(embed.output_name().to_owned());
        let depth = path.len();
        let qualifier = Qualifier::Numbered { name: &table.name.name, depth };
        let source = Source::Table(table);
        let mut node = self.node(&Place {
            source,
            qualifier,
            table: Some(table),
            items: &embed.items,
            path: &path,
            spread: embed.spread,
        })?;
        let range =
            self.request.embed_ranges.iter().find(|(way, _)| *way == path).map_or(RowRange::ALL, |(_, r)| *r);
        node.range = range.first(self.max_rows);
        let is_hidden = node.select.is_empty() && node.embeds.iter().all(|embed| embed.is_hidden);
        let name = embed.output_name();
        let spread = if embed.spread { Some(spread::lift(&mut node, relation.is_to_one())?) } else { None };
        Ok(EmbedNode { name, depth, relation, joined: embed.join, is_hidden, spread, node })
    }
}

/// What is meant for the level at `path`.
pub(super) fn here<'a, T>(
    all: &'a [(EmbedPath, T)],
    path: &[String],
) -> impl Iterator<Item = &'a (EmbedPath, T)> {
    all.iter().filter(move |(way, _)| way == path)
}

/// A JSON path is named after its last key; after the column, if it has none but numbers.
fn last_key(column: &SelectColumn) -> Option<&str> {
    if column.field.path.is_empty() {
        // A cast would otherwise name the column after the type.
        return column.cast.as_ref().map(|_| column.field.name.as_str());
    }
    let key = column.field.path.iter().rev().find_map(|step| match &step.key {
        JsonKey::Name(name) => Some(name.as_str()),
        JsonKey::Index(_) => None,
    });
    Some(key.unwrap_or(&column.field.name))
}

/// `relation=is.null` asks about the embed of that name rather than about a column.
fn about_embeds(condition: &mut Condition<'_>, embeds: &[EmbedNode<'_>]) {
    match condition {
        Condition::Group { items, .. } => items.iter_mut().for_each(|item| about_embeds(item, embeds)),
        Condition::Filter {
            field,
            negated,
            operation: Operation::Is(is @ (IsValue::Null | IsValue::NotNull)),
        } => {
            let place = embeds.iter().position(|embed| field.path.is_empty() && embed.name == field.name);
            if let Some(place) = place {
                let absent = (*is == IsValue::Null) != *negated;
                *condition = Condition::HasEmbed { place, negated: absent };
            }
        }
        _ => {}
    }
}

/// Shown, one would hide the other.
fn repeated(place: &Place<'_, '_>, embed: &EmbedNode<'_>) -> PlanError {
    let parent = place.table.map(|table| table.name.name.as_str()).unwrap_or_default();
    PlanError::RepeatedEmbed(format!("{parent}_{}_{}", embed.name, embed.depth))
}

fn order<'a>(
    term: &'a OrderTerm,
    place: &Place<'a, '_>,
    embeds: &[EmbedNode<'a>],
) -> Result<OrderBy<'a>, PlanError> {
    let by = match (&term.relation, &term.applied) {
        (None, Some(applied)) => Ordering::Aggregate(Measure::new(&term.field, applied, place.table)),
        (None, None) => Ordering::Column(ResolvedField::new(&term.field, place.table)),
        (Some(relation), _) => {
            let Some(at) = embeds.iter().position(|embed| embed.name == relation) else {
                return Err(PlanError::NotEmbedded { target: relation.clone(), alias: None });
            };
            if !embeds[at].relation.is_to_one() {
                let origin = place.table.map(|table| table.name.name.clone()).unwrap_or_default();
                return Err(PlanError::RelatedOrder { origin, target: relation.clone() });
            }
            Ordering::Embed { place: at, field: ResolvedField::new(&term.field, None) }
        }
    };
    Ok(OrderBy { by, direction: term.direction, nulls: term.nulls })
}
