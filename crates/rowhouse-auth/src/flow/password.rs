//! Sign-in with address or number and password.

use metrics::counter;
use rowhouse_crypto::digest_hex;
use rowhouse_crypto::password::Verdict;
use rowhouse_db::{OwnSession, Transaction};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::lock_letter;
use crate::flow::session::{self, Grant};
use crate::flow::signup_letter;
use crate::hook::Hook;
use crate::limit::TooManyRequests;
use crate::method::Method;
use crate::model::Session;
use crate::phone;
use crate::policy::Password;
use crate::request::Client;
use crate::store::session::Scope;
use crate::store::signin_failure::{self, Attempt, Lockout};
use crate::store::user::UserRow;
use crate::store::{self, audit, prepared_user};

/// Why a sign-in is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    /// Wrong password or no such user: one answer for both.
    #[error("Invalid login credentials")]
    InvalidCredentials,
    /// The project's hook refuses the right password.
    #[error("{0}")]
    Rejected(String),
    /// The password was right but the address is not confirmed.
    #[error("Email not confirmed")]
    EmailNotConfirmed,
    /// The same of the number.
    #[error("Phone not confirmed")]
    PhoneNotConfirmed,
    /// The password was right but the user is banned.
    #[error("User is banned")]
    Banned,
    /// Too many failed sign-ins for the account.
    #[error(transparent)]
    Locked(#[from] TooManyRequests),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(SignInError);

/// What clients are told where the hook says nothing.
const REJECTED: &str = "Further password verification attempts will be rejected.";

/// By what an account is named.
#[derive(Debug, Clone)]
pub(crate) enum Login {
    Email(String),
    Phone(String),
}

/// Reads the user, hashes while holding no connection, then opens the session if nothing has changed meanwhile.
///
/// Whether an address is known cannot be seen from the answer, its timing or a lock.
pub(crate) async fn sign_in(
    auth: &Auth,
    login: Login,
    password: Password,
    client: &Client,
) -> Result<Session, SignInError> {
    let outcome = attempt(auth, login, password, client).await;
    let label = match &outcome {
        Ok(_) => "success",
        Err(SignInError::InvalidCredentials) => "invalid",
        Err(SignInError::Locked(_)) => "locked",
        Err(_) => "refused",
    };
    counter!("rowhouse_auth_signins_total", "outcome" => label).increment(1);
    outcome
}

async fn attempt(
    auth: &Auth,
    login: Login,
    password: Password,
    client: &Client,
) -> Result<Session, SignInError> {
    let login = login.normalized();
    let attempt = Attempt { account_digest: digest_hex(login.name()), from: client.address };
    let (found, locked_until) = find(auth, &login, attempt.clone(), client).await?;
    require_unlocked(locked_until, auth.now())?;
    let stored = found.as_ref().and_then(|row| row.encrypted_password.clone());
    let known = found.as_ref().map(|row| row.user.id);
    let refuse = async {
        count_failure(auth, client, known, attempt.clone()).await?;
        tell_hook(auth, known, &login, client).await
    };
    let verdict = auth.hasher.verify_evenly(password.clone(), stored.clone(), refuse).await?;
    if verdict.is_match() {
        ask_hook(auth, found.as_ref(), client).await?;
    }
    let (Some(row), Some(checked), true) = (found.as_ref(), stored, verdict.is_match()) else {
        return Err(SignInError::InvalidCredentials);
    };
    if let Some((error, outcome)) = closed(row, &login, auth.now()) {
        note_refusal(auth, client, row.user.id, outcome).await?;
        return Err(error);
    }
    let weak_password = password.weakness(&auth.settings);
    let renewed = match verdict {
        Verdict::MatchOutdated => Some(auth.hasher.hash(password).await?),
        _ => None,
    };
    let now = auth.now();
    let operation = client.operation("auth.sign_in");
    let new = session::new_session(auth, row.user.id, Method::Password.into());
    let hashes = (checked.as_str(), renewed.as_deref());
    let opened =
        store::sign_in::open(&auth.control, &operation, new, hashes, (client, &attempt), now).await?;
    let (opened, user) = opened.ok_or(SignInError::InvalidCredentials)?;
    let session = Grant::of_opened(opened, user).sign(auth, client, now).await?;
    Ok(Session { weak_password, ..session })
}

impl Login {
    fn normalized(self) -> Self {
        match self {
            Self::Email(email) => Self::Email(email.to_ascii_lowercase()),
            Self::Phone(phone) => Self::Phone(phone::plain(&phone)),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Email(name) | Self::Phone(name) => name,
        }
    }
}

/// The account, and until when sign-ins are refused.
async fn find(
    auth: &Auth,
    login: &Login,
    attempt: Attempt,
    client: &Client,
) -> Result<(Option<UserRow>, Option<OffsetDateTime>), Fault> {
    let (login, name) = (login.clone(), "auth.find_by_email");
    let find = async move |db: &OwnSession<'_>| match &login {
        Login::Email(email) => tokio::try_join!(
            prepared_user::find_by_email(db, email),
            signin_failure::find_lock(db, &attempt, email)
        ),
        Login::Phone(phone) => tokio::try_join!(
            prepared_user::find_by_phone(db, phone),
            signin_failure::find_phone_lock(db, &attempt, phone)
        ),
    };
    auth.control.own_statement(&client.operation(name), find).await
}

