//! Proof of senders: requesting and verifying it.

use std::net::SocketAddr;

use rowhouse_crypto::{OpaqueSecret, digest_hex};
use rowhouse_db::{Control, DbError, Transaction};
use rowhouse_kernel::{Origin, Rng, TenantId};
use tokio_postgres::Client;

use super::{MOST_SENDERS, SenderKind, read_name, require_tenant};
use crate::dns;
use crate::error::MailError;
use crate::message::{NewMail, read_mailbox};

/// Label of a domain's record.
const LABEL: &str = "_rowhouse";
/// Prefix of the record's text.
const PREFIX: &str = "rowhouse-sender=";
/// Wrong codes before a new one has to be requested.
const MOST_ATTEMPTS: i16 = 10;
/// Lifetime of a code, in hours.
const CODE_HOURS: i32 = 24;

/// The name of a domain's record.
pub(super) fn record_of(domain: &str) -> String {
    format!("{LABEL}.{domain}")
}

/// A requested proof.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Domain or address.
    pub kind: SenderKind,
    /// In lower case and ASCII.
    pub name: String,
    /// For a domain, the TXT record to publish: name and text.
    pub record: Option<(String, String)>,
    /// For an address, the mail with the code, to be sent after the caller's transaction has committed.
    pub letter: Option<NewMail>,
}

/// The result of verifying a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofResult {
    /// The tenant may send as it.
    Proved,
    /// Not proved, and why.
    NotProved(String),
}

/// A fresh secret for [`ask`].
#[must_use]
pub fn new_secret(rng: &dyn Rng) -> String {
    OpaqueSecret::generate(rng).expose().to_owned()
}

/// Requests the proof of a sender by `secret`. For a domain, a repeated request keeps the record; to an address a new
/// code is sent.
///
/// # Errors
/// [`MailError::Invalid`] for a malformed sender, a tenant that is not active, and too many senders; else the database's.
pub async fn ask(
    client: &Client,
    tenant: TenantId,
    name: String,
    secret: String,
) -> Result<Asked, MailError> {
    let (kind, name) = read_name(&name)?;
    require_tenant(client, tenant).await?;
    require_room(client, tenant).await?;
    match kind {
        SenderKind::Domain => {
            let sql = "insert into mail.senders as s (tenant, kind, name, token) values ($1, 'domain', $2, $3) \
                       on conflict on constraint senders_tenant_name_key do update set token = s.token returning token";
            let row = client.query_one(sql, &[&tenant.0, &name, &secret]).await;
            let token: String = row.map_err(DbError::from)?.get(0);
            let record = Some((record_of(&name), format!("{PREFIX}{token}")));
            Ok(Asked { kind, name, record, letter: None })
        }
        SenderKind::Address => {
            let sql = "insert into mail.senders (tenant, kind, name, token) values ($1, 'address', $2, $3) \
                       on conflict on constraint senders_tenant_name_key do update \
                       set token = excluded.token, created_at = clock_timestamp(), attempts = 0";
            client.execute(sql, &[&tenant.0, &name, &digest_hex(&secret)]).await.map_err(DbError::from)?;
            let letter = letter(tenant, &name, &secret)?;
            Ok(Asked { kind, name, record: None, letter: Some(letter) })
        }
    }
}

async fn require_room(client: &Client, tenant: TenantId) -> Result<(), MailError> {
    let sql = "select count(*) from mail.senders where tenant = $1";
    let count: i64 = client.query_one(sql, &[&tenant.0]).await.map_err(DbError::from)?.get(0);
    if count < MOST_SENDERS {
        return Ok(());
    }
    Err(MailError::invalid(format!("sender: a tenant has at most {MOST_SENDERS}")))
}

fn letter(tenant: TenantId, address: &str, code: &str) -> Result<NewMail, MailError> {
    let text = format!(
        "Somebody asks to send mails as {address} (tenant {tenant}).\n\nIf that is you, give them this code, which is good \
         for {CODE_HOURS} hours:\n\n{code}\n\nIf not, do nothing: without the code nothing is sent in your name.\n"
    );
    Ok(NewMail {
        to: vec![read_mailbox("sender", address)?],
        subject: format!("Confirm {address} as a sender"),
        text: Some(text),
        kind: "sender".to_owned(),
        is_urgent: true,
        ..NewMail::default()
    })
}

