//! The extensions that EHLO announces (RFC 5321 section 4.1.1.1), and those that a mail needs. Pure.

use crate::transport::{Envelope, TransportError};

/// The extensions that matter here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Extensions {
    pub(super) starttls: bool,
    pub(super) auth_plain: bool,
    pub(super) auth_login: bool,
    eight_bit: bool,
    utf8: bool,
    has_size: bool,
    /// Largest message in bytes; 0 if no limit is announced.
    max_bytes: usize,
}

impl Extensions {
    /// Reads the lines of the reply; the first names the server.
    pub(super) fn read(lines: &[String]) -> Self {
        let mut all = Self::default();
        for line in lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => all.starttls = true,
                Some("8BITMIME") => all.eight_bit = true,
                Some("SMTPUTF8") => all.utf8 = true,
                Some("SIZE") => {
                    all.has_size = true;
                    all.max_bytes = words.next().and_then(|size| size.parse().ok()).unwrap_or(0);
                }
                Some("AUTH") => words.for_each(|mechanism| match mechanism {
                    "PLAIN" => all.auth_plain = true,
                    "LOGIN" => all.auth_login = true,
                    _ => {}
                }),
                _ => {}
            }
        }
        all
    }

    /// The parameters of MAIL FROM.
    ///
    /// # Errors
    /// [`TransportError::Unfit`] if the mail needs an extension that is not offered.
    pub(super) fn parameters(&self, envelope: &Envelope, message: &[u8]) -> Result<String, TransportError> {
        let unfit = |text: String| Err(TransportError::Unfit(text));
        let mut parameters = String::new();
        if self.has_size {
            parameters.push_str(&format!(" SIZE={}", message.len()));
        }
        if self.max_bytes > 0 && message.len() > self.max_bytes {
            let text = format!("the relay takes {} bytes, the mail has {}", self.max_bytes, message.len());
            return unfit(text);
        }
        if !message.is_ascii() {
            if !self.eight_bit {
                return unfit("the mail is not ASCII, and the relay does not offer 8BITMIME".to_owned());
            }
            parameters.push_str(" BODY=8BITMIME");
        }
        if !(envelope.from.is_ascii() && envelope.to.is_ascii()) {
            if !self.utf8 {
                return unfit("an address is not ASCII, and the relay does not offer SMTPUTF8".to_owned());
            }
            parameters.push_str(" SMTPUTF8");
        }
        Ok(parameters)
    }
}

#[cfg(test)]
mod tests;
