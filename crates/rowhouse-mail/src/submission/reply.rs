//! Replies of the server: code, enhanced status (RFC 3463) and text. Leaves choosing them to `session`.

use std::borrow::Cow;

use smtp_proto::Error;

/// One reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    code: u16,
    status: &'static str,
    text: Cow<'static, str>,
}

const fn reply(code: u16, status: &'static str, text: &'static str) -> Reply {
    Reply { code, status, text: Cow::Borrowed(text) }
}

pub(crate) const BYE: Reply = reply(221, "2.0.0", "Bye");
pub(crate) const SIGNED_IN: Reply = reply(235, "2.7.0", "Authentication succeeded");
pub(crate) const OK: Reply = reply(250, "2.0.0", "OK");
pub(crate) const SENDER_OK: Reply = reply(250, "2.1.0", "Sender OK");
pub(crate) const RECIPIENT_OK: Reply = reply(250, "2.1.5", "Recipient OK");
pub(crate) const CANNOT_VERIFY: Reply = reply(252, "2.1.5", "Cannot verify; send and see");
pub(crate) const GO_AHEAD: Reply = reply(354, "", "End with a line that is only a dot");
pub(crate) const START_TLS: Reply = reply(220, "2.0.0", "Ready to start TLS");
pub(crate) const STOPPING: Reply = reply(421, "4.3.2", "Shutting down; come again");
pub(crate) const TOO_SLOW: Reply = reply(421, "4.4.2", "Too slow; closing");
pub(crate) const TOO_MANY_ERRORS: Reply = reply(421, "4.7.0", "Too many errors; closing");
pub(crate) const TOO_MANY_COMMANDS: Reply = reply(421, "4.7.0", "Too many commands; closing");
pub(crate) const NO_LONGER_GOOD: Reply = reply(421, "4.7.0", "This credential is no longer good; closing");
pub(crate) const NOT_NOW: Reply = reply(451, "4.3.0", "The queue cannot be written; nothing was accepted");
pub(crate) const CANNOT_ASK: Reply = reply(454, "4.7.0", "Credentials cannot be checked at the moment");
pub(crate) const TOO_MANY_SIGN_INS: Reply =
    reply(421, "4.7.0", "Too many failed sign-ins; come again in some minutes");
pub(crate) const TOO_MANY_MAILS: Reply = reply(451, "4.7.0", "Too many mails of this tenant; come again");
pub(crate) const NO_MEMORY: Reply = reply(452, "4.3.1", "Too many messages under way; come again");
pub(crate) const TOO_MANY_RECIPIENTS: Reply =
    reply(452, "4.5.3", "Too many recipients; send the rest in another message");
