//! `explain (format json, verbose)` as a tree of nodes. Numbers are PostgreSQL's; missing ones are `None`.

use serde::Serialize;
use serde_json::{Map, Value};

/// Labels under which PostgreSQL shows what a node checks.
const CONDITIONS: [&str; 10] = [
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
    "TID Cond",
    "Order By",
    "Conflict Filter",
];

/// A whole plan.
#[derive(Debug, Clone, Serialize)]
pub struct Tree {
    /// The topmost node.
    pub root: Node,
    /// Milliseconds spent planning.
    pub planning_ms: Option<f64>,
    /// Milliseconds spent running; none without `analyze`.
    pub execution_ms: Option<f64>,
}

/// One step of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    /// `Seq Scan`, `Nested Loop`…
    pub kind: String,
    /// `InitPlan 1`, `CTE written`… if it is a subplan.
    pub subplan: Option<String>,
    /// Schema of the relation it works on.
    pub schema: Option<String>,
    /// The relation it works on.
    pub relation: Option<String>,
    /// The relation's name within the statement.
    pub alias: Option<String>,
    /// The index it goes through.
    pub index: Option<String>,
    /// `Insert`, `Update` or `Delete`.
    pub operation: Option<String>,
    /// `UPDATE` or `NOTHING` of an upsert.
    pub conflict: Option<String>,
    /// What it checks, in PostgreSQL's words.
    pub conditions: Vec<Condition>,
    /// What it sorts by.
    pub sort_keys: Vec<String>,
    /// Its output columns.
    pub output: Vec<String>,
    /// Cost until the first row, in the planner's units.
    pub startup_cost: f64,
    /// Cost until the last row.
    pub total_cost: f64,
    /// Rows expected.
    pub rows: f64,
    /// Actual values, with `analyze`.
    pub actual: Option<Actual>,
    /// Its child nodes.
    pub children: Vec<Node>,
}

/// A condition with PostgreSQL's label for it.
#[derive(Debug, Clone, Serialize)]
pub struct Condition {
    /// `Filter`, `Index Cond`…
    pub label: &'static str,
    /// An SQL expression with qualified columns.
    pub text: String,
}

/// Measured, averaged over `loops`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Actual {
    /// Rows per loop.
    pub rows: f64,
    /// How often it ran.
    pub loops: f64,
    /// Milliseconds per loop until the last row.
    pub ms: f64,
    /// Rows per loop that its filter threw away.
    pub removed: f64,
}

impl Tree {
    /// Reads the answer of `explain (format json)`; none when it is something else.
    #[must_use]
    pub fn read(document: &Value) -> Option<Self> {
        let whole = document.get(0)?;
        Some(Self {
            root: Node::read(whole.get("Plan")?.as_object()?),
            planning_ms: whole.get("Planning Time").and_then(Value::as_f64),
            execution_ms: whole.get("Execution Time").and_then(Value::as_f64),
        })
    }
}

impl Node {
    fn read(fields: &Map<String, Value>) -> Self {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let number = |name: &str| fields.get(name).and_then(Value::as_f64);
        let list = |name: &str| texts(fields.get(name));
        let conditions = CONDITIONS.iter().filter_map(|label| Some(Condition { label, text: text(label)? }));
        let children = fields.get("Plans").and_then(Value::as_array).into_iter().flatten();
        Self {
            kind: text("Node Type").unwrap_or_default(),
            subplan: text("Subplan Name"),
            schema: text("Schema"),
            relation: text("Relation Name"),
            alias: text("Alias"),
            index: text("Index Name"),
            operation: text("Operation"),
            conflict: text("Conflict Resolution"),
            conditions: conditions.collect(),
            sort_keys: list("Sort Key"),
            output: list("Output"),
            startup_cost: number("Startup Cost").unwrap_or_default(),
            total_cost: number("Total Cost").unwrap_or_default(),
            rows: number("Plan Rows").unwrap_or_default(),
            actual: number("Actual Rows").map(|rows| Actual {
                rows,
                loops: number("Actual Loops").unwrap_or(1.0),
                ms: number("Actual Total Time").unwrap_or_default(),
                removed: number("Rows Removed by Filter").unwrap_or_default(),
            }),
            children: children.filter_map(Value::as_object).map(Self::read).collect(),
        }
    }

    /// Calls `see` for this node and all below it, each with its ancestors from the root down.
    pub fn visit<'n>(&'n self, see: &mut impl FnMut(&'n Self, &[&'n Self])) {
        self.visit_below(&mut Vec::new(), see);
    }

    fn visit_below<'n>(&'n self, above: &mut Vec<&'n Self>, see: &mut impl FnMut(&'n Self, &[&'n Self])) {
        see(self, above);
        above.push(self);
        for child in &self.children {
            child.visit_below(above, see);
        }
        above.pop();
    }

    /// Schema and name of the relation that it works on.
    #[must_use]
    pub fn relation(&self) -> Option<(&str, &str)> {
        Some((self.schema.as_deref()?, self.relation.as_deref()?))
    }

    /// The conditions with one of these labels.
    pub fn conditions<'n>(&'n self, labels: &'n [&str]) -> impl Iterator<Item = &'n str> {
        self.conditions.iter().filter(|condition| labels.contains(&condition.label)).map(|c| c.text.as_str())
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
