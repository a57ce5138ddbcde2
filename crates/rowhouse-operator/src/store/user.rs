//! Users as operators see them, and closing accounts: `operators.suspend`, `operators.reactivate`.

use rowhouse_db::DbError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::{Json, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;
use super::search::Filter;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "OperatedUser")]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) email: Option<String>,
    /// Without plus sign.
    pub(crate) phone: Option<String>,
    /// As the user has it, from `full_name` or `name` of the metadata.
    pub(crate) name: Option<String>,
    /// `active`, `suspended` or `deleted`.
    pub(crate) status: String,
    pub(crate) is_anonymous: bool,
    /// `super_admin`, `support` or `auditor`.
    pub(crate) operator_role: Option<String>,
    /// By an operator; null for a ban of other origin.
    pub(crate) suspension: Option<Suspension>,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) last_sign_in_at: Option<String>,
}

/// Why an account is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "UserSuspension")]
pub(crate) struct Suspension {
    pub(crate) reason: String,
    /// Who did it: a user's id, `service_role`, or `operator:NAME` of a command.
    pub(crate) suspended_by: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) suspended_at: String,
}

/// An organization of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UserOrganization {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) role: String,
    /// The organization's.
    pub(crate) status: String,
}

/// A tenant of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct UserTenant {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) organization_id: Uuid,
    pub(crate) role: String,
    /// The tenant's.
    pub(crate) status: String,
}

/// A user with what belongs to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct UserDetails {
    #[serde(flatten)]
    pub(crate) user: User,
    /// 100 at most.
    pub(crate) organizations: Vec<UserOrganization>,
    /// 100 at most.
    pub(crate) tenants: Vec<UserTenant>,
    /// Ways to sign in, such as `email` or `google`.
    pub(crate) providers: Vec<String>,
    /// Sessions that have not ended.
    pub(crate) sessions: i64,
    pub(crate) has_second_factor: bool,
}

const SELECT: &str = include_str!("../../sql/search_users.sql");

impl User {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let reason: Option<String> = row.try_get("suspension_reason")?;
        let by: Option<String> = row.try_get("suspended_by")?;
        let at: Option<String> = row.try_get("suspended_at")?;
        let suspension = reason.zip(by).zip(at);
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            phone: row.try_get("phone")?,
            name: row.try_get("name")?,
            status: row.try_get("status")?,
            is_anonymous: row.try_get("is_anonymous")?,
            operator_role: row.try_get("operator_role")?,
            suspension: suspension.map(|((reason, suspended_by), suspended_at)| Suspension {
                reason,
                suspended_by,
                suspended_at,
            }),
            created_at: row.try_get("created_at")?,
            last_sign_in_at: row.try_get("last_sign_in_at")?,
        })
    }
}

/// A page of the users who fit, in the order of their ids.
pub(crate) async fn search(
    client: &Client,
    filter: &Filter,
    after: Option<Uuid>,
    limit: u32,
) -> Result<Vec<User>, DbError> {
    let fit = filter.fit();
    let page = fit.page(after.is_none());
    let sql = format!("{SELECT} where u.id in ({page}) order by u.id limit $9");
    let (limit, mut parameters) = (i64::from(limit), fit.parameters());
    let others: [Bound<'_>; 2] = [(&after, Type::UUID), (&limit, Type::INT8)];
    parameters.extend(others);
    let rows = client.query_typed(&sql, &parameters).await?;
    Ok(rows.iter().map(User::from_row).collect::<Result<_, _>>()?)
}

/// The user, deleted softly or not.
pub(crate) async fn find(client: &Client, id: Uuid) -> Result<Option<User>, DbError> {
    let sql = format!("{SELECT} where u.id = $1");
    let row = client.query_typed_opt(&sql, &[(&id, Type::UUID)]).await?;
    Ok(row.as_ref().map(User::from_row).transpose()?)
}

/// The user with what belongs to them.
pub(crate) async fn find_details(client: &Client, id: Uuid) -> Result<Option<UserDetails>, DbError> {
    let Some(user) = find(client, id).await? else { return Ok(None) };
    let row =
        client.query_typed_one(include_str!("../../sql/user_details.sql"), &[(&id, Type::UUID)]).await?;
    Ok(Some(UserDetails {
        user,
        organizations: row.try_get::<_, Json<Vec<UserOrganization>>>("organizations")?.0,
        tenants: row.try_get::<_, Json<Vec<UserTenant>>>("tenants")?.0,
        providers: row.try_get::<_, Json<Vec<String>>>("providers")?.0,
        sessions: row.try_get("sessions")?,
        has_second_factor: row.try_get("has_second_factor")?,
    }))
}

/// What became of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    Done,
    /// It was like that before.
    Unchanged,
    Missing,
    /// It is the actor's own.
    Own,
    /// It is an operator's, and the actor is no super_admin.
    Operator,
}

impl Closing {
    fn read(outcome: &str) -> Result<Self, DbError> {
        match outcome {
            "done" => Ok(Self::Done),
            "unchanged" => Ok(Self::Unchanged),
            "missing" => Ok(Self::Missing),
            "self" => Ok(Self::Own),
            "operator" => Ok(Self::Operator),
            other => Err(DbError::Protocol(format!("an unknown outcome: {other}").into())),
        }
    }
}

/// Closes an account and ends its sessions.
pub(crate) async fn suspend(tx: &Client, user: Uuid, reason: &str, actor: &str) -> Result<Closing, DbError> {
    close(tx, "select operators.suspend($1, $2, $3)", (user, Some(reason), actor)).await
}

/// Opens an account again.
pub(crate) async fn reactivate(
    tx: &Client,
    user: Uuid,
    reason: Option<&str>,
    actor: &str,
) -> Result<Closing, DbError> {
    close(tx, "select operators.reactivate($1, $2, $3)", (user, reason, actor)).await
}

async fn close(
    tx: &Client,
    sql: &str,
    (user, reason, actor): (Uuid, Option<&str>, &str),
) -> Result<Closing, DbError> {
    let parameters: [Bound<'_>; 3] = [(&user, Type::UUID), (&reason, Type::TEXT), (&actor, Type::TEXT)];
    let outcome: String = tx.query_typed_one(sql, &parameters).await?.try_get(0)?;
    Closing::read(&outcome)
}
