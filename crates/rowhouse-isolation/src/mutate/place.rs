//! What a kind of defect is, and what its statements are written from. Leaves the statements to the families.

use crate::prove::{Plan, Relation};
use crate::settings::WhoseRow;

/// A kind of defect.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// Statements that put it into a table; none where it does not fit.
    pub(crate) sql: fn(&Relation, &Plan) -> Option<String>,
}

/// Whether rows of the table are a tenant's or a user's by a column, and callers may do something with it.
pub(super) fn is_target(relation: &Relation, plan: &Plan) -> bool {
    relation.is_table()
        && relation.parents.is_empty()
        && relation.is_granted()
        && column(relation, plan).is_some()
        && relation.policies.iter().any(|policy| policy.is_for_callers)
}

/// The column that says whose a row is.
pub(super) fn column(relation: &Relation, plan: &Plan) -> Option<(String, WhoseRow)> {
    let declared = plan.settings.table.iter().find(|(_, table)| table.relation == relation.name);
    if let Some((_, table)) = declared {
        return Some((relation.column(table.column.as_deref()?)?.name.clone(), table.is));
    }
    let column = plan.scope.tenant_columns.iter().find_map(|name| relation.column(name))?;
    Some((column.name.clone(), WhoseRow::Tenant))
}

/// A policy for callers with its expression: for the verb, or for all.
pub(super) fn policy(relation: &Relation, command: &str) -> Option<(String, String)> {
    let fits = |wanted: &str| {
        relation
            .policies
            .iter()
            .find(|policy| policy.is_permissive && policy.is_for_callers && policy.command == wanted)
    };
    let found = fits(command).or_else(|| fits("*"))?;
    let expression = found.using.as_ref().or(found.check.as_ref())?;
    Some((found.name.clone(), expression.clone()))
}

/// A name beside the table, in its schema.
pub(super) fn beside(relation: &Relation, name: &str) -> String {
    format!("{}.{name}", schema(relation))
}

pub(super) fn schema(relation: &Relation) -> &str {
    let mut is_quoted = false;
    for (at, letter) in relation.name.char_indices() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => return &relation.name[..at],
            _ => {}
        }
    }
    &relation.name
}

/// A text column that no key, check or reference concerns.
pub(super) fn free_text(relation: &Relation) -> Option<&str> {
    let is_free = |name: &String| {
        !relation.keys.iter().any(|key| key.columns.contains(name))
            && !relation.references.iter().any(|one| one.columns.contains(name))
    };
    let text = relation.columns.iter().filter(|column| column.base == "text" && !column.is_fixed);
    text.map(|column| &column.name).find(|name| is_free(name)).map(String::as_str)
}
