//! A flag as it is administered: its fields and changes of them. Leaves their limits to `check`, storing to
//! [`crate::store`] and evaluation to [`crate::evaluate`].

mod check;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::value::{Kind, OFF, ROLLOUT, Scope};

pub(crate) use check::{MAX_ROUTE_SEGMENTS, check_name};

/// A flag.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Flag {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) fields: Fields,
    /// The sunset is before today, in UTC.
    pub(crate) is_past_sunset: bool,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) created_at: String,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) updated_at: String,
}

/// What can be said about a flag.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Fields {
    /// What it switches.
    pub(crate) description: String,
    pub(crate) kind: Kind,
    /// Whose id decides about shares and variants.
    pub(crate) bucket_by: Scope,
    /// Where no override and no rule decides: `on`, `off`, `rollout`, or a variant's name.
    pub(crate) default_value: String,
    /// Of kind percentage: the share for whom `rollout` is on, 0 to 100 with two decimals.
    pub(crate) percentage: f64,
    /// Of kind variant.
    pub(crate) variants: Vec<Weighted>,
    /// The first one whose conditions all hold decides.
    pub(crate) rules: Vec<Targeting>,
    /// Prefixes of paths that answer 404 while it is off for the caller, such as `/rest/v1/crm_deals`.
    pub(crate) routes: Vec<String>,
    /// Who decides about it and removes it.
    pub(crate) owner: String,
    /// The last day on which it should exist, as `YYYY-MM-DD`.
    pub(crate) sunset_on: Option<String>,
    /// Signed-in users may ask what it is for them.
    pub(crate) is_public: bool,
}

/// A variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FlagVariant")]
pub(crate) struct Weighted {
    pub(crate) name: String,
    /// Its share, relative to the sum of all; 0 to 10000.
    pub(crate) weight: u32,
}

/// A targeting rule. Each list is a condition, which holds if the caller's is in it; at least one is given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FlagRule")]
pub(crate) struct Targeting {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) organizations: Option<Vec<Uuid>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenants: Option<Vec<Uuid>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) users: Option<Vec<Uuid>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plans: Option<Vec<String>>,
    /// As `default_value`.
    pub(crate) value: String,
    /// With the value `rollout`: a share of its own instead of the flag's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) percentage: Option<f64>,
}

/// Changes of a flag; what is missing stays.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FlagChange")]
pub(crate) struct Change {
    pub(crate) description: Option<String>,
    pub(crate) bucket_by: Option<Scope>,
    pub(crate) default_value: Option<String>,
    pub(crate) percentage: Option<f64>,
    pub(crate) variants: Option<Vec<Weighted>>,
    pub(crate) rules: Option<Vec<Targeting>>,
    pub(crate) routes: Option<Vec<String>>,
    pub(crate) owner: Option<String>,
    /// null removes it.
    #[serde(default, deserialize_with = "given")]
    pub(crate) sunset_on: Option<Option<String>>,
    pub(crate) is_public: Option<bool>,
}

/// A field that is given, be it null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Change {
    /// The fields with this change.
    pub(crate) fn apply(&self, before: &Fields) -> Fields {
        let Fields { kind, .. } = *before;
        let before = before.clone();
        let of = |new: &Option<String>, old| new.clone().unwrap_or(old);
        Fields {
            description: of(&self.description, before.description),
            kind,
            bucket_by: self.bucket_by.unwrap_or(before.bucket_by),
            default_value: of(&self.default_value, before.default_value),
            percentage: self.percentage.unwrap_or(before.percentage),
            variants: self.variants.clone().unwrap_or(before.variants),
            rules: self.rules.clone().unwrap_or(before.rules),
            routes: self.routes.clone().unwrap_or(before.routes),
            owner: of(&self.owner, before.owner),
            sunset_on: self.sunset_on.clone().unwrap_or(before.sunset_on),
            is_public: self.is_public.unwrap_or(before.is_public),
        }
    }
}

impl Fields {
    /// Those of a new flag.
    pub(crate) fn new(kind: Kind, owner: &str) -> Self {
        let default_value = if kind == Kind::Boolean { OFF } else { ROLLOUT };
        Self {
            description: String::new(),
            kind,
            bucket_by: Scope::User,
            default_value: default_value.to_owned(),
            percentage: 0.0,
            variants: Vec::new(),
            rules: Vec::new(),
            routes: Vec::new(),
            owner: owner.to_owned(),
            sunset_on: None,
            is_public: false,
        }
    }

    /// The names of the variants.
    pub(crate) fn names(&self) -> Vec<String> {
        self.variants.iter().map(|variant| variant.name.clone()).collect()
    }
}
