//! Parameters of a query or form. One that is empty counts as left out, and none may come twice (RFC 6749 section 3.1).

use serde_json::Value;
use url::form_urlencoded;

use crate::model::Object;

/// A parameter that was sent more than once: readers disagree on which one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("parameter {0} was sent more than once")]
pub(crate) struct Repeated(pub(crate) &'static str);

/// The parameters of a request.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`.
    pub(crate) fn of_form(form: &[u8]) -> Self {
        Self(form_urlencoded::parse(form).into_owned().collect())
    }

    /// The texts of a JSON object, which GoTrue takes in place of a form.
    pub(crate) fn of_object(object: Object) -> Self {
        let text = |(name, value)| match value {
            Value::String(text) => Some((name, text)),
            _ => None,
        };
        Self(object.into_iter().filter_map(text).collect())
    }

    /// The parameter of this name.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut found = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = found.next().filter(|value| !value.is_empty());
        if found.next().is_some() { Err(Repeated(name)) } else { Ok(first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_parameters_are_absent_and_repeated_ones_are_refused() {
        let sent = Parameters::of_form(b"a=1&b=&c=x%20y&c=z&d=1&d=");
        assert_eq!(sent.one("a"), Ok(Some("1")));
        assert_eq!(sent.one("b"), Ok(None));
        assert_eq!(sent.one("none"), Ok(None));
        assert_eq!(sent.one("c"), Err(Repeated("c")));
        assert_eq!(sent.one("d"), Err(Repeated("d")));
    }
}
