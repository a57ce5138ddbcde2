//! Letters: the code to a domain's postmaster, and what its owners are told. Written in the caller's transaction; delivery is left to
//! `rowhouse-mail`.

use rowhouse_crypto::OpaqueSecret;
use rowhouse_kernel::{Rng, TenantId};
use rowhouse_mail::{Mailer, NewMail, plain_name, read_mailbox};
use tokio_postgres::Client;

use crate::challenge::Proof;
use crate::claim::{Claim, Status};
use crate::error::DomainError;
use crate::store::{self, change};

/// What owners are told about a verified domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// Its proof was not found for the first time.
    Failing,
    /// It is not verified any more.
    Failed,
}

/// Sends the postmaster a code, which proves the claim. `owner` is the name of who claims.
pub(crate) async fn ask_postmaster(
    tx: &Client,
    mailer: &Mailer,
    rng: &dyn Rng,
    claim: &Claim,
    owner: &str,
) -> Result<(), DomainError> {
    if mailer.is_off() {
        return Err(DomainError::NoMail);
    }
    require_room(tx, claim).await?;
    let code = OpaqueSecret::generate(rng);
    change::note_letter(tx, claim.id, &code.digest()).await?;
    let (domain, owner, code) = (&claim.name, plain_name(owner), code.expose());
    let text = format!(
        "{owner} asks to use the domain {domain}.\n\nIf that is right, give them this code, which is good for a day:\n\n{code}\n\n\
         If not, do nothing: without the code nothing happens.\n"
    );
    let mail = NewMail {
        to: vec![read_mailbox("postmaster", &format!("postmaster@{domain}"))?],
        subject: format!("Confirm the use of {domain}"),
        text: Some(text),
        kind: "domain_proof".to_owned(),
        tenant: claim.tenant_id.map(TenantId),
        is_urgent: true,
        ..NewMail::default()
    };
    mailer.send(tx, &mail).await?;
    Ok(())
}

/// Requires room for one more letter; until the transaction ends, nobody else counts for the same name, organization or user.
async fn require_room(tx: &Client, claim: &Claim) -> Result<(), DomainError> {
    let full = change::count_letters(tx, claim).await?;
    // The postmaster of a verified domain is no stranger: the code of a letter to him was entered.
    let is_stranger = claim.status != Status::Verified;
    let limits = [
        (full.to_name, "to the postmaster of this domain"),
        (full.by_organization.filter(|_| is_stranger), "to postmasters from this organization"),
        (full.by_user.filter(|_| is_stranger), "to postmasters from you, in all organizations"),
    ];
    if let Some((wait, to)) = limits.into_iter().find_map(|(wait, to)| Some((wait?, to))) {
        return Err(DomainError::TooManyLetters(to, wait));
    }
    full.of_claim.map_or(Ok(()), |wait| Err(DomainError::TooSoon(wait)))
}

/// Tells the owners, each in a letter of their own.
pub(crate) async fn tell_owners(
    tx: &Client,
    mailer: &Mailer,
    claim: &Claim,
    news: News,
) -> Result<(), DomainError> {
    if mailer.is_off() {
        return Ok(());
    }
    let (subject, text) = written(claim, news);
    // One letter for each check that brings news.
    let since = claim.checked_at.map_or(0, time::OffsetDateTime::unix_timestamp_nanos);
    for address in store::owners(tx, claim).await? {
        let mail = NewMail {
            to: vec![read_mailbox("owner", &address)?],
            subject: subject.clone(),
            text: Some(text.clone()),
            kind: "domain_news".to_owned(),
            tenant: claim.tenant_id.map(TenantId),
            idempotency_key: Some(format!("domain/{}/{news:?}/{since}/{}", claim.id, digest(&address))),
            ..NewMail::default()
        };
        mailer.send(tx, &mail).await?;
    }
    Ok(())
}

fn digest(address: &str) -> String {
    rowhouse_crypto::digest_hex(address).chars().take(16).collect()
}

fn written(claim: &Claim, news: News) -> (String, String) {
    let domain = &claim.name;
    let reason = claim.last_error.as_deref().unwrap_or("it was not found");
    let remedy = match claim.proof {
        Proof::Mail => "Enter the code of the letter that has gone to its postmaster.",
        _ => "Publish the record or the file again that is shown with the domain.",
    };
    match news {
        News::Failing => (
            format!("The proof of {domain} is missing"),
            format!(
                "The proof that {domain} is yours was not found: {reason}.\n\n{remedy} Otherwise it will not be yours any more in some days.\n"
            ),
        ),
        News::Failed => (
            format!("{domain} is not verified any more"),
            format!(
                "The proof that {domain} is yours has been missing for too long: {reason}.\n\nThe domain is not served any more. {remedy} Then verify it again.\n"
            ),
        ),
    }
}
