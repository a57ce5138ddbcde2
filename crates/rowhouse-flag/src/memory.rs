//! All flags in memory: read without a lock, and replaced as a whole after every change. Leaves when to reload to the
//! module, and what a flag is for a subject to [`crate::evaluate`].

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use futures_util::TryStreamExt;
use rowhouse_db::DbError;
use rowhouse_http::RouteGate;
use rowhouse_kernel::Caller;
use time::Date;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::definition::MAX_ROUTE_SEGMENTS;
use crate::evaluate::{Definition, Evaluation, Rule, Subject};
use crate::value::{Kind, Scope, Value};

/// Notified whenever flags, rules or overrides change, or the plan of a tenant that a rule names.
pub const CHANNEL: &str = "rowhouse_flags";

/// The flags of this process. An unknown one is off.
#[derive(Debug, Default)]
pub struct Flags {
    loaded: ArcSwap<Loaded>,
    /// Whether a flag has routes: asked for every request, and cheaper to read than the state itself.
    has_routes: AtomicBool,
}

/// One state of all flags.
#[derive(Debug, Default)]
struct Loaded {
    flags: HashMap<String, Definition>,
    /// Flags by the prefixes of the paths that they close.
    routes: HashMap<String, Vec<String>>,
    /// The plans of those tenants whose plan a rule names.
    plans: HashMap<Uuid, Arc<str>>,
}

impl Flags {
    /// Whether the flag is on for the subject.
    #[must_use]
    pub fn is_enabled(&self, name: &str, subject: &Subject) -> bool {
        self.loaded.load().is_on(name, subject)
    }

    /// The flag's variant for the subject; none if it is off or has no variants.
    #[must_use]
    pub fn variant(&self, name: &str, subject: &Subject) -> Option<String> {
        self.evaluate(name, subject).variant
    }

    /// What the flag is for the subject, and why.
    #[must_use]
    pub fn evaluate(&self, name: &str, subject: &Subject) -> Evaluation {
        self.loaded.load().evaluate(name, subject)
    }

    /// The public flags by name, for the subject.
    pub(crate) fn public(&self, subject: &Subject) -> Vec<(String, Evaluation)> {
        let loaded = self.loaded.load();
        let names = loaded.flags.iter().filter(|(_, flag)| flag.is_public).map(|(name, _)| name.clone());
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names.into_iter().map(|name| (name.clone(), loaded.evaluate(&name, subject))).collect()
    }

    /// How many flags there are, and how many should not exist any more on that day.
    pub(crate) fn counts(&self, today: Date) -> (usize, usize) {
        let loaded = self.loaded.load();
        let past = loaded.flags.values().filter(|flag| flag.sunset_on.is_some_and(|day| day < today)).count();
        (loaded.flags.len(), past)
    }

    /// Reads all flags again.
    ///
    /// # Errors
    /// The database's; the flags in use then stay.
    pub async fn reload(&self, client: &Client) -> Result<(), DbError> {
        self.store(Loaded::read(client).await?);
        Ok(())
    }

    fn store(&self, loaded: Loaded) {
        let has_routes = !loaded.routes.is_empty();
        self.loaded.store(Arc::new(loaded));
        self.has_routes.store(has_routes, Ordering::Release);
    }
}

impl RouteGate for Flags {
    fn is_armed(&self) -> bool {
        self.has_routes.load(Ordering::Acquire)
    }

    /// The service role is never kept out: it prepares a module before anybody has it.
    fn is_closed(&self, path: &str, caller: Option<&Caller>) -> bool {
        if caller.is_some_and(Caller::is_service) {
            return false;
        }
        let subject = caller.map(Subject::of).unwrap_or_default();
        self.loaded.load().closes(path, &subject)
    }
}

impl Loaded {
    fn is_on(&self, name: &str, subject: &Subject) -> bool {
        self.flags.get(name).is_some_and(|flag| flag.is_on(name, subject, self.plan_of(subject)))
    }

    fn evaluate(&self, name: &str, subject: &Subject) -> Evaluation {
        let evaluation = |flag: &Definition| flag.evaluate(name, subject, self.plan_of(subject));
        self.flags.get(name).map_or(Evaluation::UNKNOWN, evaluation)
    }

    fn plan_of(&self, subject: &Subject) -> Option<&str> {
        if self.plans.is_empty() {
            return None;
        }
        self.plans.get(&subject.tenant?.0).map(|plan| &**plan)
    }

    /// Whether a flag that is off for the subject has the path, or a path above it, among its routes.
    fn closes(&self, path: &str, subject: &Subject) -> bool {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        ends.take(MAX_ROUTE_SEGMENTS)
            .filter_map(|end| self.routes.get(path.get(..end)?))
            .any(|flags| flags.iter().any(|flag| !self.is_on(flag, subject)))
    }

