//! Reads the policies of the database and judges their expressions. Leaves the judging itself to `expression`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rowhouse_db::DbError;
use serde::Serialize;
use tokio_postgres::{Client, Row};

use crate::expression::{Facts, Function, Names, Operator, Scene};
use crate::tree::Node;

/// `polcmd` of policies whose USING also judges what is written, where there is no WITH CHECK.
const WRITING: &[&str] = &["*", "w"];

/// One expression of a policy, for the statements of the checks.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    policy: i64,
    /// `using` or `check`.
    side: &'static str,
    /// Whether it is a USING that serves as WITH CHECK as well.
    inherited: bool,
    #[serde(flatten)]
    facts: Facts,
}

/// Why an expression cannot be judged.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) policy: String,
    pub(crate) relation: String,
}

struct Policy {
    oid: i64,
    relation: i64,
    sides: Vec<(&'static str, bool, Node)>,
}

/// Every policy's expressions.
///
/// # Errors
/// The database's; within, the first policy whose stored form is unknown.
pub(crate) async fn judge_all(
    client: &Client,
    tenant_columns: &[String],
) -> Result<Result<Vec<Judged>, Unreadable>, DbError> {
    let rows = client.query(include_str!("../sql/policies.sql"), &[]).await?;
    let policies = match rows.iter().map(policy).collect::<Result<Vec<_>, _>>() {
        Ok(policies) => policies,
        Err(unreadable) => return Ok(Err(unreadable)),
    };
    let expressions: Vec<&Node> =
        policies.iter().flat_map(|policy| policy.sides.iter().map(|(_, _, node)| node)).collect();
    let names = names(client, &expressions).await?;
    let columns = Columns::read(client, tenant_columns).await?;
    Ok(Ok(policies.iter().flat_map(|policy| policy.judge(&names, &columns)).collect()))
}

fn policy(row: &Row) -> Result<Policy, Unreadable> {
    let unreadable = || Unreadable { policy: row.get("name"), relation: row.get("relation_name") };
    let parse = |column: &str| match row.get::<_, Option<&str>>(column) {
        Some(text) => Node::parse(text).ok_or_else(unreadable).map(Some),
        None => Ok(None),
    };
    let (using, check) = (parse("using_tree")?, parse("check_tree")?);
    let command: &str = row.get("command");
    let inherited = using.clone().filter(|_| check.is_none() && WRITING.contains(&command));
    let sides = [
        using.map(|node| ("using", false, node)),
        check.map(|node| ("check", false, node)),
        inherited.map(|node| ("check", true, node)),
    ];
    let sides = sides.into_iter().flatten().collect();
    Ok(Policy { oid: row.get("oid"), relation: row.get("relation"), sides })
}

impl Policy {
    fn judge<'a>(&'a self, names: &'a Names, columns: &'a Columns) -> impl Iterator<Item = Judged> + 'a {
        let of = |all: &'a BTreeMap<i64, Vec<i64>>| all.get(&self.relation).map_or(&[][..], Vec::as_slice);
        let scene = Scene { names, tenant: of(&columns.tenant), not_null: of(&columns.not_null) };
        self.sides.iter().map(move |(side, inherited, node)| Judged {
            policy: self.oid,
            side,
            inherited: *inherited,
            facts: scene.judge(node),
        })
    }
}

/// Columns of the policies' tables, by table.
#[derive(Debug, Default)]
struct Columns {
    tenant: BTreeMap<i64, Vec<i64>>,
    not_null: BTreeMap<i64, Vec<i64>>,
}

impl Columns {
    async fn read(client: &Client, tenant_columns: &[String]) -> Result<Self, DbError> {
        let sql = "select attrelid::int8 as relation, attnum::int8 as number, attnotnull as is_not_null,
                     attname = any ($1::text[]) as is_tenant
                   from pg_attribute where attrelid in (select polrelid from pg_policy) and attnum > 0 and not attisdropped";
        let mut columns = Self::default();
        for row in client.query(sql, &[&tenant_columns]).await? {
            let (relation, number): (i64, i64) = (row.get("relation"), row.get("number"));
            if row.get("is_tenant") {
                columns.tenant.entry(relation).or_default().push(number);
            }
            if row.get("is_not_null") {
                columns.not_null.entry(relation).or_default().push(number);
            }
        }
        Ok(columns)
    }
}

async fn names(client: &Client, expressions: &[&Node]) -> Result<Names, DbError> {
    let numbers = |of: fn(&Node) -> BTreeSet<i64>| -> Vec<i64> {
        expressions.iter().flat_map(|node| of(node)).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let (operators, functions) = (numbers(Names::operators_in), numbers(Names::functions_in));
    let sql = "select oid::int8, oprname::text as name, oprcode::oid::int8 as function from pg_operator where oid::int8 = any ($1)";
    let operators: HashMap<i64, Operator> = client
        .query(sql, &[&operators])
        .await?
        .iter()
        .map(|row| (row.get("oid"), Operator { name: row.get("name"), function: row.get("function") }))
        .collect();
    let functions: Vec<i64> =
        functions.into_iter().chain(operators.values().map(|operator| operator.function)).collect();
    let sql = "select p.oid::int8, n.nspname::text as schema, p.proname::text as name, p.provolatile::text as volatility
               from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.oid::int8 = any ($1)";
    let functions: HashMap<i64, Function> =
        client.query(sql, &[&functions]).await?.iter().map(function).collect();
    Ok(Names::new(functions, operators))
}

fn function(row: &Row) -> (i64, Function) {
    let oid = row.get("oid");
    let volatility = row.get::<_, &str>("volatility").chars().next().unwrap_or('v');
    (oid, Function::new(oid, row.get("schema"), row.get("name"), volatility))
}
