//! The proof that a sign-up makes what belongs to it: a user is inserted, looked at, and rolled back.

use rowhouse_db::{Control, DbError, Transaction, TransactionError};
use rowhouse_kernel::{Origin, Rng, new_id};
use rowhouse_tenancy::user_sync::{Trigger, UserSync};
use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// What came with the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Proof {
    /// Whether everything did, and nothing is left of it.
    pub(crate) proved: bool,
    pub(crate) trigger: Trigger,
    pub(crate) profile_created: bool,
    /// The profile's role.
    pub(crate) role: Option<String>,
    /// An organization, a tenant in it and the membership of an owner.
    pub(crate) tenant_created: bool,
    /// Whether the user is gone again.
    pub(crate) rolled_back: bool,
    /// Why the database refused the user, if it did.
    pub(crate) error: Option<String>,
}

/// The end of the transaction, which never commits.
#[derive(Debug)]
enum Ended {
    Seen { trigger: Trigger, role: Option<String>, tenant_created: bool },
    Db(DbError),
}

impl From<DbError> for Ended {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<tokio_postgres::Error> for Ended {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

impl TransactionError for Ended {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            Self::Seen { .. } => None,
        }
    }
}

/// Signs a user up and rolls back.
pub(crate) async fn prove(control: &Control, origin: &Origin, rng: &dyn Rng) -> Result<Proof, DbError> {
    let id = new_id(&*origin.clock, rng);
    let sign_up = async |tx: &Transaction<'_>| -> Result<(), Ended> {
        insert(tx, id).await?;
        Err(look(tx, id).await?)
    };
    let ended = control.run_tx(&origin.operation("users.test"), sign_up).await;
    let gone = async |client: &Client| is_gone(client, id).await;
    let rolled_back = control.statement(&origin.operation("users.test_rollback"), gone).await?;
    let measure = async |client: &Client| UserSync::measure(client).await;
    match ended {
        Ok(()) => Err(DbError::Protocol("the transaction has committed".into())),
        Err(Ended::Seen { trigger, role, tenant_created }) => {
            let profile_created = role.is_some();
            let proved = profile_created && tenant_created && rolled_back;
            Ok(Proof { proved, trigger, profile_created, role, tenant_created, rolled_back, error: None })
        }
        Err(Ended::Db(DbError::Refused(why))) => Ok(Proof {
            proved: false,
            trigger: control.statement(&origin.operation("users.count"), measure).await?.trigger,
            profile_created: false,
            role: None,
            tenant_created: false,
            rolled_back,
            error: Some(why.to_string()),
        }),
        Err(Ended::Db(error)) => Err(error),
    }
}

async fn insert(tx: &Client, id: Uuid) -> Result<(), Ended> {
    let sql = "insert into auth.users (id, aud, role, email, raw_user_meta_data)
               values ($1, 'authenticated', 'authenticated', $2, '{}')";
    let email = format!("test-{id}@example.invalid");
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&id, Type::UUID), (&email, Type::TEXT)];
    tx.execute_typed(sql, &parameters).await?;
    Ok(())
}

async fn look(tx: &Client, id: Uuid) -> Result<Ended, Ended> {
    let sql = "select (select p.role from tenancy.user_profiles p where p.user_id = $1) as role,
                 exists (select from tenancy.memberships m join tenancy.tenants t on t.id = m.tenant_id
                         join tenancy.organizations o on o.id = t.organization_id
                         where m.user_id = $1 and m.role = 'owner') as tenant_created";
    let row = tx.query_typed_one(sql, &[(&id, Type::UUID)]).await?;
    let trigger = UserSync::measure(tx).await?.trigger;
    Ok(Ended::Seen { trigger, role: row.try_get("role")?, tenant_created: row.try_get("tenant_created")? })
}

async fn is_gone(client: &Client, id: Uuid) -> Result<bool, DbError> {
    let sql = "select not exists (select from auth.users u where u.id = $1)";
    Ok(client.query_typed_one(sql, &[(&id, Type::UUID)]).await?.try_get(0)?)
}
