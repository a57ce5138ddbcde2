//! AUTH PLAIN and LOGIN (RFC 4954).

use rowhouse_kernel::Secret;
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Backend, Sender, SmtpSession, Step};
use crate::submission::codec::Disconnect;
use crate::submission::reply;
use crate::submission::sasl::{self, Claimed};

/// "Username:" and "Password:".
const ASK_NAME: &str = "334 VXNlcm5hbWU6\r\n";
const ASK_SECRET: &str = "334 UGFzc3dvcmQ6\r\n";

/// Why there is no response.
enum Instead {
    Nothing,
    Cancelled,
}

impl<D: Backend, S: AsyncRead + AsyncWrite + Unpin + Send> SmtpSession<'_, D, S> {
    /// AUTH is allowed over TLS, and without a certificate on loopback only.
    pub(super) fn may_sign_in(&self) -> bool {
        self.peer.is_secure || self.peer.is_loopback() || !self.context.has_tls
    }

    pub(super) async fn sign_in(&mut self, mechanism: u64, initial: &str) -> Result<Step, Disconnect> {
        if self.draft.is_some() || (self.sender.is_some() && !self.is_captured()) {
            return self.say(&reply::SIGNED_IN_ALREADY);
        }
        if !self.may_sign_in() {
            return self.say(&reply::TLS_FIRST);
        }
        let claimed = match mechanism {
            AUTH_PLAIN => self.plain(initial).await?,
            AUTH_LOGIN => self.login(initial).await?,
            _ => return self.say(&reply::NO_SUCH_MECHANISM),
        };
        match claimed {
            Ok(claimed) => self.check(claimed).await,
            Err(Instead::Nothing) => self.say(&reply::NOT_BASE64),
            Err(Instead::Cancelled) => self.say(&reply::CANCELLED),
        }
    }

    /// Where messages are captured, credentials of clients on loopback are not checked.
    async fn check(&mut self, claimed: Claimed) -> Result<Step, Disconnect> {
        if self.is_captured() {
            self.sender = Some(Sender { name: claimed.name, tenant: None, key: None });
            return self.say(&reply::SIGNED_IN);
        }
        let (limits, address, name) = (&self.context.limits, self.peer.address, claimed.name.clone());
        if limits.look_at_sign_in(address, &name).await.is_err() {
            return Err(Disconnect::With(reply::TOO_MANY_SIGN_INS));
        }
        match self.context.backend.check(claimed, self.origin()).await {
            Ok(Some(sender)) => {
                tracing::debug!(credential = sender.name, "signed in over SMTP");
                self.sender = Some(sender);
                self.say(&reply::SIGNED_IN)
            }
            Ok(None) => {
                limits.count_failed_sign_in(address, &name).await;
                self.say(&reply::WRONG_CREDENTIALS)
            }
            Err(_) => self.say(&reply::CANNOT_ASK),
        }
    }

    fn is_captured(&self) -> bool {
        self.context.is_capture && self.peer.is_loopback()
    }

    async fn plain(&mut self, initial: &str) -> Result<Result<Claimed, Instead>, Disconnect> {
        if !initial.is_empty() {
            return Ok(sasl::plain(initial).ok_or(Instead::Nothing));
        }
        let line = self.ask("334 \r\n").await?;
        Ok(line.and_then(|line| sasl::plain(&line).ok_or(Instead::Nothing)))
    }

    async fn login(&mut self, initial: &str) -> Result<Result<Claimed, Instead>, Disconnect> {
        let name = match initial {
            "" => self.ask(ASK_NAME).await?,
            given => Ok(given.to_owned()),
        };
        let name = match name.and_then(|line| sasl::text(&line).ok_or(Instead::Nothing)) {
            Ok(name) => name,
            Err(instead) => return Ok(Err(instead)),
        };
        let secret = self.ask(ASK_SECRET).await?;
        let secret = secret.and_then(|line| sasl::text(&line).ok_or(Instead::Nothing));
        Ok(secret.map(|secret| Claimed { name, secret: Secret::new(secret) }))
    }

    async fn ask(&mut self, challenge: &str) -> Result<Result<String, Instead>, Disconnect> {
        self.codec.say_lines(challenge);
        let line = self.codec.line(self.deadline()).await?;
        let text = line.strip_suffix(b"\r\n").unwrap_or(&line);
        Ok(match text {
            b"*" => Err(Instead::Cancelled),
            text => String::from_utf8(text.to_vec()).map_err(|_| Instead::Nothing),
        })
    }
}
