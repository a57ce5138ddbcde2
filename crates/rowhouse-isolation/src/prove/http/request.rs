//! What is tried on a relation over HTTP: the cells of `target` that a client of the data API can write. All are undone
//! (`Prefer: tx=rollback`), so that each finds the rows as they were made.

use http::Method;
use serde_json::{Map, Value};

use super::super::catalog::{Column, Reference, Relation};
use super::super::cell::Cell;
use super::super::model::Scope;
use super::super::scene::{Actor, SELF};
use super::super::target::Target;
use super::super::world::Row;
use super::call::Call;

const COUNTED: &str = "return=minimal,count=exact,tx=rollback";
const RETURNED: &str = "return=representation,count=exact,tx=rollback";
const MERGED: &str = "resolution=merge-duplicates,return=minimal,count=exact,tx=rollback";

/// A request and what it is tried for.
pub(super) struct Attempt {
    pub(super) actor: usize,
    pub(super) cell: Cell,
    pub(super) call: Call,
    /// Rows that are the caller's own: more are others'.
    pub(super) most: i64,
}

/// All requests of a caller about a relation.
pub(super) fn attempts(target: &Target<'_>, index: usize, actor: &Actor) -> Vec<Attempt> {
    let requests = Requests { target, relation: target.relation(), index, actor };
    let all = [
        (Cell::HttpSelect, requests.read()),
        (Cell::HttpCount, requests.count()),
        (Cell::HttpInsert, requests.insert(COUNTED)),
        (Cell::HttpInsert, requests.insert(RETURNED)),
        (Cell::HttpReturning, requests.update(RETURNED)),
        (Cell::HttpUpdate, requests.update(COUNTED)),
        (Cell::HttpUpdateAll, requests.update_all()),
        (Cell::HttpMove, requests.hand_over()),
        (Cell::HttpDelete, requests.delete()),
        (Cell::HttpDeleteAll, requests.delete_all()),
        (Cell::HttpUpsert, requests.upsert()),
    ];
    let owned = target.owned.get(&index).copied().filter(|_| index != SELF).unwrap_or_default();
    let most = |cell| if matches!(cell, Cell::HttpUpdateAll | Cell::HttpDeleteAll) { owned } else { 0 };
    let known = all.into_iter().filter_map(|(cell, call)| Some((cell, call?)));
    known.map(|(cell, call)| Attempt { actor: index, cell, call, most: most(cell) }).collect()
}

/// Rows of a caller's own that refer to the owner's by these references.
pub(super) fn referring(
    target: &Target<'_>,
    references: &[&Reference],
    index: usize,
    actor: &Actor,
) -> Vec<Attempt> {
    let requests = Requests { target, relation: target.relation(), index, actor };
    let calls = references.iter().filter_map(|reference| requests.refer(reference));
    calls.map(|call| Attempt { actor: index, cell: Cell::HttpRefer, call, most: 0 }).collect()
}

struct Requests<'a> {
    target: &'a Target<'a>,
    relation: &'a Relation,
    index: usize,
    actor: &'a Actor,
}

