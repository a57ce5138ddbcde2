//! What a flag is for a subject, from memory: the same as `flags.evaluate` in SQL. Leaves loading to [`crate::memory`].

use std::collections::HashMap;

use rowhouse_kernel::{Caller, OrganizationId, TenantId, UserId};
use serde::Serialize;
use time::Date;
use uuid::Uuid;

use crate::value::{Kind, Scope, Value};

/// Places among which a flag's subjects are distributed.
const BUCKETS: u32 = 10_000;

/// For whom a flag is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Subject {
    /// The organization, if there is one.
    pub organization: Option<OrganizationId>,
    /// The tenant, if there is one.
    pub tenant: Option<TenantId>,
    /// The user, if there is one.
    pub user: Option<UserId>,
}

impl Subject {
    /// Whom the caller's token names.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Self { organization: caller.organization, tenant: caller.tenant, user: caller.user }
    }

    pub(crate) fn id(&self, scope: Scope) -> Option<Uuid> {
        match scope {
            Scope::User => self.user.map(|id| id.0),
            Scope::Tenant => self.tenant.map(|id| id.0),
            Scope::Organization => self.organization.map(|id| id.0),
        }
    }
}

/// What has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no such flag.
    Unknown,
    /// The user's override.
    UserOverride,
    /// The tenant's override.
    TenantOverride,
    /// The organization's override.
    OrganizationOverride,
    /// A rule.
    Rule,
    /// Nothing else: the flag's default.
    Default,
}

/// What a flag is for a subject, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// Whether it is on.
    #[serde(rename = "enabled")]
    pub is_on: bool,
    /// The variant, if it is on and has variants.
    pub variant: Option<String>,
    /// What has decided.
    pub reason: Reason,
    /// The rule's position, from 1, if one has decided.
    pub rule: Option<u16>,
    /// The subject's bucket, 0 to 9999, if a rollout has decided.
    pub bucket: Option<u16>,
}

impl Evaluation {
    /// That of a flag that does not exist.
    pub(crate) const UNKNOWN: Self =
        Self { is_on: false, variant: None, reason: Reason::Unknown, rule: None, bucket: None };
}

/// A flag in memory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub(crate) kind: Kind,
    pub(crate) bucket_by: Scope,
    pub(crate) default: Value,
    /// In hundredths of a percent, as buckets are.
    pub(crate) share: u32,
    pub(crate) variants: Vec<String>,
    pub(crate) weights: Vec<u32>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) overrides: HashMap<(Scope, Uuid), Value>,
    pub(crate) is_public: bool,
    pub(crate) sunset_on: Option<Date>,
}

/// A rule in memory. A condition without ids is none.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Rule {
    pub(crate) position: u16,
    pub(crate) organizations: Option<Vec<Uuid>>,
    pub(crate) tenants: Option<Vec<Uuid>>,
    pub(crate) users: Option<Vec<Uuid>>,
    pub(crate) plans: Option<Vec<String>>,
    pub(crate) value: Value,
    pub(crate) share: Option<u32>,
}

/// The override or rule that decides, or the default.
struct Chosen {
    value: Value,
    share: u32,
    reason: Reason,
    rule: Option<u16>,
}

impl Definition {
    /// What this flag is for `subject`, whose tenant has this plan.
    pub(crate) fn evaluate(&self, name: &str, subject: &Subject, plan: Option<&str>) -> Evaluation {
        let chosen = self.choose(subject, plan);
        let (bucket, variant, is_on) = self.outcome(name, &chosen, subject);
        let variant = variant.and_then(|at| self.variants.get(at)).cloned();
        Evaluation { is_on, variant, reason: chosen.reason, rule: chosen.rule, bucket }
    }

    /// The same without its reasons.
    pub(crate) fn is_on(&self, name: &str, subject: &Subject, plan: Option<&str>) -> bool {
        self.outcome(name, &self.choose(subject, plan), subject).2
    }

    /// Bucket, variant by its place, and whether it is on.
    fn outcome(&self, name: &str, chosen: &Chosen, subject: &Subject) -> (Option<u16>, Option<usize>, bool) {
        match chosen.value {
            Value::Off => (None, None, false),
            Value::On => (None, None, true),
            Value::Variant(at) => (None, Some(usize::from(at)), true),
            Value::Rollout => {
                let Some(id) = subject.id(self.bucket_by) else { return (None, None, false) };
                let bucket = bucket(name, id);
                let kept = u16::try_from(bucket).ok();
                match self.kind {
                    Kind::Variant => {
                        let variant = weighted(&self.weights, bucket);
                        (kept, variant, variant.is_some())
                    }
                    Kind::Boolean | Kind::Percentage => (kept, None, bucket < chosen.share),
                }
            }
        }
    }

    fn choose(&self, subject: &Subject, plan: Option<&str>) -> Chosen {
        if let Some((value, reason)) = self.overridden(subject) {
            return Chosen { value, share: self.share, reason, rule: None };
        }
        match self.rules.iter().find(|rule| rule.applies(subject, plan)) {
            Some(rule) => Chosen {
                value: rule.value,
                share: rule.share.unwrap_or(self.share),
                reason: Reason::Rule,
                rule: Some(rule.position),
            },
            None => Chosen { value: self.default, share: self.share, reason: Reason::Default, rule: None },
        }
    }

    fn overridden(&self, subject: &Subject) -> Option<(Value, Reason)> {
        if self.overrides.is_empty() {
            return None;
        }
        let scopes = [
            (Scope::User, Reason::UserOverride),
            (Scope::Tenant, Reason::TenantOverride),
            (Scope::Organization, Reason::OrganizationOverride),
        ];
        scopes.into_iter().find_map(|(scope, reason)| {
            let value = self.overrides.get(&(scope, subject.id(scope)?))?;
            Some((*value, reason))
        })
    }
}

impl Rule {
    fn applies(&self, subject: &Subject, plan: Option<&str>) -> bool {
        let names = |ids: &Option<Vec<Uuid>>, scope| {
            ids.as_ref().is_none_or(|ids| subject.id(scope).is_some_and(|id| ids.contains(&id)))
        };
        let of_plan = |plans: &Vec<String>| plan.is_some_and(|plan| plans.iter().any(|one| one == plan));
        names(&self.organizations, Scope::Organization)
            && names(&self.tenants, Scope::Tenant)
            && names(&self.users, Scope::User)
            && self.plans.as_ref().is_none_or(of_plan)
    }
}

/// The first four bytes of SHA-256 of flag and subject, modulo 10,000: independent of all other flags, and the same for
/// ever, so that a greater share contains every smaller one.
pub(crate) fn bucket(flag: &str, subject: Uuid) -> u32 {
    let digest = rowhouse_crypto::digest_hex(&format!("{flag}:{subject}"));
    let first = digest.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    first.unwrap_or_default() % BUCKETS
}

/// The place of the variant into whose share of the buckets this one falls.
fn weighted(weights: &[u32], bucket: u32) -> Option<usize> {
    let total: u64 = weights.iter().copied().map(u64::from).sum();
    let place = u64::from(bucket) * total;
    let mut upper = 0;
    weights.iter().position(|weight| {
        upper += u64::from(*weight);
        place < upper * u64::from(BUCKETS)
    })
}

#[cfg(test)]
mod tests;
