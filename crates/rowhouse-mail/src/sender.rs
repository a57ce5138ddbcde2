//! Senders that a tenant has proved to be its own and that its SMTP credentials may use in From. A domain is proved
//! by a TXT record, an address by a code that is sent there. The platform's own mails need no proof.

pub(crate) mod proof;
pub(crate) mod recheck;

use std::time::Duration;

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use serde::Serialize;
use time::OffsetDateTime;
use tokio_postgres::{Client, Row};

use crate::error::MailError;
use crate::message::{Address, ascii_address, read_mailbox};

pub use proof::{Asked, ProofResult, ask, new_secret, verify};
pub use recheck::{Rechecked, recheck_all};

/// Rows of a list.
const MOST_LISTED: i64 = 1000;
/// Senders of one tenant.
const MOST_SENDERS: i64 = 100;
/// Longest name of a domain (RFC 1035 section 2.3.4).
const LONGEST_DOMAIN: usize = 253;

/// A domain or an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SenderKind {
    /// Every address of the domain.
    Domain,
    /// Only this address.
    Address,
}

/// A tenant's sender.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sender {
    /// The tenant.
    pub tenant: TenantId,
    /// Domain or address.
    pub kind: SenderKind,
    /// In lower case and ASCII.
    pub name: String,
    /// When its proof was requested.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was proved; `None` while mails from it are refused.
    #[serde(with = "time::serde::rfc3339::option")]
    pub proved_at: Option<OffsetDateTime>,
    /// From when on an address has to be proved again; `None` for what is not proved, and for domains, whose record is asked
    /// for all the time.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires_at: Option<OffsetDateTime>,
}

/// Reads a domain or an address.
///
/// # Errors
/// [`MailError::Invalid`] if it is neither.
pub fn read_name(text: &str) -> Result<(SenderKind, String), MailError> {
    let text = text.trim();
    if text.contains('@') {
        let address = read_mailbox("sender", text)?.email.to_string().to_lowercase();
        return Ok((SenderKind::Address, address));
    }
    let wrong =
        || MailError::invalid("sender: expected a domain (shop.example) or an address (orders@shop.example)");
    let domain = idna::domain_to_ascii(text).map_err(|_| wrong())?;
    let fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A name without a dot is a whole top-level domain.
    let is_domain = domain.len() <= LONGEST_DOMAIN && domain.contains('.') && domain.split('.').all(fits);
    if is_domain { Ok((SenderKind::Domain, domain)) } else { Err(wrong()) }
}

/// Refuses senders that the tenant has not proved: the envelope's, unless empty, and all addresses in From and
/// Sender. A tenant that is suspended or does not exist sends nothing.
pub(crate) async fn require_proved(
    client: &Client,
    tenant: TenantId,
    envelope_from: Option<&Address>,
    authors: &[Address],
    lifetime: Duration,
) -> Result<(), MailError> {
    let mut addresses = Vec::new();
    for address in authors.iter().chain(envelope_from) {
        let ascii = ascii_address(address).ok_or_else(|| MailError::invalid("From: a domain is none"))?;
        addresses.push((ascii.to_string().to_lowercase(), ascii.domain().to_lowercase()));
    }
    let (names, domains): (Vec<&str>, Vec<&str>) =
        addresses.iter().map(|(address, domain)| (address.as_str(), domain.as_str())).unzip();
    let (sql, seconds) = (include_str!("../sql/unproved.sql"), lifetime.as_secs_f64());
    let row = client.query_one(sql, &[&tenant.0, &names, &domains, &seconds]).await;
    let row = row.map_err(DbError::from)?;
    if !row.get::<_, bool>(0) {
        return Err(MailError::NotAllowed("this credential's tenant is suspended or gone".to_owned()));
    }
    match row.get::<_, Option<String>>(1) {
        None => Ok(()),
        Some(address) => Err(MailError::NotAllowed(format!(
            "this credential's tenant has not proved that it may send as {address}, or too long ago"
        ))),
    }
}

/// A tenant's senders, or all; the first thousand of them. The proof of an address holds for `lifetime`.
///
/// # Errors
/// The database's.
pub async fn list(
    client: &Client,
    tenant: Option<TenantId>,
    lifetime: Duration,
) -> Result<Vec<Sender>, DbError> {
    let sql = "select tenant, kind, name, created_at, proved_at, \
                 case kind when 'address' then proved_at + make_interval(secs => $3) end from mail.senders \
               where tenant = $1 or $1::uuid is null order by tenant, name limit $2";
    let rows =
        client.query(sql, &[&tenant.map(|tenant| tenant.0), &MOST_LISTED, &lifetime.as_secs_f64()]).await?;
    Ok(rows.iter().map(sender).collect())
}

fn sender(row: &Row) -> Sender {
    Sender {
        tenant: TenantId(row.get(0)),
        kind: if row.get::<_, &str>(1) == "domain" { SenderKind::Domain } else { SenderKind::Address },
        name: row.get(2),
        created_at: row.get(3),
        proved_at: row.get(4),
        expires_at: row.get(5),
    }
}

/// Removes a tenant's sender by its name, as [`read_name`] returns it. False if there was none.
///
/// # Errors
/// The database's.
pub async fn remove(client: &Client, tenant: TenantId, name: String) -> Result<bool, DbError> {
    let sql = "delete from mail.senders where tenant = $1 and name = $2";
    Ok(client.execute(sql, &[&tenant.0, &name]).await? > 0)
}

/// Requires an active tenant with that id.
pub(crate) async fn require_tenant(client: &Client, tenant: TenantId) -> Result<(), MailError> {
    let sql = "select jobs.claims_of($1) is not null";
    let exists: bool = client.query_one(sql, &[&tenant.0]).await.map_err(DbError::from)?.get(0);
    if exists {
        Ok(())
    } else {
        Err(MailError::invalid(format!("tenant: there is no active tenant {tenant}")))
    }
}

#[cfg(test)]
mod tests;