impl Requests<'_> {
    fn call(&self, method: Method) -> Call {
        Call::new(method, &self.relation.schema, &self.relation.bare_name)
    }

    /// Whether reading the row shows anything: of what all may read, only that its owner does.
    fn is_private_reading(&self) -> bool {
        self.index == SELF || !self.target.is_open(self.actor)
    }

    fn read(&self) -> Option<Call> {
        let call = self.call(Method::GET).query(&self.picked()?).query(&self.selected());
        self.is_private_reading().then_some(call)
    }

    fn count(&self) -> Option<Call> {
        let call = self.call(Method::HEAD).query(&self.picked()?).query(&self.selected());
        self.is_private_reading().then(|| call.prefer("count=exact").range("0-0"))
    }

    fn insert(&self, prefer: &'static str) -> Option<Call> {
        let rights = self.relation.rights(&self.actor.role);
        let row = self.target.another(self.index, &rights, 2)?;
        // What comes back is selected, and only some columns may be readable.
        let selected = if prefer == RETURNED { self.selected() } else { Vec::new() };
        Some(self.call(Method::POST).query(&selected).prefer(prefer).body(self.written(&row)))
    }

    fn update(&self, prefer: &'static str) -> Option<Call> {
        let rights = self.relation.rights(&self.actor.role);
        let (column, value) = self.target.touched(&rights)?;
        let row = Row::from([(column.name.clone(), value.map(str::to_owned))]);
        let selected = if prefer == RETURNED { self.selected() } else { Vec::new() };
        let call = self.call(Method::PATCH).query(&self.picked()?).query(&selected);
        Some(call.prefer(prefer).body(self.written(&row)))
    }

    /// Sets a column of all rows to what the attacked one has.
    fn update_all(&self) -> Option<Call> {
        let (column, value) = self.target.touched(&self.relation.rights(&self.actor.role))?;
        let row = Row::from([(column.name.clone(), value.map(str::to_owned))]);
        Some(self.call(Method::PATCH).prefer(COUNTED).body(self.written(&row)))
    }

    /// Without a condition, as in SQL.
    fn hand_over(&self) -> Option<Call> {
        let row = self.target.handed_over(self.actor, &self.relation.rights(&self.actor.role))?;
        let is_private = self.target.maker.declared.scope != Scope::Nobody;
        let call = || self.call(Method::PATCH).prefer(COUNTED).body(self.written(&row));
        is_private.then(call)
    }

    fn delete(&self) -> Option<Call> {
        Some(self.call(Method::DELETE).query(&self.picked()?).prefer(COUNTED))
    }

    /// None where rows of others keep the caller's own from being deleted: nothing could be told from that.
    fn delete_all(&self) -> Option<Call> {
        self.target.clearing.is_none().then(|| self.call(Method::DELETE).prefer(COUNTED))
    }

    fn refer(&self, reference: &Reference) -> Option<Call> {
        self.actor.party?;
        let row = self.target.referring(reference, self.actor, &self.relation.rights(&self.actor.role))?;
        Some(self.call(Method::POST).prefer(COUNTED).body(self.written(&row)))
    }

    /// PostgREST's upsert sets every column that is given, so there is none where one may not be set.
    fn upsert(&self) -> Option<Call> {
        let rights = self.relation.rights(&self.actor.role);
        let (key, row) = self.target.with_key(self.actor, &rights)?;
        let may_set = |name: &String| {
            let column = self.relation.column(name);
            column.is_some_and(|column| !column.is_fixed) && rights.update.contains(name)
        };
        let columns: Vec<String> = key.columns.iter().map(|name| self.bare(name)).collect();
        let query = [("on_conflict".to_owned(), columns.join(","))];
        let call = || self.call(Method::POST).query(&query).prefer(MERGED).body(self.written(&row));
        row.keys().all(may_set).then(call)
    }

    /// The condition for the attacked row: its first key, else all columns that can be compared.
    fn picked(&self) -> Option<Vec<(String, String)>> {
        let is_plain = |column: &&Column| matches!(column.category.as_str(), "S" | "N" | "B" | "D" | "U");
        let of_key = self.relation.keys.first().map(|key| key.columns.clone());
        let columns = of_key.unwrap_or_else(|| {
            self.relation.columns.iter().filter(is_plain).map(|column| column.name.clone()).collect()
        });
        let condition = |name: &String| {
            let value = self.target.row.get(name)?.as_deref();
            let value = value.map_or_else(|| "is.null".to_owned(), |value| format!("eq.{value}"));
            Some((self.filtered(name), value))
        };
        let conditions: Option<Vec<_>> = columns.iter().map(condition).collect();
        conditions.filter(|conditions| !conditions.is_empty())
    }

    /// The columns that the caller may read, where that is not all of them.
    fn selected(&self) -> Vec<(String, String)> {
        let readable = self.relation.rights(&self.actor.role).select;
        if readable.is_empty() || readable.len() == self.relation.columns.len() {
            return Vec::new();
        }
        let quoted: Vec<String> = readable.iter().map(|name| quoted(&self.bare(name))).collect();
        vec![("select".to_owned(), quoted.join(","))]
    }

    fn bare(&self, name: &str) -> String {
        self.relation.column(name).map_or_else(|| name.to_owned(), |column| column.bare_name.clone())
    }

    /// A column as a parameter's name: in quotes where it would mean something else.
    fn filtered(&self, name: &str) -> String {
        let bare = self.bare(name);
        let is_taken = matches!(
            bare.as_str(),
            "select" | "order" | "limit" | "offset" | "columns" | "on_conflict" | "and" | "or" | "not"
        );
        let is_plain = bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_plain && !is_taken { bare } else { quoted(&bare) }
    }

    /// A row as JSON: values as text, which PostgreSQL gives the type of their column; documents as what they are.
    fn written(&self, row: &Row) -> Value {
        let mut object = Map::new();
        for (name, value) in row {
            let Some(column) = self.relation.column(name) else { continue };
            object.insert(column.bare_name.clone(), json_of(&column.base, value.as_deref()));
        }
        Value::Object(object)
    }
}

/// A value of that type.
pub(super) fn json_of(type_name: &str, value: Option<&str>) -> Value {
    let Some(text) = value else { return Value::Null };
    match type_name {
        "json" | "jsonb" => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
        _ => Value::from(text),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
