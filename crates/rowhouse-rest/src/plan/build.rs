//! Builds the levels of a read.

use std::collections::HashSet;

use rowhouse_db::catalog::Table;

use super::column::{Columns, is_bare_count};
use super::node::{Aggregated, EmbedNode, Qualifier, ReadNode, Selected, Source};
use super::place::{Builder, Place, here};
use super::{Condition, PlanError, ResolvedField, clause, column, embed, order, spread};
use crate::request::{Aggregate, Embed, IsValue, JsonKey, Operation, RowRange, SelectColumn, SelectItem};

impl<'a> Builder<'a> {
    /// The root of a read of `table`.
    pub(super) fn table(self, table: &'a Table) -> Result<ReadNode<'a>, PlanError> {
        let qualifier = Qualifier::of(&table.name);
        let mut root = self.root(Source::Table(table), qualifier, (&table.name.name, Columns::Of(table)))?;
        root.range = self.request.range.first(self.max_rows);
        Ok(root)
    }

    /// The root over rows that the statement itself produces, named `name`.
    pub(super) fn given(self, name: &'a str, columns: Columns<'a>) -> Result<ReadNode<'a>, PlanError> {
        self.root(Source::Cte, Qualifier::alias(name), (name, columns))
    }

    fn root(
        self,
        source: Source<'a>,
        qualifier: Qualifier<'a>,
        (relation, columns): (&str, Columns<'a>),
    ) -> Result<ReadNode<'a>, PlanError> {
        self.check_paths()?;
        let table = match columns {
            Columns::Of(table) => Some(table),
            Columns::Named(_) => None,
        };
        let relation = relation.to_owned();
        let items = &self.request.select;
        let place = Place { source, qualifier, relation, columns, table, items, path: &[], spread: false };
        let mut node = self.node(&place)?;
        number(&mut node, &mut 0);
        Ok(node)
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
                terms.iter().map(|term| order::order(term, place, &node.embeds)).collect::<Result<_, _>>()?;
        }
        if clause::compares(self.request) {
            clause::add(self, place, &mut node)?;
        } else if node.shows_aggregate() {
            clause::repeat_paths(&mut node);
        }
        node.comparable |= node.shows_aggregate();
        column::check(&node, place.columns, &place.relation)?;
        Ok(node)
    }

    /// A column; `*` is expanded where columns have to be grouped by or lifted.
    fn select(
        self,
        column: &'a SelectColumn,
        place: &Place<'a, '_>,
        found: &mut Vec<Selected<'a>>,
    ) -> Result<(), PlanError> {
        let field = ResolvedField::new(&column.field, place.table);
        let is_count = column.aggregate.is_none() && is_bare_count(&field, place.columns);
        let function = if is_count { Some(Aggregate::Count) } else { column.aggregate };
        if function.is_some() && !self.allow_aggregates {
            return Err(PlanError::Aggregates);
        }
        let plain = |field, alias| Selected {
            field,
            cast: None,
            aggregate: None,
            alias,
            whole_row: false,
            as_text: false,
        };
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
        if is_count {
            let aggregate = Some(Aggregated { function: Aggregate::Count, cast: column.cast.as_deref() });
            let alias = column.alias.as_deref().or(place.spread.then_some("count"));
            found.push(Selected { aggregate, ..plain(ResolvedField::ROW, alias) });
            return Ok(());
        }
        let aggregate =
            function.map(|function| Aggregated { function, cast: column.aggregate_cast.as_deref() });
        let default = match function {
            Some(function) if place.spread => Some(function.name()),
            Some(_) => None,
            None => last_key(column),
        };
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
        let relation = embed::find(self.snapshot, &self.request.schema, parent.table, parent.name(), embed)?;
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
        let mut node = self.node(&Place {
            source: Source::Table(table),
            qualifier: Qualifier::Embedded(0),
            relation: column::relation(&table.name.name, depth),
            columns: Columns::Of(table),
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

/// Numbers the embedded tables of the request.
fn number(node: &mut ReadNode<'_>, used: &mut usize) {
    for embed in &mut node.embeds {
        *used += 1;
        embed.node.qualifier = Qualifier::Embedded(*used);
        number(&mut embed.node, used);
    }
}

/// A JSON path is named after its last key; after the column, if it has none but numbers.
fn last_key(column: &SelectColumn) -> Option<&str> {
    if column.field.path.is_empty() {
        // PostgreSQL would otherwise name the column after the type.
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

/// Both would have the same key in the answer.
fn repeated(place: &Place<'_, '_>, embed: &EmbedNode<'_>) -> PlanError {
    let parent = place.table.map(|table| table.name.name.as_str()).unwrap_or_default();
    PlanError::RepeatedEmbed(format!("{parent}_{}_{}", embed.name, embed.depth))
}
