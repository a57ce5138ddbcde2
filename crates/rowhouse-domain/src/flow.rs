//! What is decided about domains for callers. Each function runs in its caller's transaction and asks for the permission first.
//! Leaves HTTP to `route`, and checks by schedule to `recheck`.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_crypto::digest_hex;
use rowhouse_kernel::{Caller, OrganizationId, SharedClock, SharedRng, new_id};
use rowhouse_mail::Mailer;
use rowhouse_tenancy::permission::{Permission, Scope, require};
use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::challenge::{Proof, new_token};
use crate::check::{Checker, Finding};
use crate::claim::{Claim, Owner, Status};
use crate::error::DomainError;
use crate::letter::ask_postmaster;
use crate::name::DomainName;
use crate::settings::DomainSettings;
use crate::store::{self, change};

/// What decisions need beside the database.
#[derive(Clone)]
pub(crate) struct Domains {
    pub(crate) settings: Arc<DomainSettings>,
    pub(crate) checker: Checker,
    pub(crate) mailer: Mailer,
    pub(crate) clock: SharedClock,
    pub(crate) rng: SharedRng,
    /// Hosts of this installation.
    pub(crate) reserved: Arc<[String]>,
}

/// What a check on request has led to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// As it is now, verified or not.
    Seen(Box<Claim>),
    /// Another owner has it.
    Taken,
}

/// Whether an owner's domains may be seen.
pub(crate) async fn require_view(client: &Client, caller: &Caller, owner: Owner) -> Result<(), DomainError> {
    require(client, caller, owner.scope(), owner.view()).await?;
    if store::exists(client, owner).await? { Ok(()) } else { Err(DomainError::Missing(owner.kind())) }
}

/// The owner's claim, for who may see or change it.
pub(crate) async fn get(
    client: &Client,
    caller: &Caller,
    owner: Owner,
    id: Uuid,
    permission: Permission,
) -> Result<Claim, DomainError> {
    require(client, caller, owner.scope(), permission).await?;
    store::find(client, owner, id).await?.ok_or(DomainError::Missing("domain"))
}

/// Gives a claim up. A second time changes nothing.
pub(crate) async fn release(tx: &Client, caller: &Caller, owner: Owner, id: Uuid) -> Result<(), DomainError> {
    let claim = get(tx, caller, owner, id, owner.update()).await?;
    change::release(tx, claim.id).await?;
    Ok(())
}

/// Who may join an organization by a domain, and in which role. `before` was read in the same transaction.
pub(crate) async fn set_joining(
    tx: &Client,
    caller: &Caller,
    before: &Claim,
    auto_join: Option<bool>,
    role: Option<&str>,
) -> Result<(), DomainError> {
    if role == Some("owner") {
        return Err(DomainError::JoiningOwner);
    }
    // Who joins by the domain is invited by this.
    let organization = OrganizationId(before.organization_id);
    require(tx, caller, Scope::Organization(organization), Permission::MembersInvite).await?;
    let given = role.or(before.auto_join_role.as_deref()).unwrap_or("member");
    if let Some(lacking) = change::refusal_of_role(tx, caller, before.organization_id, given).await? {
        return Err(DomainError::BeyondOwn(lacking));
    }
    if !change::set_joining(tx, before.organization_id, &before.name, auto_join, role).await? {
        return Err(DomainError::Missing("domain"));
    }
    let details = json!({ "auto_join": auto_join, "auto_join_role": role });
    change::record(tx, before.id, "domain_changed", &details).await?;
    Ok(())
}

impl Domains {
    /// Names a domain. One that the owner has named and not verified gets another proof with the same token, and another letter.
    pub(crate) async fn claim(
        &self,
        tx: &Client,
        caller: &Caller,
        owner: Owner,
        name: &str,
        proof: Proof,
    ) -> Result<Claim, DomainError> {
        require(tx, caller, owner.scope(), owner.update()).await?;
        let (organization, called) =
            store::lock(tx, owner).await?.ok_or(DomainError::Missing(owner.kind()))?;
        let name = self.read(name)?;
        let id = match store::find_named(tx, owner, name.as_str()).await? {
            Some(claim) if claim.status == Status::Verified => return Err(DomainError::Verified),
            Some(claim) => {
                change::renew(tx, claim.id, proof).await?;
                claim.id
            }
            None => self.insert(tx, organization, owner, &name, proof).await?,
        };
        change::record(tx, id, "domain_claimed", &json!({ "proof": proof.name() })).await?;
        let claim = store::find(tx, owner, id).await?.ok_or(DomainError::Missing("domain"))?;
        if proof == Proof::Mail {
            ask_postmaster(tx, &self.mailer, &*self.rng, &claim, &called).await?;
        }
        Ok(claim)
    }

