use std::time::Duration;

use serde_json::json;

use super::judge;
use crate::settings::MailTransport;

#[test]
fn only_an_accepted_mail_is_a_success() {
    use MailTransport::{Capture, File, Relay};
    for (state, attempts, transport, yes, says) in [
        ("sent", 1, Relay, true, "sent to a@b.example: 250 ok"),
        ("sent", 1, File, true, "250 ok, not sent: mail.transport is file"),
        (
            "captured",
            0,
            Capture,
            true,
            "captured, not sent: mail.transport is capture, nothing leaves this machine",
        ),
        ("delayed", 1, Relay, false, "not taken for a@b.example, and given up: 250 ok"),
        ("failed", 0, Relay, false, "no outcome within 60 s, and given up"),
        ("sending", 1, Relay, false, "no outcome within 60 s; an attempt is under way"),
        ("bounced", 1, Relay, false, "bounced: a@b.example: 250 ok"),
        ("suppressed", 0, Relay, false, "suppressed: "),
        ("failed", 1, Relay, false, "failed: "),
    ] {
        let recipient =
            json!({ "address": "a@b.example", "state": state, "attempts": attempts, "last_reply": "250 ok" });
        let document = json!({ "id": 1, "recipients": [recipient] });
        let (is_yes, text) = judge(&document, transport, Duration::from_secs(60));
        assert_eq!(is_yes, yes, "{state}");
        assert!(text.starts_with(says), "{state}: {text}");
    }
}
