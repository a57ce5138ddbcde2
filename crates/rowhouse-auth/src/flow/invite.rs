//! Links that an administrator asks for: an invitation by mail, or a link of any kind in the answer.

use std::sync::Arc;

use rowhouse_db::Transaction;

use crate::Auth;
use crate::fault::{Fault, carry_fault};
use crate::flow::account::merged;
use crate::flow::new_user::{named_user, tell_created};
use crate::flow::one_time::{self, Return};
use crate::flow::signup::announce;
use crate::letter::Issued;
use crate::metadata::{self, MetadataError};
use crate::model::{Object, User};
use crate::one_time::{Purpose, Sent, TokenType, VerifyType};
use crate::policy::{self, EmailError, Password, PasswordError};
use crate::request::Client;
use crate::store::user;
use crate::store::user_change::{self, UserChange, WriteError};
use crate::store::user_creation::{self, NewUser};
use crate::store::{letter_user, one_time_token};

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("User with this email not found")]
    NoSuchUser,
    #[error("Signup requires a valid password")]
    NoPassword,
    #[error("Enable secure email change to generate link for current email")]
    NotSecure,
    #[error(transparent)]
    Email(#[from] EmailError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The address has a confirmed account.
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}
carry_fault!(LinkError);

/// A kind of link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkKind {
    SignUp,
    Invite,
    MagicLink,
    Recovery,
    EmailChangeCurrent,
    EmailChangeNew,
}

impl LinkKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SignUp => "signup",
            Self::Invite => "invite",
            Self::MagicLink => "magiclink",
            Self::Recovery => "recovery",
            Self::EmailChangeCurrent => "email_change_current",
            Self::EmailChangeNew => "email_change_new",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::SignUp,
            Self::Invite,
            Self::MagicLink,
            Self::Recovery,
            Self::EmailChangeCurrent,
            Self::EmailChangeNew,
        ];
        all.into_iter().find(|kind| kind.as_str() == name)
    }

    fn sent(self) -> Sent {
        match self {
            Self::SignUp => Sent { token_type: TokenType::Confirmation, purpose: Purpose::SignUp },
            Self::Invite => Sent { token_type: TokenType::Confirmation, purpose: Purpose::Invite },
            Self::MagicLink => Sent { token_type: TokenType::Recovery, purpose: Purpose::MagicLink },
            Self::Recovery => Sent { token_type: TokenType::Recovery, purpose: Purpose::Recovery },
            Self::EmailChangeCurrent => Sent::EMAIL_CHANGE_CURRENT,
            Self::EmailChangeNew => Sent::EMAIL_CHANGE_NEW,
        }
    }

    fn is_email_change(self) -> bool {
        matches!(self, Self::EmailChangeCurrent | Self::EmailChangeNew)
    }
}

/// The request for a link.
#[derive(Debug)]
pub(crate) struct LinkRequest {
    pub(crate) kind: LinkKind,
    pub(crate) email: String,
    pub(crate) new_email: Option<String>,
    /// Of a new account.
    pub(crate) password: Option<Password>,
    pub(crate) data: Object,
    pub(crate) redirect_to: String,
}

/// A link that was not sent.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) user: User,
    pub(crate) issued: Issued,
    /// What it turned out to be: a magic link for an unknown address is a sign-up.
    pub(crate) kind: LinkKind,
    pub(crate) action_link: String,
    pub(crate) redirect_to: String,
}

/// Invites somebody by mail, once more if they have not accepted yet.
pub(crate) async fn invite(
    auth: &Auth,
    email: &str,
    data: Object,
    redirect_to: String,
    client: &Client,
) -> Result<User, LinkError> {
    let email = policy::email(email)?;
    let new = named_user(auth.new_id(), email, metadata::user(0, data)?);
    let new = NewUser { is_invited: true, ..new };
    announce(auth, &new, client).await?;
    let back = Return { challenge: None, redirect_to };
    let (service, from) = (auth.clone(), client.clone());
    let work = async move |tx: &Transaction<'_>| {
        let user = match find(tx, &new.email).await? {
            Some(user) if user.is_confirmed() => return Err(WriteError::EmailTaken.into()),
            Some(user) => user,
            None => {
                let user = create(&service, tx, &new).await?;
                tell_created(&service, tx, user.id, &from).await?;
                user
            }
        };
        one_time::send(&service, tx, &user, LinkKind::Invite.sent(), &back, &from).await?;
        Ok(user::find(tx, user.id).await?.ok_or(Fault::Vanished)?.user)
    };
    auth.control.run_tx(&client.operation("auth.invite"), work).await
}

async fn find(tx: &Transaction<'_>, email: &str) -> Result<Option<User>, Fault> {
    let Some(row) = user::find_by_email(tx, email).await? else { return Ok(None) };
    Ok(user::lock(tx, row.user.id).await?.map(|row| row.user))
}

