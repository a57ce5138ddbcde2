//! Everything that a proof knows before it attacks: catalog, declarations, parties and rows. Leaves the attacks to `attack` and
//! `echo`.

use std::collections::BTreeMap;

use rowhouse_db::DbError;
use tokio_postgres::Client;

use super::catalog::{Catalog, Reference, Relation};
use super::literal::literal;
use super::model::{Declared, Scope};
use super::row::{Maker, order};
use super::scene::{Actor, OWNER, Scene};
use super::world::{Rows, World, is_same};
use crate::settings::{Reach, WhoseRow};

/// How deep references are followed when rows are cleared away for a delete.
const MOST_DEPTH: usize = 8;

/// What there is.
pub(crate) struct Stage {
    pub(crate) catalog: Catalog,
    /// By relation, in the order of the catalog.
    pub(crate) declared: Vec<(String, Declared)>,
    pub(crate) scene: Scene,
    pub(crate) world: World,
    /// Whether rows of nobody are only looked for, since they would be everybody's.
    pub(crate) spares_shared: bool,
}

impl Stage {
    pub(crate) fn maker(&self, at: usize) -> Maker<'_> {
        let relation = &self.catalog.relations[at];
        Maker { scene: &self.scene, relation, declared: &self.declared[at].1, world: &self.world }
    }

    /// Who tries something on a relation: everybody but those whose rows the owner's are, too; the owner for comparison.
    pub(crate) fn callers(&self, at: usize) -> impl Iterator<Item = (usize, &Actor)> {
        let (declared, owner) = (&self.declared[at].1, &self.scene.parties[OWNER]);
        let has_same = move |actor: &Actor| {
            let other = actor.party.filter(|party| *party != OWNER && declared.scope != Scope::Nobody);
            other.is_some_and(|party| is_same(declared, &self.scene.parties[party], owner, &self.declared))
        };
        self.scene.actors.iter().enumerate().filter(move |(_, actor)| !has_same(actor))
    }

    fn relation(&self, name: &str) -> Option<(&Relation, &Declared)> {
        let at = self.catalog.relations.iter().position(|relation| relation.name == name)?;
        Some((&self.catalog.relations[at], &self.declared[at].1))
    }

    /// Makes the rows of these parties, relation by relation; those of nobody with the first. There are none in what the proof cannot
    /// look at.
    pub(crate) async fn fill(&mut self, client: &Client, parties: &[usize]) -> Result<(), DbError> {
        for at in order(&self.catalog.relations) {
            let name = self.catalog.relations[at].name.clone();
            let mut rows = self.world.rows.remove(&name).unwrap_or_default();
            if let Some(reason) = self.catalog.relations[at].out_of_reach() {
                self.world.rows.insert(name, Rows { missing: Some(reason), ..rows });
                continue;
            }
            let is_private = self.declared[at].1.scope != Scope::Nobody;
            for party in parties {
                if rows.of.contains_key(party) {
                    continue;
                }
                let known = Some(&rows.recipe).filter(|recipe| !recipe.is_empty()).cloned();
                let whose = is_private.then_some(*party);
                let made = match self.spares_shared && !is_private {
                    true => self.maker(at).found(client).await,
                    false => self.maker(at).make(client, whose, known.as_ref()).await,
                };
                match made {
                    Ok(made) => {
                        rows.recipe = made.recipe;
                        self.world.made.extend(made.statement);
                        let everybody = 0..self.scene.parties.len();
                        let whose: Vec<usize> = if is_private { vec![*party] } else { everybody.collect() };
                        rows.of.extend(whose.into_iter().map(|party| (party, made.row.clone())));
                    }
                    Err(reason) => rows.missing = Some(reason),
                }
                // A row may refer to another one of its own table.
                self.world.rows.insert(name.clone(), rows.clone());
            }
            self.world.rows.insert(name, rows);
        }
        self.find_in_views(client, parties).await
    }

    /// Rows that show through views with a column that says whose they are.
    async fn find_in_views(&mut self, client: &Client, parties: &[usize]) -> Result<(), DbError> {
        for at in 0..self.catalog.relations.len() {
            let relation = &self.catalog.relations[at];
            let is_private = self.declared[at].1.scope != Scope::Nobody;
            if relation.kind != "v" || !is_private || relation.missing_grant.is_some() {
                continue;
            }
            let name = relation.name.clone();
            for party in parties {
                client.batch_execute("savepoint prove_view").await?;
                let found = self.maker(at).find(client, Some(*party)).await;
                let end = if found.is_ok() { "" } else { "rollback to savepoint prove_view;" };
                client.batch_execute(&format!("{end} release savepoint prove_view")).await?;
                if let Ok(Some(row)) = found {
                    self.world.rows.entry(name.clone()).or_default().of.insert(*party, row);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn rows(&self, at: usize) -> Rows {
        self.world.rows.get(&self.catalog.relations[at].name).cloned().unwrap_or_default()
    }

    /// How many rows each caller has in a relation, by the caller's place.
    pub(crate) async fn owned(&self, client: &Client, at: usize) -> Result<BTreeMap<usize, i64>, DbError> {
        let (relation, declared) = (&self.catalog.relations[at], &self.declared[at].1);
        let mut counts = BTreeMap::new();
        for (index, actor) in self.scene.actors.iter().enumerate().filter(|(_, actor)| actor.is_live) {
            let of_party = actor
                .party
                .and_then(|party| self.world.owned(&declared.scope, &self.scene.parties[party], party));
            let of_user = || self.of_user(&declared.scope, actor.user.as_deref()?, MOST_DEPTH);
            let Some(condition) = of_party.or_else(of_user) else { continue };
            let sql = format!("select count(*) from {} where {condition}", relation.name);
            let counted: i64 = client.query_one(&sql, &[]).await?.get(0);
            let is_made = actor.party.is_some_and(|party| self.world.row(&relation.name, party).is_some());
            counts.insert(index, counted.max(i64::from(is_made)));
        }
        Ok(counts)
    }

    /// The condition for rows of somebody without a tenant: such rows come from triggers on users.
    fn of_user(&self, scope: &Scope, user: &str, depth: usize) -> Option<String> {
        match scope {
            Scope::Column { column, whose: WhoseRow::User } => {
                Some(format!("{column} = {}", literal(Some(user))))
            }
            Scope::Via(reference) if depth > 0 => {
                let parent = &self.relation(&reference.parent)?.1.scope;
                let (columns, keys) = (reference.columns.join(", "), reference.parent_columns.join(", "));
                let condition = self.of_user(parent, user, depth - 1)?;
                Some(format!("({columns}) in (select {keys} from {} where {condition})", reference.parent))
            }
            _ => None,
        }
    }

    /// References to rows that are somebody's and that others may not read, beside those that say whose a row is.
    pub(crate) fn private_references(&self, at: usize) -> Vec<&Reference> {
        let (relation, declared) = (&self.catalog.relations[at], &self.declared[at].1);
        let scope = declared.scope.columns();
        let is_private = |reference: &&Reference| {
            let parent = self.relation(&reference.parent);
            parent.is_some_and(|(_, parent)| parent.scope != Scope::Nobody && parent.read == Reach::Own)
                && !reference.columns.iter().any(|column| scope.contains(&column.as_str()))
                && self.world.row(&reference.parent, OWNER).is_some()
        };
        relation.references.iter().filter(is_private).collect()
    }

    /// Statements that delete the parties' rows that keep those of a relation from being deleted.
    pub(crate) fn clearing(&self, name: &str) -> Option<String> {
        let mut statements = Vec::new();
        self.clear(name, &mut Vec::new(), &mut statements);
        (!statements.is_empty()).then(|| statements.join("; "))
    }

    fn clear(&self, name: &str, above: &mut Vec<String>, statements: &mut Vec<String>) {
        if above.len() > MOST_DEPTH || above.iter().any(|one| one == name) {
            return;
        }
        above.push(name.to_owned());
        for (at, child) in self.catalog.relations.iter().enumerate() {
            let blocks =
                child.references.iter().any(|reference| reference.parent == name && reference.is_blocking);
            if !blocks || child.name == name || child.missing_grant.is_some() {
                continue;
            }
            self.clear(&child.name, above, statements);
            let parties = self.scene.parties.iter().enumerate();
            let scope = &self.declared[at].1.scope;
            let owned: Vec<String> =
                parties.filter_map(|(index, party)| self.world.owned(scope, party, index)).collect();
            if !owned.is_empty() {
                statements.push(format!("delete from {} where {}", child.name, owned.join(" or ")));
            }
        }
        above.pop();
    }
}