/// Lets the project's hook refuse the right password; it may end all sessions of the user, too.
async fn ask_hook(auth: &Auth, found: Option<&UserRow>, client: &Client) -> Result<(), SignInError> {
    let Some(row) = found else { return Ok(()) };
    let answer = call_hook(auth, row.user.id, true, client).await?;
    if answer["decision"] != "reject" {
        return Ok(());
    }
    obey(auth, row.user.id, &answer, client).await?;
    let message = answer["message"].as_str().filter(|message| !message.is_empty());
    Err(SignInError::Rejected(message.unwrap_or(REJECTED).to_owned()))
}

/// Tells the hook of a wrong password; for an unknown address with an id that nobody has. What it says, and whether it
/// fails, is not told: it could depend on whether there is such a user.
async fn tell_hook(auth: &Auth, known: Option<Uuid>, login: &Login, client: &Client) -> Result<(), Fault> {
    let id = known.unwrap_or_else(|| signup_letter::stand_in(auth, login.name()));
    // Its failure is in the log, and the sign-in is refused anyhow.
    let Ok(answer) = call_hook(auth, id, false, client).await else { return Ok(()) };
    match known {
        Some(id) if answer["decision"] == "reject" => obey(auth, id, &answer, client).await,
        _ => Ok(()),
    }
}

async fn call_hook(auth: &Auth, user: Uuid, valid: bool, client: &Client) -> Result<Value, Fault> {
    let event = json!({ "user_id": user, "valid": valid });
    Ok(auth.hooks.call(Hook::PasswordVerification, event, client).await?.unwrap_or_default())
}

/// Ends the user's sessions if the hook says so.
async fn obey(auth: &Auth, id: Uuid, answer: &Value, client: &Client) -> Result<(), Fault> {
    if answer["should_logout_user"] != true {
        return Ok(());
    }
    let end = async move |tx: &Transaction<'_>| store::session::end(tx, id, None, Scope::Global).await;
    auth.control.run_tx::<_, Fault>(&client.operation("auth.end_sessions"), end).await.map(drop)
}

/// The password of a locked account is not compared, so that guessing costs no hashing.
fn require_unlocked(locked_until: Option<OffsetDateTime>, now: OffsetDateTime) -> Result<(), SignInError> {
    match locked_until.map(|until| until - now) {
        Some(left) if left.is_positive() => Err(TooManyRequests { retry_after: left.unsigned_abs() }.into()),
        _ => Ok(()),
    }
}

/// Why the right password opens nothing, which is told only with it; and the same for the audit log.
fn closed(row: &UserRow, login: &Login, now: OffsetDateTime) -> Option<(SignInError, &'static str)> {
    if row.user.is_banned(now) {
        return Some((SignInError::Banned, "user_banned"));
    }
    match login {
        Login::Email(_) if row.user.email_confirmed_at.is_none() => {
            Some((SignInError::EmailNotConfirmed, "email_not_confirmed"))
        }
        Login::Phone(_) if row.user.phone_confirmed_at.is_none() => {
            Some((SignInError::PhoneNotConfirmed, "phone_not_confirmed"))
        }
        _ => None,
    }
}

/// Writes down that the right password was of no use.
async fn note_refusal(auth: &Auth, client: &Client, user: Uuid, outcome: &'static str) -> Result<(), Fault> {
    let traits = json!({ "outcome": outcome });
    let note = async move |tx: &Transaction<'_>| {
        audit::write(tx, "login_failed", "account", user, traits.clone()).await
    };
    auth.control.run_tx::<_, Fault>(&client.operation("auth.note_refused_sign_in"), note).await
}

/// Counts a failure; unknown addresses are locked like those of users.
async fn count_failure(
    auth: &Auth,
    client: &Client,
    user: Option<Uuid>,
    attempt: Attempt,
) -> Result<(), Fault> {
    let bound = |failures: u32| i32::try_from(failures.max(1)).unwrap_or(i32::MAX);
    let lockout = Lockout {
        failures: bound(auth.settings.lockout_failures),
        account_failures: bound(auth.settings.lockout_account_failures),
        seconds: auth.settings.lockout_duration.as_secs_f64(),
    };
    let now = auth.now();
    let count = async move |tx: &Transaction<'_>| {
        if let Some(user) = user {
            let traits = json!({ "outcome": "invalid_credentials" });
            audit::write(tx, "login_failed", "account", user, traits).await?;
        }
        signin_failure::count(tx, &attempt, user, lockout, now).await
    };
    let locked: Result<_, Fault> = auth.control.run_tx(&client.operation("auth.count_failure"), count).await;
    if let Some(lock) = locked? {
        lock_letter::enqueue_letter(auth, lock, client).await;
    }
    Ok(())
}