async fn create(auth: &Auth, tx: &Transaction<'_>, new: &NewUser) -> Result<User, LinkError> {
    user_creation::insert(tx, new, auth.new_id(), auth.now()).await?;
    Ok(user::find(tx, new.id).await?.ok_or(Fault::Vanished)?.user)
}

/// Makes a link of any kind, with the account that a sign-up or an invitation needs.
pub(crate) async fn generate(
    auth: &Auth,
    request: LinkRequest,
    client: &Client,
) -> Result<Generated, LinkError> {
    let email = policy::email(&request.email)?;
    let new_email = request.new_email.as_deref().unwrap_or_default();
    let new_email = request.kind.is_email_change().then(|| policy::email(new_email)).transpose()?;
    if request.kind == LinkKind::EmailChangeCurrent && !auth.settings.secure_email_change {
        return Err(LinkError::NotSecure);
    }
    let new = named_user(auth.new_id(), email, metadata::user(0, request.data.clone())?);
    let encrypted_password = match request.password {
        Some(password) => {
            password.require_safe(&auth.settings, &auth.breaches).await?;
            Some(auth.hasher.hash(password).await?)
        }
        None => None,
    };
    let new = NewUser { encrypted_password, is_invited: request.kind == LinkKind::Invite, ..new };
    let (kind, data, redirect_to) = (request.kind, request.data, request.redirect_to);
    if matches!(kind, LinkKind::SignUp | LinkKind::Invite) {
        announce(auth, &new, client).await?;
    }
    let asked = Arc::new(Asked { kind, new, new_email, data, redirect_to });
    let service = auth.clone();
    let work = async move |tx: &Transaction<'_>| write(&service, tx, &asked).await;
    auth.control.run_tx(&client.operation("auth.generate_link"), work).await
}

struct Asked {
    kind: LinkKind,
    new: NewUser,
    new_email: Option<String>,
    data: Object,
    redirect_to: String,
}

async fn write(auth: &Auth, tx: &Transaction<'_>, asked: &Asked) -> Result<Generated, LinkError> {
    let (kind, user) = account(auth, tx, asked).await?;
    if let Some(new_email) = &asked.new_email {
        change_to(auth, tx, &user, new_email).await?;
    }
    let address = match (kind, &asked.new_email) {
        (LinkKind::EmailChangeNew, Some(new_email)) => new_email,
        _ => &user.email,
    };
    let (sent, redirect_to) = (kind.sent(), asked.redirect_to.clone());
    let back = Return { challenge: None, redirect_to };
    let issued = one_time::issue(auth, tx, user.id, address, sent, &back).await?;
    letter_user::note_sent(tx, user.id, sent, auth.now()).await?;
    let verify_type = sent.verify_type().unwrap_or(VerifyType::Email);
    let action_link = auth.letters.link(&issued.token, verify_type, &back.redirect_to);
    let user = user::find(tx, user.id).await?.ok_or(Fault::Vanished)?.user;
    Ok(Generated { user, issued, kind, action_link, redirect_to: back.redirect_to })
}

/// The account that the link is for, and the kind of link that it gets.
async fn account(auth: &Auth, tx: &Transaction<'_>, asked: &Asked) -> Result<(LinkKind, User), LinkError> {
    let found = find(tx, &asked.new.email).await?;
    match (asked.kind, found) {
        (LinkKind::SignUp, None) if asked.new.encrypted_password.is_none() => Err(LinkError::NoPassword),
        (kind @ (LinkKind::SignUp | LinkKind::Invite), None) => {
            Ok((kind, create(auth, tx, &asked.new).await?))
        }
        (LinkKind::MagicLink, None) => Ok((LinkKind::SignUp, create(auth, tx, &asked.new).await?)),
        (_, None) => Err(LinkError::NoSuchUser),
        (LinkKind::SignUp | LinkKind::Invite, Some(user)) if user.is_confirmed() => {
            Err(WriteError::EmailTaken.into())
        }
        (LinkKind::SignUp, Some(user)) => {
            let before = metadata::size(&user.user_metadata);
            let after = metadata::user(before, merged(user.user_metadata.clone(), &asked.data))?;
            let change = UserChange { user_metadata: Some(after), ..UserChange::default() };
            user_change::update(tx, user.id, &change, auth.now()).await?;
            Ok((LinkKind::SignUp, user))
        }
        (kind, Some(user)) => Ok((kind, user)),
    }
}

/// Makes an address the pending one. Letters about another one are void.
async fn change_to(auth: &Auth, tx: &Transaction<'_>, user: &User, new_email: &str) -> Result<(), LinkError> {
    user_change::require_free(tx, new_email, user.id).await?;
    if user.new_email != new_email {
        let types = VerifyType::EmailChange.token_types();
        one_time_token::delete_of_user(tx, user.id, types).await?;
    }
    let change = UserChange { pending_email: Some(new_email.to_owned()), ..UserChange::default() };
    Ok(user_change::update(tx, user.id, &change, auth.now()).await?)
}
