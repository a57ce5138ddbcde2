//! Path of the role in a token's claims: JSONPath (RFC 9535), or the syntax PostgREST had before version 16.

use serde_json::Value;
use serde_json_path::JsonPath;

/// A parsed path; the default is `$.role`.
#[derive(Debug, Clone)]
pub(super) enum RolePath {
    /// A single claim, the usual case.
    Claim(String),
    /// RFC 9535; the first match is taken.
    Standard(JsonPath),
    /// `.a."b-c"[0][?(@ == "text")]`, the filter only at the end.
    Former(Vec<Step>),
}

/// A step of the former syntax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
    /// The first string of a list that satisfies the comparison.
    First(Comparison, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    StartsWith,
    EndsWith,
    Contains,
}

/// Longer operators first: `==^` begins with `==`.
const COMPARISONS: [(&str, Comparison); 5] = [
    ("==^", Comparison::EndsWith),
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("^==", Comparison::StartsWith),
    ("*==", Comparison::Contains),
];

impl Default for RolePath {
    fn default() -> Self {
        Self::Claim("role".to_owned())
    }
}

impl RolePath {
    /// Parses either syntax.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let plain =
            |name: &&str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if let Some(claim) = text.strip_prefix("$.").filter(plain) {
            return Ok(Self::Claim(claim.to_owned()));
        }
        if text.starts_with('$') {
            return JsonPath::parse(text).map(Self::Standard).map_err(|error| error.to_string());
        }
        steps(text)
            .map(Self::Former)
            .ok_or_else(|| format!("expected a path such as $.app.role or .app.role, found \"{text}\""))
    }

    /// The value that the path selects.
    pub(super) fn find<'v>(&self, claims: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Claim(name) => claims.get(name),
            Self::Standard(path) => path.query(claims).first(),
            Self::Former(steps) => steps.iter().try_fold(claims, |value, step| step.take(value)),
        }
    }
}

impl Step {
    fn take<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Key(key) => value.as_object()?.get(key),
            Self::Index(index) => value.as_array()?.get(*index),
            Self::First(comparison, text) => value
                .as_array()?
                .iter()
                .find(|item| item.as_str().is_some_and(|item| comparison.holds(item, text))),
        }
    }
}

impl Comparison {
    fn holds(self, item: &str, text: &str) -> bool {
        match self {
            Self::Equal => item == text,
            Self::Unequal => item != text,
            Self::StartsWith => item.starts_with(text),
            Self::EndsWith => item.ends_with(text),
            Self::Contains => item.contains(text),
        }
    }
}

fn steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, after) = key(rest).or_else(|| filter(rest)).or_else(|| index(rest))?;
        steps.push(step);
        rest = after;
    }
    (!steps.is_empty()).then_some(steps)
}

/// `.name`, where the name may be quoted.
fn key(text: &str) -> Option<(Step, &str)> {
    let text = text.strip_prefix('.')?;
    if let Some((name, rest)) = quoted(text) {
        return Some((Step::Key(name.to_owned()), rest));
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || "_$@".contains(c))).unwrap_or(text.len());
    (end > 0).then(|| (Step::Key(text[..end].to_owned()), &text[end..]))
}

fn index(text: &str) -> Option<(Step, &str)> {
    let (number, rest) = text.strip_prefix('[')?.split_once(']')?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    Some((Step::Index(number.parse().ok().filter(|_| digits)?), rest))
}

fn filter(text: &str) -> Option<(Step, &str)> {
    let text = text.strip_prefix("[?(@")?.trim_start();
    let (sign, comparison) = COMPARISONS.iter().find(|(sign, _)| text.starts_with(sign))?;
    let (value, rest) = quoted(text[sign.len()..].trim_start())?;
    (rest == ")]").then(|| (Step::First(*comparison, value.to_owned()), ""))
}

fn quoted(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('"')?.split_once('"')
}

#[cfg(test)]
mod tests;
