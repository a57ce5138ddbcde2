//! Recovery codes: for the day on which the second factor is lost.

use metrics::counter;
use rowhouse_db::Transaction;
use rowhouse_kernel::Rng;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::assurance;
use crate::flow::holder::{self, HolderError};
use crate::flow::session::Grant;
use crate::method::Method;
use crate::model::Session;
use crate::request::{Client, SignedIn};
use crate::store::audit;
use crate::store::recovery_code::{self, NewCode};

/// Codes issued at once.
const COUNT: usize = 10;
/// Letters of a code: 50 bits, so that guessing is hopeless even without the limit on requests.
const LENGTH: usize = 10;
/// RFC 4648's base32, which has no digits that look like letters.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Why recovery codes are not issued, or one is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecoveryCodeError {
    #[error(transparent)]
    Holder(#[from] HolderError),
    /// Codes are issued to whoever has the factor that they stand in for.
    #[error("AAL2 session is required to create recovery codes")]
    NeedsAal2,
    /// No such code, or it was used.
    #[error("Invalid recovery code entered")]
    WrongCode,
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(RecoveryCodeError);

/// Issues codes, which replace those of before.
pub(crate) async fn issue(
    auth: &Auth,
    caller: SignedIn,
    client: &Client,
) -> Result<Vec<String>, RecoveryCodeError> {
    let now = auth.now();
    let (service, operation) = (auth.clone(), client.operation("auth.issue_recovery_codes"));
    let work = async move |tx: &Transaction<'_>| {
        let holder = holder::lock(tx, caller, now).await?;
        if !(holder.user.has_second_factor() && holder.is_aal2()) {
            return Err(RecoveryCodeError::NeedsAal2);
        }
        let user = holder.user.id;
        let codes: Vec<String> = (0..COUNT).map(|_| generate(&*service.rng)).collect();
        let digested = codes
            .iter()
            .map(|code| NewCode { id: service.new_id(), digest: digest(&service, user, code) })
            .collect::<Vec<_>>();
        recovery_code::replace(tx, user, &digested, now).await?;
        audit::write(tx, "recovery_codes_created", "factor", user, json!({})).await?;
        Ok(codes)
    };
    auth.control.run_tx(&operation, work).await
}

/// How many codes the caller has left.
pub(crate) async fn count(auth: &Auth, caller: SignedIn, client: &Client) -> Result<i64, RecoveryCodeError> {
    let now = auth.now();
    let work = async move |tx: &Transaction<'_>| {
        let holder = holder::lock(tx, caller, now).await?;
        Ok(recovery_code::count(tx, holder.user.id).await?)
    };
    auth.control.run_tx(&client.operation("auth.count_recovery_codes"), work).await
}

/// Uses a code up in place of a second factor, and raises the caller's session to `aal2`.
pub(crate) async fn verify(
    auth: &Auth,
    caller: SignedIn,
    code: String,
    client: &Client,
) -> Result<Session, RecoveryCodeError> {
    let now = auth.now();
    let operation = client.operation("auth.verify_recovery_code");
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| spend(&service, tx, caller, &code, &from, now).await;
    let grant: Option<Grant> = auth.control.run_tx::<_, RecoveryCodeError>(&operation, work).await?;
    let label = if grant.is_some() { "success" } else { "invalid" };
    counter!("rowhouse_auth_factor_verifications_total", "outcome" => label).increment(1);
    let grant = grant.ok_or(RecoveryCodeError::WrongCode)?;
    Ok(grant.sign(auth, client, now).await?)
}

/// `None` for a wrong code: that it was tried must be committed.
async fn spend(
    auth: &Auth,
    tx: &Transaction<'_>,
    caller: SignedIn,
    code: &str,
    client: &Client,
    now: OffsetDateTime,
) -> Result<Option<Grant>, RecoveryCodeError> {
    let holder = holder::lock(tx, caller, now).await?;
    let user = holder.user.id;
    let is_right = recovery_code::spend(tx, user, &digest(auth, user, code), now).await?;
    let outcome = if is_right { "success" } else { "failure" };
    let traits = json!({ "factor_type": "recovery_code", "outcome": outcome });
    audit::write(tx, "verification_attempted", "factor", user, traits).await?;
    if !is_right {
        return Ok(None);
    }
    Ok(Some(assurance::raise(auth, tx, &holder, (None, Method::RecoveryCode), client, now).await?))
}

/// `ABCDE-FGHIJ`.
fn generate(rng: &dyn Rng) -> String {
    let mut bytes = [0_u8; LENGTH];
    rng.fill(&mut bytes);
    let letters: String =
        bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect();
    let (first, second) = letters.split_at(LENGTH / 2);
    format!("{first}-{second}")
}

/// Case, dashes and spaces do not matter, and digits that look like letters stand for them.
fn digest(auth: &Auth, user: Uuid, code: &str) -> String {
    auth.codes.digest(&format!("recovery_code:{user}"), &plain(code))
}

fn plain(code: &str) -> String {
    let letters = code.chars().filter(|letter| !letter.is_whitespace() && *letter != '-');
    let letters = letters.map(|letter| match letter.to_ascii_uppercase() {
        '0' => 'O',
        '1' => 'I',
        other => other,
    });
    letters.take(LENGTH + 1).collect()
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::SeededRng;

    use super::{generate, plain};

    #[test]
    fn codes_are_two_groups_of_five_letters_and_differ() {
        let rng = SeededRng::new(1);
        let codes: Vec<String> = (0..100).map(|_| generate(&*rng)).collect();
        for code in &codes {
            assert_eq!((code.len(), code.find('-')), (11, Some(5)), "{code}");
        }
        let different: std::collections::BTreeSet<&String> = codes.iter().collect();
        assert_eq!(different.len(), codes.len());
    }

    #[test]
    fn spelling_of_a_code_does_not_matter() {
        assert_eq!(plain(" abcde fgh10 "), plain("ABCDE-FGHIO"));
        assert_ne!(plain("ABCDE-FGHIO2"), plain("ABCDE-FGHIO"));
    }
}