pub(crate) const LINE_TOO_LONG: Reply = reply(500, "5.5.2", "Line too long; closing");
pub(crate) const BARE_LINE_BREAK: Reply = reply(500, "5.5.2", "Lines end with CR LF; closing");
pub(crate) const CONTROL_CHARACTER: Reply = reply(500, "5.5.2", "Control characters in a command");
pub(crate) const NOT_BASE64: Reply = reply(501, "5.5.2", "Not a base64 answer to what was asked");
pub(crate) const CANCELLED: Reply = reply(501, "5.7.0", "Authentication cancelled");
pub(crate) const NOT_IMPLEMENTED: Reply = reply(502, "5.5.1", "Not implemented");
pub(crate) const HELLO_FIRST: Reply = reply(503, "5.5.1", "Say EHLO first");
pub(crate) const MAIL_FIRST: Reply = reply(503, "5.5.1", "MAIL FROM first");
pub(crate) const RECIPIENT_FIRST: Reply = reply(503, "5.5.1", "RCPT TO first");
pub(crate) const MAIL_ALREADY: Reply = reply(503, "5.5.1", "One sender per message");
pub(crate) const SIGNED_IN_ALREADY: Reply = reply(503, "5.5.1", "Already authenticated");
pub(crate) const SECURE_ALREADY: Reply = reply(503, "5.5.1", "TLS already active");
pub(crate) const NO_TLS: Reply = reply(502, "5.5.1", "No certificate is configured");
pub(crate) const TLS_WITH_MORE: Reply = reply(501, "5.5.1", "Nothing may follow STARTTLS; closing");
pub(crate) const NO_SUCH_MECHANISM: Reply = reply(504, "5.5.4", "PLAIN and LOGIN are offered");
pub(crate) const SIGN_IN_FIRST: Reply = reply(530, "5.7.0", "Authentication required");
pub(crate) const WRONG_CREDENTIALS: Reply = reply(535, "5.7.8", "Wrong name or secret");
pub(crate) const TLS_FIRST: Reply = reply(538, "5.7.11", "Authentication needs STARTTLS first");
pub(crate) const TOO_LARGE: Reply = reply(552, "5.3.4", "Message too large");
pub(crate) const BAD_SENDER: Reply = reply(553, "5.1.7", "Not an address that can send");
pub(crate) const BAD_RECIPIENT: Reply = reply(553, "5.1.3", "Not an address that can receive");
pub(crate) const NOT_OFFERED: Reply = reply(555, "5.5.4", "A parameter that was not offered");
pub(crate) const BARE_IN_MESSAGE: Reply =
    reply(554, "5.6.0", "The message has a CR or LF alone; lines end with CR LF");
pub(crate) const NUL_IN_MESSAGE: Reply = reply(554, "5.6.0", "The message has a NUL byte");
pub(crate) const LONG_LINE_IN_MESSAGE: Reply = reply(
    554,
    "5.6.0",
    "The message has a line of more than 998 bytes; encode it as quoted-printable or base64",
);
pub(crate) const NO_HEADER: Reply = reply(554, "5.6.0", "The message does not begin with a header");
pub(crate) const HEADERS_TOO_LARGE: Reply = reply(552, "5.3.4", "The headers have more than 255 KiB");

impl Reply {
    /// The message is durable; `id` finds it.
    pub(crate) fn accepted(id: i64) -> Self {
        Self { code: 250, status: "2.0.0", text: Cow::Owned(format!("OK queued as {id}")) }
    }

    /// The message is permanently refused.
    pub(crate) fn refused(why: &str) -> Self {
        Self { code: 554, status: "5.6.0", text: Cow::Owned(one_line(why)) }
    }

    /// The credential may not send as this sender (RFC 3463: delivery not authorized).
    pub(crate) fn sender_refused(why: &str) -> Self {
        Self { code: 550, status: "5.7.1", text: Cow::Owned(one_line(why)) }
    }

    /// The reply to a command that cannot be parsed.
    pub(crate) fn of_parser(error: &Error) -> Self {
        match error {
            Error::UnknownCommand => reply(500, "5.5.1", "Unknown command"),
            Error::InvalidSenderAddress => BAD_SENDER,
            Error::InvalidRecipientAddress => BAD_RECIPIENT,
            Error::UnsupportedParameter { .. } => NOT_OFFERED,
            Error::InvalidParameter { param } => {
                Self { code: 501, status: "5.5.4", text: Cow::Owned(format!("Invalid parameter {param}")) }
            }
            Error::SyntaxError { syntax } => {
                Self { code: 501, status: "5.5.4", text: Cow::Owned(format!("Syntax: {syntax}")) }
            }
            Error::NeedsMoreData { .. } | Error::ResponseTooLong | Error::InvalidResponse { .. } => {
                reply(501, "5.5.4", "Syntax error")
            }
        }
    }

    /// True for refusals: a session may have only so many of them.
    pub(crate) fn is_error(&self) -> bool {
        self.code >= 500
    }

    /// Appends the reply in its wire format.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let space = if self.status.is_empty() { "" } else { " " };
        out.extend_from_slice(format!("{} {}{space}{}\r\n", self.code, self.status, self.text).as_bytes());
    }
}

/// Text from elsewhere must not add reply lines.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).take(400).collect()
}
