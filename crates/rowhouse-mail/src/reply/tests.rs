use std::time::Duration;

use super::{MOST_ATTEMPTS, ReplyClass, judge, pause};
use crate::transport::Stage;

#[test]
fn replies_are_classified_by_their_consequence() {
    for (code, text, verdict) in [
        (550, "5.1.1 No such user", ReplyClass::Bounced),
        (550, "5.1.10 Null MX", ReplyClass::Bounced),
        (571, "5.1.1 No such user", ReplyClass::Bounced),
        (550, "No such user here", ReplyClass::Failed),
        (550, "relay not permitted", ReplyClass::Failed),
        (571, "Delivery not authorized", ReplyClass::Failed),
        (599, "", ReplyClass::Failed),
        (499, "", ReplyClass::Later(None)),
        (553, "5.1.3 Bad address", ReplyClass::Bounced),
        (550, "5.2.1 Mailbox disabled", ReplyClass::Bounced),
        (550, "5.7.1 Message refused as spam", ReplyClass::Failed),
        (550, "5.1.8 Sender address rejected", ReplyClass::Failed),
        (552, "5.3.4 Message too big", ReplyClass::Failed),
        (554, "Transaction failed", ReplyClass::Failed),
        (535, "5.7.8 Authentication failed", ReplyClass::Misconfigured),
        (530, "5.7.0 Must issue STARTTLS first", ReplyClass::Misconfigured),
        (451, "4.7.1 Greylisted", ReplyClass::Later(None)),
        (452, "4.2.2 Mailbox full", ReplyClass::Later(None)),
    ] {
        assert_eq!(judge(Stage::Recipient, code, text), verdict, "{code} {text}");
    }
}

#[test]
fn refusal_at_another_stage_than_rcpt_suppresses_nobody() {
    for stage in [Stage::Sender, Stage::Data, Stage::Message] {
        for text in ["5.1.1 No such user", "5.2.1 Mailbox disabled", "no"] {
            assert_eq!(judge(stage, 550, text), ReplyClass::Failed, "{stage:?} {text}");
        }
    }
    for stage in [Stage::Connect, Stage::SignIn] {
        for code in [421, 454, 535, 550, 554] {
            assert_eq!(judge(stage, code, "5.1.1 no"), ReplyClass::Misconfigured, "{stage:?} {code}");
        }
    }
}

#[test]
fn retry_hint_of_the_server_is_honoured_within_a_bound() {
    let later = |seconds| ReplyClass::Later(Some(Duration::from_secs(seconds)));
    for (text, verdict) in [
        ("4.7.1 Greylisted, try again in 300 seconds", later(310)),
        ("Please retry after 5 minutes.", later(310)),
        ("deferred for 2 hours", later(7210)),
        ("try again in 99999999999999999999 seconds", ReplyClass::Later(None)),
        ("try again in 900 hours", later(24 * 3600 + 10)),
        ("try again in some minutes", ReplyClass::Later(None)),
    ] {
        assert_eq!(judge(Stage::Message, 451, text), verdict, "{text}");
    }
}

#[test]
fn all_attempts_together_take_about_a_day() {
    let total: Duration = (1..MOST_ATTEMPTS).map(pause).sum();
    assert!((23.0..25.0).contains(&(total.as_secs_f64() / 3600.0)), "{total:?}");
    assert_eq!(pause(1), Duration::from_secs(300));
}