    async fn read(client: &Client) -> Result<Self, DbError> {
        let mut loaded = Self::default();
        loaded.read_flags(client).await?;
        loaded.read_rules(client).await?;
        loaded.read_overrides(client).await?;
        loaded.read_plans(client).await?;
        Ok(loaded)
    }

    async fn read_flags(&mut self, client: &Client) -> Result<(), DbError> {
        let sql = "select name, kind, bucket_by, default_value, (percentage * 100)::integer as share, variants, weights,
                     routes, is_public, sunset_on from flags.flags";
        for row in client.query(sql, &[]).await? {
            let name: String = row.try_get("name")?;
            for route in row.try_get::<_, Vec<String>>("routes")? {
                self.routes.entry(route).or_default().push(name.clone());
            }
            self.flags.insert(name, definition(&row)?);
        }
        Ok(())
    }

    /// In the order in which they are tried.
    async fn read_rules(&mut self, client: &Client) -> Result<(), DbError> {
        let sql = "select flag, position, organizations, tenants, users, plans, value,
                     (percentage * 100)::integer as share from flags.rules order by flag, position";
        for row in client.query(sql, &[]).await? {
            // One that is not among the flags has been made since they were read; its notification is on the way.
            if let Some(flag) = self.flags.get_mut(row.try_get::<_, &str>("flag")?) {
                let rule = rule(&row, flag)?;
                flag.rules.push(rule);
            }
        }
        Ok(())
    }

    /// Row by row: there may be 200,000.
    async fn read_overrides(&mut self, client: &Client) -> Result<(), DbError> {
        let sql = "select flag, scope, subject, value from flags.overrides";
        let mut rows = pin!(client.query_raw(sql, [""; 0]).await?);
        while let Some(row) = rows.try_next().await? {
            let Some(flag) = self.flags.get_mut(row.try_get::<_, &str>("flag")?) else { continue };
            let scope: Scope = word(&row, "scope")?;
            let value = Value::read(flag.kind, &flag.variants, row.try_get("value")?);
            flag.overrides.insert((scope, row.try_get("subject")?), value);
        }
        Ok(())
    }

    async fn read_plans(&mut self, client: &Client) -> Result<(), DbError> {
        let rules = self.flags.values().flat_map(|flag| &flag.rules);
        let mut named: Vec<String> = rules.flat_map(|rule| rule.plans.iter().flatten().cloned()).collect();
        if named.is_empty() {
            return Ok(());
        }
        named.sort_unstable();
        named.dedup();
        let shared: HashMap<&str, Arc<str>> =
            named.iter().map(|name| (name.as_str(), name.as_str().into())).collect();
        for row in client.query("select tenant_id, plan from flags.tenants_of_plans($1)", &[&named]).await? {
            if let Some(plan) = shared.get(row.try_get::<_, &str>("plan")?) {
                self.plans.insert(row.try_get("tenant_id")?, Arc::clone(plan));
            }
        }
        Ok(())
    }
}

fn definition(row: &Row) -> Result<Definition, DbError> {
    let kind: Kind = word(row, "kind")?;
    let variants: Vec<String> = row.try_get("variants")?;
    let weights: Vec<i32> = row.try_get("weights")?;
    Ok(Definition {
        kind,
        bucket_by: word(row, "bucket_by")?,
        default: Value::read(kind, &variants, row.try_get("default_value")?),
        share: row.try_get::<_, i32>("share")?.unsigned_abs(),
        variants,
        weights: weights.into_iter().map(i32::unsigned_abs).collect(),
        rules: Vec::new(),
        overrides: HashMap::new(),
        is_public: row.try_get("is_public")?,
        sunset_on: row.try_get("sunset_on")?,
    })
}

fn rule(row: &Row, flag: &Definition) -> Result<Rule, DbError> {
    Ok(Rule {
        position: row.try_get::<_, i16>("position")?.unsigned_abs(),
        organizations: row.try_get("organizations")?,
        tenants: row.try_get("tenants")?,
        users: row.try_get("users")?,
        plans: row.try_get("plans")?,
        value: Value::read(flag.kind, &flag.variants, row.try_get("value")?),
        share: row.try_get::<_, Option<i32>>("share")?.map(i32::unsigned_abs),
    })
}

/// A word that a check of the table allows.
fn word<T: std::str::FromStr<Err = String>>(row: &Row, column: &str) -> Result<T, DbError> {
    row.try_get::<_, &str>(column)?.parse().map_err(|why: String| DbError::Protocol(why.into()))
}

#[cfg(test)]
mod tests;
