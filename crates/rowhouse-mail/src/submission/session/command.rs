//! The handling of each command.

use smtp_proto::{MAIL_BODY_7BIT, MAIL_BODY_8BITMIME, MailFrom, RcptTo, Request};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Backend, Draft, MOST_RECIPIENTS, SmtpSession, Step};
use crate::message::Address;
use crate::submission::codec::Disconnect;
use crate::submission::reply::{self, Reply};

/// Flags of MAIL FROM that belong to offered extensions (8BITMIME); all others are refused.
const OFFERED: u64 = MAIL_BODY_7BIT | MAIL_BODY_8BITMIME;

impl<D: Backend, S: AsyncRead + AsyncWrite + Unpin + Send> SmtpSession<'_, D, S> {
    /// Handles one command line.
    pub(super) async fn answer(&mut self, line: &[u8]) -> Result<Step, Disconnect> {
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        if text.iter().any(u8::is_ascii_control) {
            return self.say(&reply::CONTROL_CHARACTER);
        }
        let request = match Request::parse(&mut line.iter()) {
            Ok(request) => request,
            Err(error) => return self.say(&Reply::of_parser(&error)),
        };
        match request {
            Request::Ehlo { .. } => self.hello(true),
            Request::Helo { .. } => self.hello(false),
            Request::Quit => {
                self.codec.say(&reply::BYE);
                Ok(Step::Close)
            }
            Request::Noop { .. } => self.say(&reply::OK),
            Request::Rset => {
                self.draft = None;
                self.say(&reply::OK)
            }
            Request::StartTls => self.start_tls().await,
            _ if !self.has_greeted => self.say(&reply::HELLO_FIRST),
            Request::Auth { mechanism, initial_response } => self.sign_in(mechanism, &initial_response).await,
            _ if self.sender.is_none() => self.say(&reply::SIGN_IN_FIRST),
            Request::Mail { from } => self.mail(&from),
            Request::Rcpt { to } => self.recipient(&to),
            Request::Data => self.take_message().await,
            Request::Vrfy { .. } => self.say(&reply::CANNOT_VERIFY),
            _ => self.say(&reply::NOT_IMPLEMENTED),
        }
    }

    /// EHLO also resets the mail transaction (RFC 5321 section 4.1.4).
    fn hello(&mut self, is_extended: bool) -> Result<Step, Disconnect> {
        (self.has_greeted, self.draft) = (true, None);
        let host = &self.context.host;
        if !is_extended {
            self.codec.say_lines(&format!("250 {host}\r\n"));
            return Ok(Step::Next);
        }
        let mut lines = format!("250-{host}\r\n250-PIPELINING\r\n250-8BITMIME\r\n");
        if self.context.has_tls && !self.peer.is_secure {
            lines.push_str("250-STARTTLS\r\n");
        }
        if self.may_sign_in() {
            lines.push_str("250-AUTH PLAIN LOGIN\r\n");
        }
        lines
            .push_str(&format!("250-SIZE {}\r\n250 ENHANCEDSTATUSCODES\r\n", self.context.max_message_bytes));
        self.codec.say_lines(&lines);
        Ok(Step::Next)
    }

    /// Input pipelined after STARTTLS would otherwise be treated as received over TLS.
    async fn start_tls(&mut self) -> Result<Step, Disconnect> {
        if self.peer.is_secure {
            return self.say(&reply::SECURE_ALREADY);
        }
        if !self.context.has_tls {
            return self.say(&reply::NO_TLS);
        }
        if self.codec.has_input() {
            return Err(Disconnect::With(reply::TLS_WITH_MORE));
        }
        self.codec.say(&reply::START_TLS);
        self.codec.flush().await?;
        Ok(Step::Tls)
    }

    fn mail(&mut self, from: &MailFrom<std::borrow::Cow<'_, str>>) -> Result<Step, Disconnect> {
        if self.draft.is_some() {
            return self.say(&reply::MAIL_ALREADY);
        }
        if asks_more(from) {
            return self.say(&reply::NOT_OFFERED);
        }
        if from.size > self.context.max_message_bytes {
            return self.say(&reply::TOO_LARGE);
        }
        let from = match &*from.address {
            "" => None,
            address => match read_address(address) {
                Some(address) => Some(address),
                None => return self.say(&reply::BAD_SENDER),
            },
        };
        self.draft = Some(Draft { from, to: Vec::new() });
        self.say(&reply::SENDER_OK)
    }

    fn recipient(&mut self, to: &RcptTo<std::borrow::Cow<'_, str>>) -> Result<Step, Disconnect> {
        let Some(draft) = &mut self.draft else { return self.say(&reply::MAIL_FIRST) };
        // NOTIFY and ORCPT belong to DSN (RFC 3461). If they were ignored, the sender would wait for reports that
        // never come.
        if to.flags != 0 || to.orcpt.is_some() || to.rrvs != 0 {
            return self.say(&reply::NOT_OFFERED);
        }
        if draft.to.len() >= MOST_RECIPIENTS {
            return self.say(&reply::TOO_MANY_RECIPIENTS);
        }
        let Some(address) = read_address(&to.address) else { return self.say(&reply::BAD_RECIPIENT) };
        draft.to.push(address);
        self.say(&reply::RECIPIENT_OK)
    }
}

/// Whether there are parameters of extensions that EHLO does not offer; AUTH= (RFC 4954) belongs to AUTH.
fn asks_more(from: &MailFrom<std::borrow::Cow<'_, str>>) -> bool {
    let has_text = from.trans_id.is_some() || from.env_id.is_some() || from.solicit.is_some();
    let has_number = from.by != 0 || from.hold_for != 0 || from.hold_until != 0 || from.mt_priority != 0;
    from.flags & !OFFERED != 0 || has_text || has_number || from.mtrk.is_some()
}

/// Addresses beyond ASCII would need SMTPUTF8, which is not offered.
fn read_address(text: &str) -> Option<Address> {
    let address: Address = text.parse().ok().filter(|_| text.is_ascii())?;
    crate::message::require_address("address", &address).is_ok().then_some(address)
}
