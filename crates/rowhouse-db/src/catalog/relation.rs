//! Relations between tables, derived from foreign keys once per snapshot.

use std::collections::HashMap;

use super::{QualifiedName, Table};

/// A foreign key as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// Constraint name.
    pub constraint: String,
    /// The table that refers.
    pub table: QualifiedName,
    /// Its columns, in key order.
    pub columns: Vec<String>,
    /// The table referred to.
    pub foreign: QualifiedName,
    /// The columns referred to, in the same order.
    pub foreign_columns: Vec<String>,
    /// The referring columns are a primary key or unique, so each foreign row has at most one referrer.
    pub one_to_one: bool,
}

/// A relation from one table to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Cardinality and kind.
    pub kind: RelationKind,
    /// The foreign key's name; for a junction the key towards this table.
    pub constraint: String,
    /// The other end.
    pub target: QualifiedName,
    /// Joined columns, (here, there); for a junction (here, junction). None when computed.
    pub columns: Vec<(String, String)>,
    /// The other end is a view.
    pub target_is_view: bool,
    /// Both ends are the same table.
    pub is_self: bool,
}

/// A relation that a function computes from a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComputedRelation {
    /// The function; the relation is named after it.
    pub function: QualifiedName,
    /// The table whose row it takes.
    pub table: QualifiedName,
    /// The table whose rows it returns.
    pub target: QualifiedName,
    /// Declared to return at most one row (no `setof`, or `rows 1`).
    pub to_one: bool,
}

impl From<ComputedRelation> for Relation {
    fn from(computed: ComputedRelation) -> Self {
        Self {
            is_self: computed.table == computed.target,
            kind: RelationKind::Computed {
                function: computed.function,
                source: computed.table,
                to_one: computed.to_one,
            },
            constraint: String::new(),
            target: computed.target,
            columns: Vec::new(),
            target_is_view: false,
        }
    }
}

impl Relation {
    /// True when at most one row is found.
    #[must_use]
    pub fn is_to_one(&self) -> bool {
        matches!(
            self.kind,
            RelationKind::ManyToOne
                | RelationKind::OneToOne { .. }
                | RelationKind::Computed { to_one: true, .. }
        )
    }
}

/// The cardinality of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelationKind {
    /// This table refers.
    ManyToOne,
    /// This table refers, or is referred to, by a unique key.
    OneToOne {
        /// This table is the one referred to.
        referred: bool,
    },
    /// This table is referred to.
    OneToMany,
    /// Both are referred to by a junction whose primary key holds both keys.
    ManyToMany(Box<Junction>),
    /// A function of this table's row returns the other's.
    Computed {
        /// The function.
        function: QualifiedName,
        /// This table, whose row is the argument.
        source: QualifiedName,
        /// At most one row.
        to_one: bool,
    },
}

impl RelationKind {
    fn junction(&self) -> Option<&QualifiedName> {
        if let Self::ManyToMany(junction) = self { Some(&junction.table) } else { None }
    }

    /// The order in which candidates are listed.
    fn rank(&self) -> u8 {
        match self {
            Self::OneToMany => 0,
            Self::ManyToOne => 1,
            Self::OneToOne { .. } => 2,
            Self::ManyToMany(_) => 3,
            Self::Computed { .. } => 4,
        }
    }
}

/// The table in the middle of a many-to-many relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Junction {
    /// The junction.
    pub table: QualifiedName,
    /// The foreign key towards the target.
    pub constraint: String,
    /// (target, junction) columns of that key.
    pub columns: Vec<(String, String)>,
}

/// Fills `relations` of every table from the foreign keys whose both ends are served.
pub(super) fn relate(mut tables: Vec<Table>, keys: &[ForeignKey]) -> Vec<Table> {
    let views: HashMap<QualifiedName, bool> =
        tables.iter().map(|table| (table.name.clone(), table.is_view)).collect();
    let mut from: HashMap<&QualifiedName, Vec<&ForeignKey>> = HashMap::new();
    for key in keys.iter().filter(|key| views.contains_key(&key.table)) {
        from.entry(&key.table).or_default().push(key);
    }
    let mut found: HashMap<QualifiedName, Vec<Relation>> = HashMap::new();
    for key in from.values().flatten().filter(|key| views.contains_key(&key.foreign)) {
        let (forth, back) = both_ways(key);
        found.entry(key.table.clone()).or_default().push(forth);
        found.entry(key.foreign.clone()).or_default().push(back);
    }
    for table in &tables {
        for (from, relation) in junctions(table, from.get(&table.name).map_or(&[], Vec::as_slice)) {
            if views.contains_key(&relation.target) {
                found.entry(from).or_default().push(relation);
            }
        }
    }
    for table in &mut tables {
        let mut relations = found.remove(&table.name).unwrap_or_default();
        for relation in &mut relations {
            relation.target_is_view = views.get(&relation.target).copied().unwrap_or_default();
            relation.is_self = relation.target == table.name;
        }
        relations.sort_by(|left, right| {
            (&left.target, left.kind.rank(), left.kind.junction(), &left.constraint, &left.columns).cmp(&(
                &right.target,
                right.kind.rank(),
                right.kind.junction(),
                &right.constraint,
                &right.columns,
            ))
        });
        table.relations = relations;
    }
    tables
}

fn both_ways(key: &ForeignKey) -> (Relation, Relation) {
    let pairs: Vec<(String, String)> =
        key.columns.iter().cloned().zip(key.foreign_columns.iter().cloned()).collect();
    let kind = |referred| match (key.one_to_one, referred) {
        (true, referred) => RelationKind::OneToOne { referred },
        (false, true) => RelationKind::OneToMany,
        (false, false) => RelationKind::ManyToOne,
    };
    let back = pairs.iter().map(|(here, there)| (there.clone(), here.clone())).collect();
    let constraint = &key.constraint;
    (
        Relation {
            kind: kind(false),
            constraint: constraint.clone(),
            target: key.foreign.clone(),
            columns: pairs,
            target_is_view: false,
            is_self: false,
        },
        Relation {
            kind: kind(true),
            constraint: constraint.clone(),
            target: key.table.clone(),
            columns: back,
            target_is_view: false,
            is_self: false,
        },
    )
}

/// Many-to-many relations through `table`: pairs of its foreign keys that lie within its primary key.
fn junctions(table: &Table, keys: &[&ForeignKey]) -> Vec<(QualifiedName, Relation)> {
    let within: Vec<&&ForeignKey> = keys
        .iter()
        .filter(|key| !key.one_to_one)
        .filter(|key| key.columns.iter().all(|column| table.primary_key.contains(column)))
        .collect();
    let swapped =
        |key: &ForeignKey| key.foreign_columns.iter().cloned().zip(key.columns.iter().cloned()).collect();
    let mut found = Vec::new();
    for near in &within {
        for far in within.iter().filter(|far| far.constraint != near.constraint) {
            let junction = Junction {
                table: table.name.clone(),
                constraint: far.constraint.clone(),
                columns: swapped(far),
            };
            let relation = Relation {
                kind: RelationKind::ManyToMany(Box::new(junction)),
                constraint: near.constraint.clone(),
                target: far.foreign.clone(),
                columns: swapped(near),
                target_is_view: false,
                is_self: false,
            };
            found.push((near.foreign.clone(), relation));
        }
    }
    found
}
