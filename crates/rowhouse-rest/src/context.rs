//! The request's context for SQL: headers and cookies as JSON text, search path, caller.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use http::header::COOKIE;
use http::request::Parts;
use rowhouse_db::flight::End;
use rowhouse_http::Identity;
use rowhouse_kernel::{ANON, Caller};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::request::Tx;
use crate::settings::TxEnd;

/// Most bytes of header names and values passed to the database; further headers are left out.
const MOST_BYTES: usize = 16 * 1024;

/// `request.headers`: lower-case names to values, without cookies. A repeated header counts once, with its last value.
pub(crate) fn headers(headers: &HeaderMap) -> String {
    let names = headers.keys().filter(|name| **name != COOKIE);
    object(names.filter_map(|name| {
        let value = headers.get_all(name).iter().next_back()?;
        Some((name.as_str(), text(value.as_bytes())))
    }))
}

/// `request.cookies`: names to values.
pub(crate) fn cookies(headers: &HeaderMap) -> String {
    let Some(text) = headers.get(COOKIE).and_then(|value| value.to_str().ok()) else {
        return "{}".to_owned();
    };
    object(text.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.trim(), value.trim().trim_matches('"').into()))
    }))
}

/// The served schema, then the extra schemas.
pub(crate) fn search_path(schema: &str, extra: &[String]) -> String {
    let mut text = String::with_capacity(64);
    for name in std::iter::once(schema).chain(extra.iter().map(String::as_str).filter(|name| *name != schema))
    {
        text.push_str(if text.is_empty() { "\"" } else { ", \"" });
        text.push_str(&name.replace('"', "\"\""));
        text.push('"');
    }
    text
}

/// How the transaction ends: as the client asks, if the setting allows it, else as the setting says.
pub(crate) fn end(setting: TxEnd, asked: Option<Tx>) -> End {
    match (asked, setting) {
        (Some(Tx::Commit), _) | (None, TxEnd::Commit | TxEnd::CommitAllowOverride) => End::Commit,
        (Some(Tx::Rollback), _) | (None, TxEnd::Rollback | TxEnd::RollbackAllowOverride) => End::Rollback,
    }
}

/// The verified caller, with the configured role if the token has none.
///
/// # Errors
/// The caller was not verified, the token is refused, or there is no role for anonymous callers.
pub(crate) fn caller(head: &Parts, anon_role: &str) -> Result<Arc<Caller>, Error> {
    let identity = head.extensions.get::<Identity>().ok_or(Error::NoCaller)?;
    let caller = identity.caller().map_err(|error| Error::Token(*error))?;
    Ok(anonymous(caller, anon_role)?.unwrap_or_else(|| Arc::clone(caller)))
}

/// A caller without a role, under the configured one; the other claims stay.
fn anonymous(caller: &Caller, role: &str) -> Result<Option<Arc<Caller>>, Error> {
    if !caller.is_anonymous() || role == ANON {
        return Ok(None);
    }
    if role.is_empty() {
        return Err(Error::NoCaller);
    }
    let mut claims: Map<String, Value> = serde_json::from_str(&caller.claims).unwrap_or_default();
    claims.insert("role".to_owned(), role.into());
    let claims = Value::Object(claims).to_string();
    Ok(Some(Arc::new(Caller { role: role.into(), claims: claims.into(), ..caller.clone() })))
}

/// Invalid UTF-8 becomes U+FFFD. Validating first is several times faster than replacing, and tokens are long.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn object<'a>(pairs: impl Iterator<Item = (&'a str, Cow<'a, str>)>) -> String {
    let mut text = String::with_capacity(512);
    text.push('{');
    for (name, value) in pairs {
        if text.len() + name.len() + value.len() > MOST_BYTES {
            break;
        }
        if text.len() > 1 {
            text.push(',');
        }
        string(&mut text, name);
        text.push(':');
        string(&mut text, &value);
    }
    text.push('}');
    text
}

fn string(text: &mut String, value: &str) {
    if value.bytes().fold(0, |found, byte| found | escaped(byte)) == 0 {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&serde_json::Value::from(value).to_string());
    }
}

/// Not 0 for what JSON escapes. Numbers and no early exit, so that the compiler vectorizes the loop: with `bool` it does not.
fn escaped(byte: u8) -> u8 {
    u8::from(byte < 0x20) | u8::from(byte == b'"') | u8::from(byte == b'\\')
}

#[cfg(test)]
mod tests;
