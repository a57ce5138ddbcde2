//! The schema snapshot: the objects that the data API serves, with look-ups by name.
//!
//! A snapshot is immutable and can be built by hand in a test. Leaves reading it from PostgreSQL to [`load`], and
//! replacing it to the data API.

mod function;
mod handler;
mod key;
mod load;
mod relation;
mod view;

use std::collections::{HashMap, HashSet};

pub use function::{Argument, Function, Returns, Volatility};
pub use handler::{HandlerSource, MediaHandler};
pub use load::load;
pub use relation::{ComputedRelation, ForeignKey, Junction, Relation, RelationKind};

/// A schema-qualified name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct QualifiedName {
    /// Schema.
    pub schema: String,
    /// Name inside the schema.
    pub name: String,
}

impl QualifiedName {
    /// `schema.name`.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

/// One column of a table or view.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type as SQL text, schema-qualified outside `pg_catalog`, with its modifier: `character varying(20)`.
    pub type_name: String,
    /// The type beneath any domains, without modifier.
    pub base_type: String,
    /// May hold NULL.
    pub nullable: bool,
    /// Default as SQL text with qualified names; a sequence's `nextval` for identity columns.
    pub default: Option<String>,
    /// Functions of the column's domain between it and what clients see, as SQL text.
    pub representation: Representation,
    /// `generated always`: only the database gives it values.
    pub is_generated: bool,
}

/// Implicit casts of a domain: how its values are shown and read. SQL text of function names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Representation {
    /// Domain to `json`: how values are shown.
    pub to_json: Option<String>,
    /// `json` to domain: how values in bodies are read.
    pub from_json: Option<String>,
    /// `text` to domain: how values in filters are read.
    pub from_text: Option<String>,
}

impl Column {
    /// A nullable column without a default.
    pub fn new(name: impl Into<String>, type_name: impl Into<String>) -> Self {
        let type_name = type_name.into();
        Self {
            name: name.into(),
            base_type: type_name.clone(),
            type_name,
            nullable: true,
            default: None,
            representation: Representation::default(),
            is_generated: false,
        }
    }
}

/// A table, partitioned parent, foreign table, view or materialized view.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Where it is.
    pub name: QualifiedName,
    /// View or materialized view.
    pub is_view: bool,
    /// `INSERT` can succeed.
    pub insertable: bool,
    /// `UPDATE` can succeed.
    pub updatable: bool,
    /// `DELETE` can succeed.
    pub deletable: bool,
    /// Columns in their order.
    pub columns: Vec<Column>,
    /// Primary key columns in key order; a view has those of the tables whose key it shows. Empty without one.
    pub primary_key: Vec<String>,
    /// Unique constraints, each with its columns in key order.
    pub unique: Vec<Vec<String>>,
    /// Names of computed columns: functions of the project over the table's row.
    pub computed: Vec<String>,
    /// How other served tables can be reached. Filled by [`Snapshot::new`].
    pub relations: Vec<Relation>,
}

impl Table {
    /// The column called `name`. Linear, since tables have few columns.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether `name` is a column or a computed column.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.column(name).is_some() || self.computed.iter().any(|computed| computed == name)
    }
}

/// The objects of one served schema.
#[derive(Debug, Clone, Default)]
struct Served {
    tables: HashMap<String, Table>,
    functions: HashMap<String, Vec<Function>>,
}

/// Everything the data API knows about the database.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    schemas: Vec<String>,
    served: HashMap<String, Served>,
    handlers: Vec<MediaHandler>,
    features: Option<QualifiedName>,
    enums: HashMap<String, Vec<String>>,
    roles: HashMap<String, Vec<(String, String)>>,
    bypassing: HashSet<String>,
}

impl Snapshot {
    /// Builds a snapshot of `schemas` (the first is the default); objects of other schemas are dropped.
    #[must_use]
    pub fn new(
        schemas: &[String],
        tables: Vec<Table>,
        functions: Vec<Function>,
        keys: &[ForeignKey],
    ) -> Self {
        let mut served: HashMap<String, Served> =
            schemas.iter().map(|s| (s.clone(), Served::default())).collect();
        for table in relation::relate(tables, keys) {
            if let Some(schema) = served.get_mut(&table.name.schema) {
                schema.tables.insert(table.name.name.clone(), table);
            }
        }
        for function in functions {
            if let Some(schema) = served.get_mut(&function.name.schema) {
                schema.functions.entry(function.name.name.clone()).or_default().push(function);
            }
        }
        for overloads in served.values_mut().flat_map(|schema| schema.functions.values_mut()) {
            overloads.sort_by_key(|function| function.arguments.len());
        }
        Self { schemas: schemas.to_vec(), served, ..Self::default() }
    }

