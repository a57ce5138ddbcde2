//! Makes rows: follows foreign keys, honours what is required, and tries values until constraints hold. Leaves which values
//! there are to `value`.

use std::collections::{BTreeMap, BTreeSet};

use rowhouse_db::{DbError, PgError};
use rowhouse_kernel::AUTHENTICATED;
use tokio_postgres::Client;

use super::catalog::{Column, Relation};
use super::insert::{insert, insert_with_identity};
use super::literal::literal;
use super::model::{Declared, Scope};
use super::scene::Scene;
use super::value::{Seed, candidates};
use super::world::{Filling, Recipe, Row, World};

/// Most statements for one row.
const MOST_TRIES: usize = 400;
/// The tag of rows that belong to nobody.
const NOBODY: char = 'x';

/// A row, how it is written, and the statement that makes exactly this one; none if it was there.
pub(crate) struct Made {
    pub(crate) recipe: Recipe,
    pub(crate) row: Row,
    pub(crate) statement: Option<String>,
}

/// A relation, what it means, and everything it may refer to.
#[derive(Clone, Copy)]
pub(crate) struct Maker<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) relation: &'a Relation,
    pub(crate) declared: &'a Declared,
    pub(crate) world: &'a World,
}

/// Relations in an order in which each comes after those that it refers to, where there is one.
pub(crate) fn order(relations: &[Relation]) -> Vec<usize> {
    let mut placed: Vec<usize> = Vec::new();
    let mut left: Vec<usize> = (0..relations.len()).filter(|at| relations[*at].is_table()).collect();
    while !left.is_empty() {
        let waits = |at: usize, required_only: bool| {
            let relation = &relations[at];
            let inherits =
                relation.parents.iter().any(|name| left.iter().any(|other| &relations[*other].name == name));
            inherits
                || relation.references.iter().any(|reference| {
                    let required = reference
                        .columns
                        .iter()
                        .any(|name| relation.column(name).is_some_and(|c| !c.is_nullable));
                    reference.parent != relation.name
                        && (required || !required_only)
                        && left.iter().any(|other| relations[*other].name == reference.parent)
                })
        };
        let free = left.iter().position(|at| !waits(*at, false));
        let next = free.or_else(|| left.iter().position(|at| !waits(*at, true))).unwrap_or(0);
        placed.push(left.remove(next));
    }
    placed
}

