//! Options that tokio-postgres does not support (`sslmode` and `target_session_attrs` in full, `sslrootcert`, `sslcert`,
//! `sslkey`), removed from a URL or `key=value` pairs before it parses the rest.

use super::session_attrs::SessionAttrs;
use crate::tls::{SslMode, TlsOptions};

/// These options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) tls: TlsOptions,
    pub(super) attrs: SessionAttrs,
}

/// The text without those options, and the options.
pub(super) fn split(text: &str) -> Result<(String, Options), String> {
    let mut options = Options::default();
    let rest = match text.starts_with("postgres://") || text.starts_with("postgresql://") {
        true => split_url(text, &mut options)?,
        false => split_pairs(text, &mut options)?,
    };
    Ok((rest, options))
}

fn split_url(text: &str, options: &mut Options) -> Result<String, String> {
    let Some((head, query)) = text.split_once('?') else { return Ok(text.to_owned()) };
    let mut kept = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !options.take(name, &decoded(value)?)? {
            kept.push(pair);
        }
    }
    Ok(if kept.is_empty() { head.to_owned() } else { format!("{head}?{}", kept.join("&")) })
}

fn split_pairs(text: &str, options: &mut Options) -> Result<String, String> {
    let (mut kept, mut rest) = (String::new(), text.trim_start());
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or("a key without a value")?;
        if name.trim().contains(char::is_whitespace) {
            return Err("a value with spaces has no quotes: password='two words'".to_owned());
        }
        let (value, end) = quoted(after.trim_start())?;
        if !options.take(name.trim(), &value)? {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            kept.push_str(&format!("{}='{value}' ", name.trim()));
        }
        rest = end.trim_start();
    }
    Ok(kept)
}

/// A value, bare or in quotes, and what follows it; a backslash escapes the next character.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let is_quoted = text.starts_with('\'');
    let mut characters = text.char_indices().skip(usize::from(is_quoted));
    let mut value = String::new();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, character)| character)),
            '\'' if is_quoted => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            character if character.is_whitespace() && !is_quoted => {
                return Ok((value, text.get(at..).unwrap_or_default()));
            }
            character => value.push(character),
        }
    }
    if is_quoted { Err("a quote has no end".to_owned()) } else { Ok((value, "")) }
}

/// `%XX` as bytes (RFC 3986 section 2.1).
fn decoded(text: &str) -> Result<String, String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or("a % without two digits")?;
        let digits = std::str::from_utf8(digits).map_err(|error| error.to_string())?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|error| error.to_string())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

impl Options {
    /// True if `name` is one of these options.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "target_session_attrs" => {
                let known = SessionAttrs::parse(value);
                self.attrs = known.ok_or_else(|| {
                    format!(
                        "target_session_attrs is any, read-write, read-only, primary, standby or prefer-standby, \
                         not {value:?}"
                    )
                })?;
                Ok(true)
            }
            _ => self.tls.take(name, value),
        }
    }
}

impl TlsOptions {
    /// True if `name` is one of these options.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let given = Some(value.to_owned()).filter(|value| !value.is_empty());
        match name {
            "sslmode" => {
                let known = SslMode::parse(value);
                self.mode = Some(known.ok_or_else(|| {
                    format!(
                        "sslmode is disable, allow, prefer, require, verify-ca or verify-full, not {value:?}"
                    )
                })?);
            }
            "sslrootcert" => self.root = given,
            "sslcert" => self.certificate = given,
            "sslkey" => self.key = given,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The options as a URL's parameters.
    pub(super) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mode = self.mode.map(|mode| mode.name().to_owned());
        [
            ("sslmode", mode),
            ("sslrootcert", self.root.clone()),
            ("sslcert", self.certificate.clone()),
            ("sslkey", self.key.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .collect()
    }
}
