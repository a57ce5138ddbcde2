//! How a tenant looks: names, pictures and colours within their bounds.

use std::collections::BTreeMap;

use rowhouse_kernel::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::Client;

use super::tenant as tenants;
use crate::error::TenancyError;
use crate::store::tenant::{self as store, Tenant, TenantUpdate};

/// Longest name, in characters.
const MAX_NAME: usize = 100;
/// Longest URL, in bytes.
const MAX_URL: usize = 2_048;
/// Most colours.
const MAX_COLORS: usize = 20;
/// Longest name of a colour.
const MAX_COLOR: usize = 40;

/// How a tenant looks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Branding {
    /// As it calls itself, at most 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Of a picture, by https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logo_url: Option<String>,
    /// Of a small picture, by https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) icon_url: Option<String>,
    /// By name, such as `primary`: `#` and six hexadecimal digits. At most 20.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) colors: BTreeMap<String, String>,
}

impl Branding {
    /// What is stored of it; what does not fit, such as an object of a tenant's own before, is left out.
    pub(crate) fn of(tenant: &Tenant) -> Self {
        serde_json::from_value(tenant.branding.clone()).unwrap_or_default()
    }

    /// As it is stored.
    pub(crate) fn checked(&self) -> Result<Value, TenancyError> {
        self.check()?;
        Ok(serde_json::to_value(self).unwrap_or_default())
    }

    fn check(&self) -> Result<(), TenancyError> {
        if self.name.as_ref().is_some_and(|name| !(1..=MAX_NAME).contains(&name.chars().count())) {
            return Err(invalid("name: 1 to 100 characters"));
        }
        if [&self.logo_url, &self.icon_url].into_iter().flatten().any(|url| !is_url(url)) {
            return Err(invalid("logo_url, icon_url: https URLs of at most 2048 characters"));
        }
        let fits = |(name, color): (&String, &String)| is_color_name(name) && is_color(color);
        if self.colors.len() > MAX_COLORS || !self.colors.iter().all(fits) {
            return Err(invalid(
                "colors: at most 20 names of a-z, 0-9 and hyphens with values such as #0a7cff",
            ));
        }
        Ok(())
    }
}

/// An absolute URL by https, without what would leave an attribute or a style sheet in which it stands.
fn is_url(url: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_graphic() && !b"\"'<>\\`(){}".contains(&b);
    let rest = url.strip_prefix("https://").unwrap_or_default();
    let begins = rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins && url.len() <= MAX_URL && url.bytes().all(is_plain)
}

fn is_color_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=MAX_COLOR).contains(&name.len()) && name.chars().all(is_plain)
}

fn is_color(color: &str) -> bool {
    let digits = color.strip_prefix('#').unwrap_or_default();
    digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Replaces how a tenant looks. `before` is locked for `tenant:update`.
pub(crate) async fn put(tx: &Client, before: &Tenant, branding: &Branding) -> Result<Tenant, TenancyError> {
    let value = branding.checked()?;
    tenants::change(tx, before, TenantUpdate { branding: Some(&value), ..TenantUpdate::default() }).await
}

/// How a tenant looks, for everybody; like nothing if it is closed or does not exist.
pub(crate) async fn find_public(client: &Client, id: TenantId) -> Result<Branding, TenancyError> {
    if !store::is_open(client, id).await? {
        return Ok(Branding::default());
    }
    Ok(store::find(client, id).await?.as_ref().map(Branding::of).unwrap_or_default())
}

fn invalid(why: &str) -> TenancyError {
    TenancyError::Invalid(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_colors_that_could_leave_their_place_are_refused() {
        for url in ["https://cdn.example/logo.svg?v=2", "https://a.example"] {
            assert!(is_url(url), "{url}");
        }
        for url in [
            "",
            "https://",
            "http://a.example/x",
            "javascript:alert(1)",
            "https://a.example/\"onload=",
            "https://a.example/)x",
            "https:///a",
            &format!("https://a.example/{}", "x".repeat(2048)),
        ] {
            assert!(!is_url(url), "{url}");
        }
        assert!(is_color("#0a7CFF") && !is_color("red") && !is_color("#fff") && !is_color("#12345g"));
    }
}