/// Verifies the proof: a domain's record, looked up at `server` or by the machine's resolver, or the code of an address.
///
/// # Errors
/// [`MailError::Invalid`] if no proof was requested, [`MailError::Unusable`] if the resolver cannot be used; else the
/// database's.
pub async fn verify(
    control: Control,
    origin: &Origin,
    tenant: TenantId,
    name: String,
    code: Option<String>,
    server: Option<SocketAddr>,
) -> Result<ProofResult, MailError> {
    let (kind, name) = read_name(&name)?;
    let wanted = name.clone();
    let find = async move |tx: &Transaction<'_>| {
        let sql = "select token from mail.senders where tenant = $1 and name = $2";
        tx.query_opt(sql, &[&tenant.0, &wanted]).await.map_err(DbError::from)
    };
    let found = control.run_tx(&origin.operation("mail.find_sender"), find).await?;
    let token: String =
        found.ok_or_else(|| MailError::invalid(format!("sender: {name} has not been asked for")))?.get(0);
    match kind {
        SenderKind::Domain => {
            let record = record_of(&name);
            let answers = dns::text(&record, server).await?;
            let verdict = judge(&record, &token, &answers);
            if verdict == ProofResult::Proved {
                let prove = async move |tx: &Transaction<'_>| {
                    let sql = "update mail.senders set proved_at = clock_timestamp(), checked_at = null, misses = 0 \
                               where tenant = $1 and name = $2 and token = $3";
                    tx.execute(sql, &[&tenant.0, &name, &token]).await.map_err(DbError::from)
                };
                control.run_tx(&origin.operation("mail.prove_sender"), prove).await?;
            }
            Ok(verdict)
        }
        SenderKind::Address => {
            let code = code.ok_or_else(|| {
                MailError::invalid("code: an address is proved by the code that was sent to it")
            })?;
            let digest = digest_hex(code.trim());
            let check = async move |tx: &Transaction<'_>| check_code(tx, tenant, &name, &digest).await;
            Ok(control.run_tx(&origin.operation("mail.check_sender"), check).await?)
        }
    }
}

/// The statement that compares also counts the attempt, so that concurrent attempts cannot exceed the bound.
async fn check_code(
    client: &Client,
    tenant: TenantId,
    name: &str,
    digest: &str,
) -> Result<ProofResult, DbError> {
    let sql = "update mail.senders set attempts = attempts + 1, \
                 proved_at = case when token = $3 then clock_timestamp() else proved_at end \
               where tenant = $1 and name = $2 and attempts < $4 \
                 and created_at > clock_timestamp() - make_interval(hours => $5) \
               returning token = $3";
    let row = client.query_opt(sql, &[&tenant.0, &name, &digest, &MOST_ATTEMPTS, &CODE_HOURS]).await;
    Ok(match row?.map(|row| row.get::<_, bool>(0)) {
        Some(true) => ProofResult::Proved,
        Some(false) => ProofResult::NotProved("another code was sent".to_owned()),
        None => ProofResult::NotProved("the code is no longer good; ask for another".to_owned()),
    })
}

pub(super) fn judge(record: &str, token: &str, answers: &Result<Vec<String>, String>) -> ProofResult {
    match answers {
        Err(error) => ProofResult::NotProved(format!("{record} could not be looked up: {error}")),
        Ok(all) if all.iter().any(|one| one.trim() == format!("{PREFIX}{token}")) => ProofResult::Proved,
        Ok(none) if none.is_empty() => ProofResult::NotProved(format!("{record} has no TXT record")),
        Ok(_) => ProofResult::NotProved(format!("{record} has another TXT record")),
    }
}

#[cfg(test)]
mod tests {
    use super::{ProofResult, judge};

    #[test]
    fn only_the_requested_record_proves_a_domain() {
        let found = |all: &[&str]| {
            judge("_rowhouse.x.example", "t1", &Ok(all.iter().map(|one| (*one).to_owned()).collect()))
        };
        assert_eq!(found(&["other", "rowhouse-sender=t1"]), ProofResult::Proved);
        for all in [&[][..], &["rowhouse-sender=t2"], &["t1"], &["rowhouse-sender="]] {
            assert!(matches!(found(all), ProofResult::NotProved(_)), "{all:?}");
        }
        let unknown = judge("_rowhouse.x.example", "t1", &Err("time-out".to_owned()));
        assert!(matches!(unknown, ProofResult::NotProved(_)));
    }
}