    fn read(&self, name: &str) -> Result<DomainName, DomainError> {
        let name = DomainName::parse(name)?;
        let is_ours = self.reserved.iter().any(|host| name.is_within(host));
        if is_ours { Err(DomainError::Reserved) } else { Ok(name) }
    }

    async fn insert(
        &self,
        tx: &Client,
        organization: Uuid,
        owner: Owner,
        name: &DomainName,
        proof: Proof,
    ) -> Result<Uuid, DomainError> {
        let most = match owner {
            Owner::Tenant(_) => self.settings.per_tenant,
            Owner::Organization(_) => self.settings.per_organization,
        };
        if store::count(tx, owner).await? >= i64::from(most) {
            return Err(DomainError::TooMany(most));
        }
        let (id, token) = (new_id(&*self.clock, &*self.rng), new_token(&*self.rng));
        let new = change::NewClaim { id, organization, owner, name: name.as_str(), proof, token: &token };
        change::insert(tx, &new).await?;
        Ok(id)
    }

    /// Begins a check on request: what is already decided is found here, by a code. What it has counted is kept.
    pub(crate) async fn begin_check(
        &self,
        tx: &Client,
        caller: &Caller,
        owner: Owner,
        id: Uuid,
        code: Option<&str>,
    ) -> Result<(Claim, Option<Finding>), DomainError> {
        let claim = get(tx, caller, owner, id, owner.update()).await?;
        if claim.status == Status::Released {
            return Err(DomainError::Missing("domain"));
        }
        if claim.proof == Proof::Mail {
            let code = code.ok_or(DomainError::NoCode)?;
            let tried = change::try_code(tx, id, &digest_hex(code.trim())).await?;
            return Ok((claim, Some(judge_code(tried))));
        }
        if change::begin_check(tx, id).await? {
            Ok((claim, None))
        } else {
            Err(DomainError::TooSoon(change::REST))
        }
    }

    /// Ends it with what was found.
    pub(crate) async fn end_check(
        &self,
        tx: &Client,
        caller: &Caller,
        owner: Owner,
        claim: &Claim,
        finding: &Finding,
    ) -> Result<Verdict, DomainError> {
        require(tx, caller, owner.scope(), owner.update()).await?;
        let done = self.note(tx, claim, finding).await?;
        if done == "taken" {
            return Ok(Verdict::Taken);
        }
        let now = store::find(tx, owner, claim.id).await?.filter(|_| done != "gone");
        Ok(Verdict::Seen(Box::new(now.ok_or(DomainError::Missing("domain"))?)))
    }

    /// Notes what a check has found; what `domains.confirm` and `domains.miss` say to it.
    pub(crate) async fn note(
        &self,
        tx: &Client,
        claim: &Claim,
        finding: &Finding,
    ) -> Result<String, DomainError> {
        Ok(match finding {
            Finding::Found => change::confirm(tx, claim.id, self.next(claim.proof)).await?,
            Finding::Missing(why) => change::miss(tx, claim.id, (why, true), &self.settings).await?,
            Finding::Unanswered(why) => change::miss(tx, claim.id, (why, false), &self.settings).await?,
        })
    }

    /// When a proof is looked for again.
    fn next(&self, proof: Proof) -> Duration {
        match proof {
            Proof::Mail => self.settings.mail_proof_lifetime,
            _ => self.settings.recheck_interval,
        }
    }
}

fn judge_code(tried: Option<bool>) -> Finding {
    match tried {
        Some(true) => Finding::Found,
        Some(false) => Finding::Missing("another code was sent".to_owned()),
        None => Finding::Missing(
            "the code is no longer good; name the domain again for another letter".to_owned(),
        ),
    }
}
