//! Whose rows a relation holds: declared by `tenancy.protect`, `tenancy.share` or the settings, never guessed. Leaves making
//! rows to `row`.

use super::catalog::{Reference, Relation};
use crate::settings::{Reach, TableSettings, WhoseRow};

/// How a row is known to be somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A column has the id of a tenant, user or organization.
    Column { column: String, whose: WhoseRow },
    /// Columns refer to a row that is known to be somebody's.
    Via(Reference),
    /// The same rows for everybody, or nobody has said.
    Nobody,
}

/// What a proof takes as the meaning of a relation.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) scope: Scope,
    /// Who may read rows of others.
    pub(crate) read: Reach,
    /// Why nothing is proven by default: nobody has declared the relation.
    pub(crate) is_declared: bool,
}

/// What somebody has declared, by the name of the relation as SQL writes it.
pub(crate) fn declared(
    relation: &Relation,
    all: &[Relation],
    settings: &[TableSettings],
    tenant_columns: &[String],
) -> Declared {
    if let Some(table) = settings.iter().find(|table| table.relation == relation.name) {
        return by_settings(relation, table);
    }
    if let Some(parent) = relation.parents.iter().find_map(|name| all.iter().find(|one| &one.name == name)) {
        return declared(parent, all, settings, tenant_columns);
    }
    let column = tenant_columns.iter().find_map(|name| relation.column(name));
    let scope = column.map_or(Scope::Nobody, |column| Scope::Column {
        column: column.name.clone(),
        whose: WhoseRow::Tenant,
    });
    let is_declared = relation.is_protected || relation.is_shared || !relation.is_table();
    let read = if relation.is_shared { Reach::SignedIn } else { Reach::Own };
    Declared { scope, read, is_declared }
}

fn by_settings(relation: &Relation, table: &TableSettings) -> Declared {
    let column = table.column.as_deref().and_then(|name| relation.column(name));
    let via = table.via.as_deref().and_then(|name| relation.column(name));
    let reference = via.and_then(|via| {
        relation.references.iter().find(|reference| reference.columns.contains(&via.name)).cloned()
    });
    let scope = match (column, reference) {
        (Some(column), _) => Scope::Column { column: column.name.clone(), whose: table.is },
        (None, Some(reference)) => Scope::Via(reference),
        (None, None) => Scope::Nobody,
    };
    Declared { scope, read: table.read, is_declared: true }
}

/// What in the settings names nothing in the database, with its key.
pub(crate) fn mistakes<'a>(
    relations: &[Relation],
    settings: impl Iterator<Item = (&'a str, &'a TableSettings)>,
) -> Vec<String> {
    let wrong = |(key, table): (&str, &TableSettings)| {
        let relation = relations.iter().find(|relation| relation.name == table.relation);
        let Some(relation) = relation else {
            let name = &table.relation;
            return Some(format!(
                "rls.table.{key}.relation: there is no relation {name} in the served schemas"
            ));
        };
        let column = table.column.as_ref().filter(|name| relation.column(name).is_none());
        let via = table.via.as_ref().filter(|name| {
            let column = relation.column(name).map(|column| &column.name);
            !relation.references.iter().any(|one| column.is_some_and(|name| one.columns.contains(name)))
        });
        let no_column =
            column.map(|name| format!("rls.table.{key}.column: {} has no column {name}", table.relation));
        let refers = |name| format!("rls.table.{key}.via: {name} of {} refers to nothing", table.relation);
        no_column.or_else(|| via.map(refers))
    };
    settings.filter_map(wrong).collect()
}

impl Scope {
    /// Columns that say whose a row is.
    pub(crate) fn columns(&self) -> Vec<&str> {
        match self {
            Self::Column { column, .. } => vec![column],
            Self::Via(reference) => reference.columns.iter().map(String::as_str).collect(),
            Self::Nobody => Vec::new(),
        }
    }
}
