//! What the files before have left: indexes, and what reads which column.

use std::collections::{BTreeMap, BTreeSet};

use squawk_syntax::ast::{AstNode as _, Stmt};

use crate::constraint::indexes;
use crate::file::File;
use crate::name::Name;
use crate::statement::Statement;
use crate::word::{WordKind, identifiers, words};

/// A view, policy or function with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Kind and name: `view public.open_todos`.
    pub object: String,
    /// Its definition.
    pub text: String,
}

/// What is there before a file.
#[derive(Default)]
pub(crate) struct Known {
    /// Made by files that run just before this one, so that nobody uses it yet.
    pub(crate) made: BTreeSet<Name>,
    pub(crate) indexes: Vec<(Name, Vec<String>)>,
    /// The identifiers in each view, policy and function.
    readers: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    pub(crate) fn new(readers: &[Reader]) -> Self {
        let readers =
            readers.iter().map(|reader| (reader.object.clone(), identifiers(&reader.text).collect()));
        Self { readers: readers.collect(), ..Self::default() }
    }

    /// The same, without what a rule about readers does not ask for.
    pub(crate) fn readers_only(&self) -> Self {
        Self { readers: self.readers.clone(), ..Self::default() }
    }

    /// Takes in what a file leaves.
    pub(crate) fn learn(&mut self, file: &File, is_new: bool) {
        for statement in &file.statements {
            self.indexes.extend(indexes(statement));
            self.follow(statement);
            if is_new {
                self.made.extend(statement.made());
            }
        }
    }

    /// Takes in what a statement makes, or takes away, of views, policies and functions.
    pub(crate) fn follow(&mut self, statement: &Statement) {
        for object in dropped(statement) {
            self.readers.remove(&object);
        }
        if let Some(object) = reader(statement) {
            let texts = statement.words.iter().flat_map(|word| match word.kind {
                WordKind::Literal => identifiers(&word.text).collect::<Vec<_>>(),
                _ => vec![word.text.clone()],
            });
            self.readers.insert(object, texts.collect());
        }
    }

    /// What names both the table and the column.
    pub(crate) fn readers_of(&self, table: &Name, column: &str) -> Vec<&str> {
        let reads = |words: &BTreeSet<String>| words.contains(&table.name) && words.contains(column);
        self.readers.iter().filter(|(_, words)| reads(words)).map(|(object, _)| object.as_str()).collect()
    }
}

/// The reader that a statement makes.
fn reader(statement: &Statement) -> Option<String> {
    let object = |kind: &str, name: Option<Name>| name.map(|name| format!("{kind} {name}"));
    match &statement.stmt {
        Stmt::CreateView(_) | Stmt::CreateMaterializedView(_) => object("view", statement.made()),
        Stmt::CreatePolicy(create) => {
            let name = words(create.policy()?.syntax()).pop()?.text;
            object(&format!("policy {name} on"), statement.targets().pop())
        }
        Stmt::CreateFunction(create) => object("function", Name::of(create.name()?.syntax())),
        _ => None,
    }
}

/// The readers that a statement takes away.
fn dropped(statement: &Statement) -> Vec<String> {
    let targets = statement.targets();
    match &statement.stmt {
        Stmt::DropView(_) | Stmt::DropMaterializedView(_) => {
            targets.iter().map(|name| format!("view {name}")).collect()
        }
        Stmt::DropPolicy(drop) => {
            let name = drop.policy_ref().and_then(|policy| words(policy.syntax()).pop());
            let name = name.map(|word| word.text).unwrap_or_default();
            targets.iter().map(|table| format!("policy {name} on {table}")).collect()
        }
        Stmt::DropFunction(drop) => {
            let list = drop.function_sig_list().map(|list| words(list.syntax())).unwrap_or_default();
            Name::first(&list).map(|name| format!("function {name}")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