    /// Adds relations that functions compute. One that is named like a table takes the place of the detected
    /// relations to that table.
    #[must_use]
    pub fn with_computed(mut self, computed: Vec<ComputedRelation>) -> Self {
        for relation in computed {
            let served = self.served.get_mut(&relation.table.schema);
            if let Some(table) = served.and_then(|served| served.tables.get_mut(&relation.table.name)) {
                table.relations.retain(|detected| {
                    detected.target != relation.function
                        || matches!(detected.kind, RelationKind::Computed { .. })
                });
                table.relations.push(relation.into());
            }
        }
        self
    }

    /// Adds a setting of a role (`alter role … set`).
    pub fn set_for_role(&mut self, role: &str, name: String, value: String) {
        self.roles.entry(role.to_owned()).or_default().push((name, value));
    }

    /// Settings of a role, (name, value); `set role` alone does not apply them.
    #[must_use]
    pub fn role_settings(&self, role: &str) -> &[(String, String)] {
        self.roles.get(role).map_or(&[], Vec::as_slice)
    }

    /// Adds a role to which row-level security does not apply.
    pub fn let_bypass_row_security(&mut self, role: String) {
        self.bypassing.insert(role);
    }

    /// Whether row-level security does not apply to a role.
    #[must_use]
    pub fn bypasses_row_security(&self, role: &str) -> bool {
        self.bypassing.contains(role)
    }

    /// Adds the project's media type handlers.
    #[must_use]
    pub fn with_handlers(mut self, handlers: Vec<MediaHandler>) -> Self {
        self.handlers = handlers;
        self
    }

    /// The project's media type handlers; few, so searched linearly.
    #[must_use]
    pub fn handlers(&self) -> &[MediaHandler] {
        &self.handlers
    }

    /// Adds an enumerated type, named as columns name it, with its labels in order.
    pub fn add_enum(&mut self, type_name: String, labels: Vec<String>) {
        self.enums.insert(type_name, labels);
    }

    /// Labels of an enumerated type in order; none when `type_name` is not one.
    #[must_use]
    pub fn enum_labels(&self, type_name: &str) -> Option<&[String]> {
        self.enums.get(type_name).map(Vec::as_slice)
    }

    /// Names the function that makes a GeoJSON feature of a row: PostGIS's `st_asgeojson(record)`.
    pub fn make_features_with(&mut self, function: QualifiedName) {
        self.features = Some(function);
    }

    /// The function that makes a GeoJSON feature of a row; none without PostGIS.
    #[must_use]
    pub fn feature_maker(&self) -> Option<&QualifiedName> {
        self.features.as_ref()
    }

    /// The served schemas; the first is the default.
    #[must_use]
    pub fn schemas(&self) -> &[String] {
        &self.schemas
    }

    /// A table or view.
    #[must_use]
    pub fn table(&self, schema: &str, name: &str) -> Option<&Table> {
        self.served.get(schema)?.tables.get(name)
    }

    /// All functions of one name, fewest arguments first; empty when there is none.
    #[must_use]
    pub fn functions(&self, schema: &str, name: &str) -> &[Function] {
        self.served.get(schema).and_then(|served| served.functions.get(name)).map_or(&[], Vec::as_slice)
    }

    /// Names of all tables of a schema, in no order.
    pub fn table_names(&self, schema: &str) -> impl Iterator<Item = &str> {
        self.served.get(schema).into_iter().flat_map(|served| served.tables.keys().map(String::as_str))
    }

    /// Names of all functions of a schema, in no order.
    pub fn function_names(&self, schema: &str) -> impl Iterator<Item = &str> {
        self.served.get(schema).into_iter().flat_map(|served| served.functions.keys().map(String::as_str))
    }
}

#[cfg(test)]
mod tests;
