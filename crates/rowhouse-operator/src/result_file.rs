//! What became of the users of a bulk job, as lines of a file. Leaves reading them to `store`, and sending to `route`.

use std::fmt::Write as _;

use rowhouse_audit::csv_field;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::store::bulk::Item;

/// The first line of CSV.
const HEADER: &str = "number,user_id,email,state,error,result\r\n";

/// A file's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BulkResultFormat")]
pub(crate) enum ResultFormat {
    /// RFC 4180, with a header; what spreadsheets take for a formula has an apostrophe in front.
    Csv,
    /// A JSON object in each line.
    #[default]
    Ndjson,
}

impl ResultFormat {
    pub(crate) const NAMES: [&str; 2] = ["csv", "ndjson"];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Csv, Self::Ndjson].into_iter().find(|format| format.extension() == name)
    }

    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// The lines of these items; the first ones have the header in front.
    pub(crate) fn lines(self, items: &[Item], is_first: bool) -> String {
        let mut out = String::new();
        if is_first && self == Self::Csv {
            out.push_str(HEADER);
        }
        for item in items {
            match self {
                Self::Csv => append(item, &mut out),
                Self::Ndjson => {
                    out.push_str(&serde_json::to_string(item).unwrap_or_default());
                    out.push('\n');
                }
            }
        }
        out
    }
}

fn append(item: &Item, out: &mut String) {
    let _infallible = write!(out, "{}", item.number);
    let user = item.user_id.map(|id| id.to_string());
    let result = item.result.as_ref().map(ToString::to_string);
    let texts =
        [user.as_deref(), item.email.as_deref(), Some(&item.state), item.error.as_deref(), result.as_deref()];
    for text in texts {
        out.push(',');
        csv_field(text, out);
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_item_is_a_line_and_formulas_are_texts() {
        let done = Item {
            number: 1,
            user_id: Some(Uuid::nil()),
            email: Some("=a@b.example".to_owned()),
            state: "done".to_owned(),
            error: None,
            result: Some(json!({ "name": "Ada" })),
        };
        let failed = Item {
            error: Some("no, not\nthis".to_owned()),
            state: "failed".to_owned(),
            result: None,
            ..done.clone()
        };
        let nil = Uuid::nil();
        let csv = format!(
            "{HEADER}1,{nil},\"'=a@b.example\",done,,\"{{\"\"name\"\":\"\"Ada\"\"}}\"\r\n\
             1,{nil},\"'=a@b.example\",failed,\"no, not\nthis\",\r\n"
        );
        assert_eq!(ResultFormat::Csv.lines(&[done.clone(), failed], true), csv);
        let line = ResultFormat::Ndjson.lines(&[done], false);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.contains("\"state\":\"done\""), "{line}");
    }
}