impl Maker<'_> {
    fn seed(&self, party: Option<usize>, variant: u32) -> Seed {
        let party = party.map(|party| &self.scene.parties[party]);
        Seed {
            tag: party.map_or(NOBODY, |party| party.tag),
            variant,
            salt: party.and_then(|party| party.salt),
        }
    }

    fn hints(&self, column: &Column) -> Vec<&str> {
        let checks = self.relation.checks.iter();
        let about = checks.filter(|check| check.columns.iter().flatten().any(|name| *name == column.name));
        about.map(|check| check.text.as_str()).collect()
    }

    fn candidates(&self, column: &Column, party: Option<usize>, variant: u32) -> Vec<String> {
        candidates(column, self.seed(party, variant), &self.hints(column))
    }

    /// Columns and values of a row of a party.
    pub(crate) fn written(&self, recipe: &Recipe, party: Option<usize>, variant: u32) -> Row {
        let value = |name: &str, filling: &Filling| match filling {
            Filling::Candidate(place) => {
                let column = self.relation.column(name)?;
                let values = self.candidates(column, party, variant);
                values.get(*place).or(values.last()).cloned()
            }
            Filling::Scope => match (&self.declared.scope, party) {
                (Scope::Column { whose, .. }, Some(party)) => {
                    Some(self.scene.parties[party].id(*whose).to_owned())
                }
                _ => None,
            },
            Filling::Parent { reference, place } => {
                let reference = &self.relation.references[*reference];
                self.world.parent_value(reference, *place, party.unwrap_or_default()).map(str::to_owned)
            }
        };
        recipe.iter().map(|(name, filling)| (name.clone(), value(name, filling))).collect()
    }

    fn first_recipe(&self) -> Recipe {
        let mut recipe = Recipe::new();
        for column in self.relation.columns.iter().filter(|column| !column.is_fixed) {
            let marks = column.category == "S" && !column.has_default;
            if column.is_required || (marks && column.kind != "e") {
                recipe.insert(column.name.clone(), Filling::Candidate(0));
            }
        }
        for (index, reference) in self.relation.references.iter().enumerate() {
            let parties = 0..self.scene.parties.len();
            let known = (0..reference.columns.len()).all(|place| {
                parties.clone().any(|at| self.world.parent_value(reference, place, at).is_some())
            });
            for (place, column) in reference.columns.iter().enumerate().filter(|_| known) {
                recipe.insert(column.clone(), Filling::Parent { reference: index, place });
            }
            if !known {
                recipe.retain(|name, _| !(reference.columns.contains(name) && self.is_nullable(name)));
            }
        }
        if let Scope::Column { column, .. } = &self.declared.scope {
            recipe.insert(column.clone(), Filling::Scope);
        }
        recipe
    }

    fn is_nullable(&self, name: &str) -> bool {
        self.relation.column(name).is_some_and(|column| column.is_nullable)
    }

    /// A row of the party that is there already, from a trigger or the setup; of nobody, any.
    pub(crate) async fn find(&self, client: &Client, party: Option<usize>) -> Result<Option<Row>, DbError> {
        let owned = party.and_then(|at| self.world.owned(&self.declared.scope, &self.scene.parties[at], at));
        if owned.is_none() && party.is_some() {
            return Ok(None);
        }
        let condition = owned.unwrap_or_else(|| "true".to_owned());
        let sql =
            format!("select {} from {} where {condition} limit 1", self.all_columns(), self.relation.name);
        let rows = client.query(&sql, &[]).await?;
        Ok(rows.first().map(|row| self.row_of(row.get(0))))
    }

    fn all_columns(&self) -> String {
        let columns: Vec<String> =
            self.relation.columns.iter().map(|column| format!("{}::text", column.name)).collect();
        format!("array[{}]::text[]", columns.join(", "))
    }

    fn row_of(&self, values: Vec<Option<String>>) -> Row {
        self.relation.columns.iter().map(|column| column.name.clone()).zip(values).collect()
    }

    /// Any row that is there already.
    pub(crate) async fn found(&self, client: &Client) -> Result<Made, String> {
        let row = self.find(client, None).await.map_err(|error| error.to_string())?;
        let row = row.ok_or("no row is in it, and none is made")?;
        Ok(Made { recipe: Recipe::new(), row, statement: None })
    }

    /// Finds or makes a row; the reason if it cannot.
    pub(crate) async fn make(
        &self,
        client: &Client,
        party: Option<usize>,
        known: Option<&Recipe>,
    ) -> Result<Made, String> {
        let recipe = known.cloned().unwrap_or_else(|| self.first_recipe());
        let text = |error: tokio_postgres::Error| DbError::from(error).to_string();
        client.batch_execute("savepoint prove_row").await.map_err(text)?;
        if let Ok(Some(row)) = self.find(client, party).await {
            client.batch_execute("release savepoint prove_row").await.map_err(text)?;
            return Ok(Made { recipe, row, statement: None });
        }
        let attempt = Attempt {
            maker: *self,
            party,
            recipe,
            writers: self.writers(party),
            told: None,
            places: BTreeMap::new(),
            dropped: BTreeSet::new(),
        };
        let made = attempt.run(client).await;
        let end = if made.is_ok() { "" } else { "rollback to savepoint prove_row;" };
        client.batch_execute(&format!("{end} release savepoint prove_row")).await.map_err(text)?;
        made
    }

    /// An insert of the whole row, with keys that were generated.
    fn again(&self, row: &Row) -> String {
        let is_set = |name: &String| {
            let column = self.relation.column(name);
            column.is_some_and(|column| !column.is_fixed || column.has_identity())
        };
        let whole: Row = row
            .iter()
            .filter(|(name, _)| is_set(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        insert_with_identity(&self.relation.name, &whole)
    }

    /// Who may insert a row, in the order in which it is tried. The fewer rights, the less a trigger of the project can do with
    /// them that a rollback does not take back.
    fn writers(&self, party: Option<usize>) -> Vec<Writer> {
        let party = party.filter(|_| !self.relation.is_closed(AUTHENTICATED, "insert")).map(Writer::Party);
        let project = self.scene.may_be_project.then_some(Writer::Project);
        party.into_iter().chain(project).chain([Writer::Login]).collect()
    }

    /// The statement that makes whatever follows the party's own, as a request is.
    fn enter(&self, party: usize) -> String {
        let actor = self.scene.actors.iter().find(|actor| actor.party == Some(party));
        let claims = actor.map(|actor| actor.claims.as_str()).unwrap_or_default();
        format!(
            "select set_config('request.jwt.claims', {}, true), set_config('role', 'authenticated', true)",
            literal(Some(claims))
        )
    }
}

/// Who inserts a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Whose row it is, as a request does.
    Party(usize),
    /// The owner of the project's tables.
    Project,
    /// The login of the proof.
    Login,
}

/// One row in the making.
struct Attempt<'a> {
    maker: Maker<'a>,
    party: Option<usize>,
    recipe: Recipe,
    /// Who inserts it, and who could do so instead.
    writers: Vec<Writer>,
    /// The last error that was not about rights.
    told: Option<String>,
    /// How many combinations of a constraint's columns have been tried.
    places: BTreeMap<String, usize>,
    dropped: BTreeSet<String>,
}

