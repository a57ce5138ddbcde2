//! Details of an entry within the length that the table accepts: a change is not refused because much of it would be logged.

use serde_json::{Map, Value, json};

/// Longest details as PostgreSQL writes them, in characters; as `entries_details_check` has it.
const MAX_CHARS: usize = 8192;
/// A member of so many characters stays: its length would not be shorter.
const BRIEF: usize = 32;
/// PostgreSQL writes numbers with an exponent out.
const MAX_WRITTEN_OUT: usize = 350;

/// The details, with the length in bytes in place of the longest members while they are too long.
pub(crate) fn bounded(mut details: Map<String, Value>) -> Map<String, Value> {
    while length_of_members(&details) > MAX_CHARS {
        let by_length = details.iter().map(|(name, value)| (length(value), name.clone()));
        let Some((_, name)) = by_length.max().filter(|(length, _)| *length > BRIEF) else {
            return Map::from_iter([("members".to_owned(), json!(details.len()))]);
        };
        let bytes = details.get(&name).map_or(0, |value| value.to_string().len());
        details.insert(name, json!({ "bytes": bytes }));
    }
    details
}

/// How long PostgreSQL's text of it is at most, in characters: a space follows each colon and comma.
fn length(value: &Value) -> usize {
    match value {
        Value::Number(number) if number.to_string().contains('e') => MAX_WRITTEN_OUT,
        Value::Array(items) => 2 + items.iter().map(|item| length(item) + 2).sum::<usize>(),
        Value::Object(members) => length_of_members(members),
        plain => plain.to_string().chars().count(),
    }
}

fn length_of_members(members: &Map<String, Value>) -> usize {
    let member = |(name, value): (&String, &Value)| length(&Value::from(name.as_str())) + length(value) + 4;
    2 + members.iter().map(member).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &Value) -> Value {
        Value::Object(bounded(value.as_object().cloned().unwrap()))
    }

    #[test]
    fn only_the_longest_members_are_replaced_by_their_lengths() {
        let short = json!({ "name": "x", "quotas": [1, 2], "text": "é".repeat(8000) });
        assert_eq!(of(&short), short);
        let long = json!({ "name": "x", "before": "y".repeat(9000), "after": vec!["z"; 10] });
        assert_eq!(of(&long), json!({ "name": "x", "before": { "bytes": 9002 }, "after": vec!["z"; 10] }));
    }

    #[test]
    fn spaces_and_written_out_numbers_count() {
        assert_eq!(of(&json!({ "list": vec![1; 3000] })), json!({ "list": { "bytes": 6001 } }));
        assert_eq!(of(&json!({ "list": vec![1e300; 30] })), json!({ "list": { "bytes": 211 } }));
    }

    #[test]
    fn many_short_members_are_counted() {
        let many = (0..2000).map(|number| (format!("member {number}"), json!(number)));
        assert_eq!(Value::Object(bounded(many.collect())), json!({ "members": 2000 }));
    }
}
