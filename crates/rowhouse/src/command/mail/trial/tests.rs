use std::time::Duration;

use serde_json::json;

use super::judge;

#[test]
fn only_what_was_taken_is_a_yes() {
    for (state, yes, says) in [
        ("sent", true, "sent to a@b.example: 250 ok"),
        ("captured", true, "captured, not sent"),
        ("delayed", false, "not taken for a@b.example, and given up: 250 ok"),
        ("queued", false, "no outcome within 60 s"),
        ("sending", false, "no outcome within 60 s"),
        ("bounced", false, "bounced: a@b.example: 250 ok"),
        ("suppressed", false, "suppressed: "),
        ("failed", false, "failed: "),
    ] {
        let document = json!({ "id": 1, "recipients": [{ "address": "a@b.example", "state": state, "last_reply": "250 ok" }] });
        let (is_yes, text) = judge(&document, Duration::from_secs(60));
        assert_eq!(is_yes, yes, "{state}");
        assert!(text.starts_with(says), "{state}: {text}");
    }
}
