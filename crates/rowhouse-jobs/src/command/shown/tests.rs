use serde_json::json;

use super::{job, list, short, stats};

#[test]
fn job_shows_what_is_known_and_leaves_out_what_is_not() {
    let text = job(&json!({
        "id": 7, "state": "running", "tenant": null, "payload": { "to": "ann" },
        "progress": { "percent": 40.0, "note": "page 2" },
        "log": [{ "at": "2026-11-21T09:00:00Z", "attempt": 1, "line": "no answer" }],
    }));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "id            7",
            "state         running",
            "payload       {\"to\":\"ann\"}",
            "progress      40 % page 2",
            "2026-11-21T09:00:00Z run 1: no answer",
        ]
    );
}

#[test]
fn empty_lists_are_stated_in_words() {
    assert_eq!((list(&[]).as_str(), stats(&[]).as_str()), ("no jobs", "nothing has ever been enqueued"));
}

#[test]
fn long_errors_are_cut_between_characters() {
    assert_eq!(short(&"ä".repeat(61)), format!("{}…", "ä".repeat(60)));
    assert_eq!(short("one\ntwo"), "one");
}
