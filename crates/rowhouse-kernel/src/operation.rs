//! What a named transaction is done for: its name, and which request, actor, tenant and client caused it.
//! How the database learns of it is `rowhouse-db`'s business.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use time::OffsetDateTime;

use crate::{ApiKeyId, Caller, SharedClock, SystemClock, TenantId, UserId};

/// On whose behalf something is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Actor {
    /// The program itself: background work.
    #[default]
    System,
    /// A person who runs a command, by operating-system account.
    Operator(Arc<str>),
    /// A row of `auth.users`.
    User(UserId),
    /// An operator who acts as a user, in a session of their own.
    Impersonated {
        /// As whom.
        user: UserId,
        /// Who.
        operator: UserId,
    },
    /// A service of an organization, by the key that it presents.
    ApiKey(ApiKeyId),
    /// A caller that is not a row of `auth.users`, by database role: `anon`, `service_role`, a project's own.
    Role(Arc<str>),
    /// Software that has signed in with a credential of this name.
    Credential(Arc<str>),
}

impl Actor {
    /// The actor that a verified caller stands for.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        match (caller.user, caller.api_key) {
            (Some(user), _) => match caller.impersonation() {
                Some(found) => Self::Impersonated { user, operator: found.operator },
                None => Self::User(user),
            },
            (None, Some(key)) => Self::ApiKey(key),
            (None, None) => Self::Role(Arc::clone(&caller.role)),
        }
    }

    /// The operator who acts as the user, if one does.
    #[must_use]
    pub fn impersonator(&self) -> Option<UserId> {
        match self {
            Self::Impersonated { operator, .. } => Some(*operator),
            _ => None,
        }
    }
}

/// A user's id (also of one as whom an operator acts), a role's name, `api_key:ID`, `operator:NAME`, `credential:NAME`, or `system`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::User(id) | Self::Impersonated { user: id, .. } => id.fmt(f),
            Self::ApiKey(id) => write!(f, "api_key:{id}"),
            Self::Role(role) => f.write_str(role),
            Self::Credential(name) => write!(f, "credential:{name}"),
        }
    }
}

/// What all operations of one request have in common; a request extension.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The request's id; its log lines, jobs and mails carry the same.
    pub request_id: Option<Arc<str>>,
    /// Who asks.
    pub actor: Actor,
    /// The tenant that the caller's token names.
    pub tenant: Option<TenantId>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// What the client says it is: its `User-Agent`, of bounded length.
    pub user_agent: Option<Arc<str>>,
    /// The time.
    pub clock: SharedClock,
}

impl Origin {
    /// An origin for work of the program itself.
    #[must_use]
    pub fn system(clock: &SharedClock) -> Self {
        let clock = Arc::clone(clock);
        Self { request_id: None, actor: Actor::System, tenant: None, address: None, user_agent: None, clock }
    }

    /// An origin for a command that this operator runs.
    #[must_use]
    pub fn operator(name: &str, clock: &SharedClock) -> Self {
        Self { actor: Actor::Operator(Arc::from(name)), ..Self::system(clock) }
    }

    /// The operation `name` of this origin.
    #[must_use]
    pub fn operation(&self, name: &'static str) -> Operation {
        Operation { name, origin: self.clone() }
    }
}

/// A named transaction's or statement's name and origin: the first argument of every function that decides in
/// the database.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The label of its metrics: `surface.verb`.
    pub name: &'static str,
    /// What caused it.
    pub origin: Origin,
}

static MACHINE_CLOCK: LazyLock<SharedClock> = LazyLock::new(|| Arc::new(SystemClock));

impl Operation {
    /// An operation of a request.
    #[must_use]
    pub fn of(name: &'static str, origin: &Origin) -> Self {
        origin.operation(name)
    }

    /// Background work, which no request waits for.
    #[must_use]
    pub fn background(name: &'static str, clock: &SharedClock) -> Self {
        Origin::system(clock).operation(name)
    }

    /// Work of the program itself by the system clock, where no decision depends on the time.
    #[must_use]
    pub fn system(name: &'static str) -> Self {
        Self::background(name, &MACHINE_CLOCK)
    }

    /// Sets the request's id, if there is one.
    #[must_use]
    pub fn for_request(mut self, request_id: Option<&str>) -> Self {
        self.origin.request_id = request_id.map(Arc::from);
        self
    }

    /// Sets the tenant.
    #[must_use]
    pub fn in_tenant(mut self, tenant: Option<TenantId>) -> Self {
        self.origin.tenant = tenant;
        self
    }

    /// The current instant.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.origin.clock.now()
    }
}
