//! Rival claims: who signs up with an address or number that already waits for its confirmation may be somebody else than
//! before, and the owner cannot see from letter or message whose password it would confirm. So of two passwords none does.

use rowhouse_crypto::password::{HashKind, kind};
use rowhouse_db::Transaction;
use time::{Duration, OffsetDateTime};

use crate::Auth;
use crate::fault::Fault;
use crate::flow::new_user::{EMAIL, PHONE, app_metadata};
use crate::model::{Identity, Object, User};
use crate::one_time::Purpose;
use crate::policy::Password;
use crate::request::Client;
use crate::store::letter_user;
use crate::store::user::{self, UserRow};
use crate::store::user_creation::NewUser;

/// How long an unconfirmed sign-up stands against another one, if its letter is not valid for longer.
const STANDS: Duration = Duration::DAY;

/// What a repeated sign-up stores.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    pub(super) encrypted_password: Option<&'a str>,
    pub(super) user_metadata: Object,
    pub(super) purpose: Purpose,
}

/// The hash of a sign-up's password: the stored one of an account that waits, if it is its password, and none if it is
/// another one. One hash is computed in every case.
pub(super) async fn hash(
    auth: &Auth,
    (email, phone): (&str, &str),
    password: Password,
    client: &Client,
) -> Result<Option<String>, Fault> {
    let (email, phone) = (email.to_owned(), phone.to_owned());
    let find = async move |db: &tokio_postgres::Client| match email.is_empty() {
        true => user::find_by_phone(db, &phone).await,
        false => user::find_by_email(db, &email).await,
    };
    let found: Option<UserRow> = auth.control.statement(&client.operation("auth.find_claim"), find).await?;
    let waiting = found.filter(|row| stands(auth, &row.user));
    match waiting.and_then(|row| row.encrypted_password).filter(|hash| is_comparable(hash)) {
        None => auth.hasher.hash(password).await.map(Some),
        Some(stored) => {
            let verdict = auth.hasher.verify(password, Some(stored.clone())).await?;
            Ok(Some(stored).filter(|_| verdict.is_match()))
        }
    }
}

/// Whether an unconfirmed account is only what a sign-up has made of it. Else an administrator has invited somebody or
/// given the account something: then a stranger's password must not get into it.
pub(crate) fn is_own(user: &User) -> bool {
    user.invited_at.is_none()
        && user.role == rowhouse_kernel::AUTHENTICATED
        && [EMAIL, PHONE].into_iter().any(|provider| {
            let is_of = |identity: &Identity| identity.provider == provider;
            user.app_metadata == app_metadata(provider) && user.identities.iter().all(is_of)
        })
}

/// Whether comparing takes as long as hashing.
fn is_comparable(stored: &str) -> bool {
    !stored.is_empty() && kind(Some(stored)) == HashKind::Current
}

/// Whether somebody has signed up who may still confirm.
fn stands(auth: &Auth, user: &User) -> bool {
    let valid = auth.settings.mailer_otp_expiry.max(auth.sms.settings.otp_expiry);
    let since: OffsetDateTime = auth.now() - STANDS.max(Duration::try_from(valid).unwrap_or(Duration::MAX));
    !user.is_confirmed() && is_own(user) && user.confirmation_sent_at.is_none_or(|sent| sent > since)
}

/// What becomes of an account that waits when somebody signs up once more.
pub(super) fn repeated<'a>(auth: &Auth, waiting: &UserRow, new: &'a NewUser) -> Claim<'a> {
    let offered = new.encrypted_password.as_deref();
    let is_same = offered.is_some() && waiting.encrypted_password.as_deref() == offered;
    let (encrypted_password, user_metadata, purpose) = match is_same || !stands(auth, &waiting.user) {
        true => (offered, new.user_metadata.clone(), Purpose::SignUp),
        false => (None, Object::new(), Purpose::MagicLink),
    };
    Claim { encrypted_password, user_metadata, purpose }
}

/// Somebody asks to be let in without a password: the one of whoever signed up before is void, also for a letter or
/// message that is sent once more.
pub(super) async fn drop_password(auth: &Auth, tx: &Transaction<'_>, user: &User) -> Result<(), Fault> {
    match !user.is_confirmed() && is_own(user) {
        true => letter_user::drop_password(tx, user.id, auth.now()).await,
        false => Ok(()),
    }
}
