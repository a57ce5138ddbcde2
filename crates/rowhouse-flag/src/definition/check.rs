//! The limits of a flag's fields, and what means something for its kind.

use std::collections::HashSet;

use time::Date;
use time::macros::format_description;

use super::{Fields, Targeting};
use crate::value::{Kind, OFF, ON, ROLLOUT, Value};

/// Most rules of a flag.
const MAX_RULES: usize = 50;
/// Most ids or plans in one condition of a rule.
const MAX_NAMED: usize = 100;
/// Most variants of a flag.
const MAX_VARIANTS: usize = 20;
/// Greatest weight of a variant.
const MAX_WEIGHT: u32 = 10_000;
/// Most routes of a flag.
const MAX_ROUTES: usize = 20;
/// Longest route, in bytes.
const MAX_ROUTE_BYTES: usize = 200;
/// Most segments of a route.
pub(crate) const MAX_ROUTE_SEGMENTS: usize = 10;
/// Longest name of a flag, value or plan, in bytes.
const MAX_NAME_BYTES: usize = 63;
/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 1000;
/// Longest owner, in characters.
const MAX_OWNER: usize = 200;

impl Fields {
    /// Refuses what is out of bounds, or means nothing for this kind.
    pub(crate) fn check(&self) -> Result<(), String> {
        bounded("description", &self.description, 0, MAX_DESCRIPTION)?;
        bounded("owner", &self.owner, 1, MAX_OWNER)?;
        self.check_shares()?;
        self.check_value("default_value", &self.default_value)?;
        at_most("rules", self.rules.len(), MAX_RULES)?;
        self.rules
            .iter()
            .enumerate()
            .try_for_each(|(at, rule)| self.check_rule(&format!("rules[{at}]"), rule))?;
        at_most("routes", self.routes.len(), MAX_ROUTES)?;
        self.routes.iter().try_for_each(|route| check_route(route))?;
        self.sunset_on.as_deref().map_or(Ok(()), |date| read_date(date).map(|_| ()))
    }

    /// Refuses a value that the flag does not have.
    pub(crate) fn check_value(&self, field: &str, value: &str) -> Result<(), String> {
        match Value::find(self.kind, &self.names(), value) {
            Some(_) => Ok(()),
            None => Err(format!("{field}: a flag of kind {} takes {}", self.kind, self.values())),
        }
    }

    fn values(&self) -> String {
        match self.kind {
            Kind::Boolean => format!("{ON} or {OFF}"),
            Kind::Percentage => format!("{ON}, {OFF} or {ROLLOUT}"),
            Kind::Variant => format!("{OFF}, {ROLLOUT} or the name of one of its variants"),
        }
    }

    fn check_shares(&self) -> Result<(), String> {
        check_percentage("percentage", self.percentage)?;
        if self.kind != Kind::Percentage && self.percentage != 0.0 {
            return Err("percentage: only a flag of kind percentage has one".to_owned());
        }
        if self.kind != Kind::Variant && !self.variants.is_empty() {
            return Err("variants: only a flag of kind variant has some".to_owned());
        }
        if self.kind == Kind::Variant && self.variants.is_empty() {
            return Err("variants: a flag of kind variant needs at least one".to_owned());
        }
        at_most("variants", self.variants.len(), MAX_VARIANTS)?;
        let mut names = HashSet::new();
        self.variants.iter().try_for_each(|variant| match () {
            () if variant.weight > MAX_WEIGHT => Err(format!("variants: a weight is 0 to {MAX_WEIGHT}")),
            () if !is_variant(&variant.name) => {
                Err(format!("variants: \"{:.63}\" is not lower-case letters, digits, - and _", variant.name))
            }
            () if !names.insert(&variant.name) => Err(format!("variants: {} is named twice", variant.name)),
            () => Ok(()),
        })
    }

    fn check_rule(&self, field: &str, rule: &Targeting) -> Result<(), String> {
        let lists = [&rule.organizations, &rule.tenants, &rule.users].map(|ids| ids.as_ref().map(Vec::len));
        let lengths = lists.into_iter().chain([rule.plans.as_ref().map(Vec::len)]).flatten();
        let lengths: Vec<usize> = lengths.collect();
        if lengths.is_empty() {
            return Err(format!("{field}: give organizations, tenants, users or plans"));
        }
        if !lengths.iter().all(|length| (1..=MAX_NAMED).contains(length)) {
            return Err(format!("{field}: each list has 1 to {MAX_NAMED} entries"));
        }
        if rule.plans.iter().flatten().any(|plan| !(1..=MAX_NAME_BYTES).contains(&plan.len())) {
            return Err(format!("{field}: a plan's name has 1 to {MAX_NAME_BYTES} bytes"));
        }
        self.check_value(&format!("{field}.value"), &rule.value)?;
        let Some(percentage) = rule.percentage else { return Ok(()) };
        check_percentage(&format!("{field}.percentage"), percentage)?;
        match self.kind == Kind::Percentage && rule.value == ROLLOUT {
            true => Ok(()),
            false => {
                Err(format!("{field}.percentage: only with the value {ROLLOUT} of a flag of kind percentage"))
            }
        }
    }
}

/// Whether a flag may have this name. `mine` is a path of the admin API.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(rest);
    match fits && name != "mine" {
        true => Ok(()),
        false => Err(format!(
            "name: a lower-case letter, then lower-case letters, digits, _, . and -, {MAX_NAME_BYTES} at most; not \"mine\""
        )),
    }
}

/// The day.
fn read_date(text: &str) -> Result<Date, String> {
    let read = Date::parse(text, format_description!("[year]-[month]-[day]"));
    read.map_err(|_| "sunset_on: a day as YYYY-MM-DD".to_owned())
}

fn bounded(field: &str, text: &str, least: usize, most: usize) -> Result<(), String> {
    let fits = (least..=most).contains(&text.chars().count()) && !text.contains('\0');
    if fits { Ok(()) } else { Err(format!("{field}: {least} to {most} characters")) }
}

fn at_most(field: &str, count: usize, most: usize) -> Result<(), String> {
    if count <= most { Ok(()) } else { Err(format!("{field}: at most {most}")) }
}

fn check_percentage(field: &str, percentage: f64) -> Result<(), String> {
    let hundredths = percentage * 100.0;
    let fits = (0.0..=100.0).contains(&percentage) && (hundredths - hundredths.round()).abs() < 1e-6;
    if fits { Ok(()) } else { Err(format!("{field}: 0 to 100 with at most two decimals")) }
}

fn is_variant(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && ![ON, OFF, ROLLOUT].contains(&name)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}

/// At least two segments: what is at the server's root, such as `/health`, is always served.
fn check_route(route: &str) -> Result<(), String> {
    let plain = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| "?#%".contains(c) || c.is_whitespace() || c.is_control())
    };
    let segments =
        route.strip_prefix('/').map(|rest| rest.split('/').collect::<Vec<_>>()).unwrap_or_default();
    let fits = route.len() <= MAX_ROUTE_BYTES
        && (2..=MAX_ROUTE_SEGMENTS).contains(&segments.len())
        && segments.into_iter().all(plain);
    match fits {
        true => Ok(()),
        false => Err(format!("routes: \"{route:.200}\" is no prefix of a path such as /rest/v1/crm_deals")),
    }
}

#[cfg(test)]
mod tests;