impl Attempt<'_> {
    async fn run(mut self, client: &Client) -> Result<Made, String> {
        for _ in 0..MOST_TRIES {
            let row = self.maker.written(&self.recipe, self.party, 1);
            match self.insert(client, &row).await {
                Ok(row) => {
                    let statement = Some(self.maker.again(&row));
                    return Ok(Made { recipe: self.recipe, row, statement });
                }
                Err(error) => self.learn(&error)?,
            }
        }
        Err(format!("cannot make a row: no value fits after {MOST_TRIES} tries"))
    }

    async fn insert(&self, client: &Client, row: &Row) -> Result<Row, DbError> {
        let relation = self.maker.relation;
        let statement = insert(&relation.name, row);
        let sql = format!("{statement} returning {}", self.maker.all_columns());
        client.batch_execute("rollback to savepoint prove_row").await?;
        match self.writers.first() {
            Some(Writer::Party(party)) => client.batch_execute(&self.maker.enter(*party)).await?,
            Some(Writer::Project) => client.batch_execute("set local role rowhouse_project").await?,
            Some(Writer::Login) | None => {}
        }
        let made = client.query_one(&sql, &[]).await?;
        client
            .batch_execute("set constraints all immediate; select set_config('role', 'none', true)")
            .await?;
        Ok(self.maker.row_of(made.get(0)))
    }

    /// Changes the recipe so that the error does not come again; an error if nothing is left to try.
    fn learn(&mut self, error: &DbError) -> Result<(), String> {
        let DbError::Refused(refused) = error else { return Err(format!("cannot make a row: {error}")) };
        let constraint = refused.constraint.clone().unwrap_or_default();
        if refused.code != "42501" {
            self.told = Some(refused.to_string());
        }
        let learned = match refused.code.as_str() {
            "23514" => self.advance(&constraint, self.checked(&constraint)),
            "23505" => self.advance(&constraint, self.keyed(&constraint)),
            "23502" => self.require(refused),
            "23503" => self.drop_reference(&constraint),
            "42501" => self.next_writer(),
            _ => self.drop_optional(),
        };
        if learned || self.next_writer() || self.drop_optional() {
            Ok(())
        } else {
            let told = self.told.take().unwrap_or_else(|| refused.to_string());
            Err(format!("cannot make a row: {told}"))
        }
    }

    /// What one is refused, by a policy, a grant or a trigger, another may be able to write.
    fn next_writer(&mut self) -> bool {
        let has_more = self.writers.len() > 1;
        if has_more {
            self.writers.remove(0);
        }
        has_more
    }

    fn checked(&self, constraint: &str) -> Vec<String> {
        let relation = self.maker.relation;
        let check = relation.checks.iter().find(|check| check.name == constraint);
        let of_domain = || {
            let columns = relation
                .columns
                .iter()
                .filter(|column| column.checks.as_ref().is_some_and(|checks| !checks.is_empty()));
            columns.map(|column| column.name.clone()).collect()
        };
        check.map_or_else(of_domain, |check| check.columns.clone().unwrap_or_default())
    }

    fn keyed(&self, constraint: &str) -> Vec<String> {
        let key = self.maker.relation.keys.iter().find(|key| key.name == constraint);
        key.map(|key| key.columns.clone()).unwrap_or_default()
    }

    /// The next combination of values of a constraint's columns.
    fn advance(&mut self, constraint: &str, columns: Vec<String>) -> bool {
        let party = self.party;
        let mut free: Vec<(String, usize)> = Vec::new();
        for name in columns {
            let Some(column) = self.maker.relation.column(&name) else { continue };
            if matches!(self.recipe.get(&name), None | Some(Filling::Candidate(_))) && !column.is_fixed {
                free.push((name, self.maker.candidates(column, party, 1).len().max(1)));
            }
        }
        let tried = self.places.entry(constraint.to_owned()).or_insert(0);
        *tried += 1;
        let mut rest = *tried;
        for (name, count) in free.iter().rev() {
            self.recipe.insert(name.clone(), Filling::Candidate(rest % count));
            rest /= count;
        }
        !free.is_empty() && rest == 0
    }

    fn require(&mut self, refused: &PgError) -> bool {
        let name = refused
            .column
            .as_deref()
            .and_then(|name| self.maker.relation.column(name))
            .map(|column| column.name.clone());
        name.is_some_and(|name| self.recipe.insert(name, Filling::Candidate(0)).is_none())
    }

    fn drop_reference(&mut self, constraint: &str) -> bool {
        let references = &self.maker.relation.references;
        let Some(reference) = references.iter().find(|reference| reference.name == constraint) else {
            return false;
        };
        let optional =
            reference.columns.iter().filter(|name| self.maker.is_nullable(name)).cloned().collect::<Vec<_>>();
        optional.iter().any(|name| self.recipe.remove(name).is_some())
    }

    /// Leaves out what a row does not need, one column at a time.
    fn drop_optional(&mut self) -> bool {
        let scope: Vec<String> =
            self.maker.declared.scope.columns().iter().map(|&name| name.to_owned()).collect();
        let optional = self.recipe.keys().find(|name| {
            let column = self.maker.relation.column(name);
            column.is_some_and(|column| !column.is_required)
                && !scope.contains(name)
                && !self.dropped.contains(*name)
        });
        let Some(name) = optional.cloned() else { return false };
        self.recipe.remove(&name);
        self.dropped.insert(name)
    }
}
