//! Paths of filters, orders and limits that name an aliased embed by its table: rewritten to the alias.
//!
//! Older versions of PostgREST accepted such names, and newer ones still do by default.

use super::query::Query;
use crate::request::{Embed, SelectItem};

/// Rewrites every path; returns the replaced names as (table, alias), each once.
pub(super) fn rename(query: &mut Query<'_>) -> Vec<(String, String)> {
    let mut renamed = Vec::new();
    let filters = query.filters.iter_mut().map(|(path, _)| path);
    let logic = query.logic.iter_mut().map(|(path, _)| path);
    let order = query.order.iter_mut().map(|(path, _)| path);
    let distinct = query.distinct.iter_mut().map(|(path, _)| path);
    let having = query.having.iter_mut().map(|(path, _)| path);
    let limits = query.limits.iter_mut().map(|limit| &mut limit.path);
    for path in filters.chain(logic).chain(order).chain(limits).chain(distinct).chain(having) {
        resolve(&query.select, path, &mut renamed);
    }
    renamed
}

/// A name that is the alias of an embed is never replaced.
fn resolve(select: &[SelectItem], path: &mut [String], renamed: &mut Vec<(String, String)>) {
    let mut items = select;
    for part in path {
        let embeds = || {
            items
                .iter()
                .filter_map(|item| if let SelectItem::Embed(embed) = item { Some(embed) } else { None })
        };
        let shown = embeds().find(|embed| embed.output_name() == part);
        let Some(embed): Option<&Embed> = shown.or_else(|| embeds().find(|embed| embed.relation == *part))
        else {
            return;
        };
        items = &embed.items;
        if let Some(alias) = embed.alias.as_ref().filter(|_| shown.is_none()) {
            let pair = (std::mem::replace(part, alias.clone()), alias.clone());
            if !renamed.contains(&pair) {
                renamed.push(pair);
            }
        }
    }
}

#[cfg(test)]
mod tests;
