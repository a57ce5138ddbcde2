use std::time::Duration;

use super::{MOST_ATTEMPTS, Verdict, judge, pause};
use crate::transport::Stage;

#[test]
fn replies_are_classified_by_their_consequence() {
    for (code, text, verdict) in [
        (550, "5.1.1 No such user", Verdict::Bounced),
        (550, "5.1.10 Null MX", Verdict::Bounced),
        (571, "5.1.1 No such user", Verdict::Bounced),
        (550, "No such user here", Verdict::Failed),
        (550, "relay not permitted", Verdict::Failed),
        (571, "Delivery not authorized", Verdict::Failed),
        (599, "", Verdict::Failed),
        (499, "", Verdict::Later(None)),
        (553, "5.1.3 Bad address", Verdict::Bounced),
        (550, "5.2.1 Mailbox disabled", Verdict::Bounced),
        (550, "5.7.1 Message refused as spam", Verdict::Failed),
        (550, "5.1.8 Sender address rejected", Verdict::Failed),
        (552, "5.3.4 Message too big", Verdict::Failed),
        (554, "Transaction failed", Verdict::Failed),
        (535, "5.7.8 Authentication failed", Verdict::Misconfigured),
        (530, "5.7.0 Must issue STARTTLS first", Verdict::Misconfigured),
        (451, "4.7.1 Greylisted", Verdict::Later(None)),
        (452, "4.2.2 Mailbox full", Verdict::Later(None)),
    ] {
        assert_eq!(judge(Stage::Recipient, code, text), verdict, "{code} {text}");
    }
}

#[test]
fn refusal_at_another_stage_than_rcpt_suppresses_nobody() {
    for stage in [Stage::Sender, Stage::Data, Stage::Message] {
        for text in ["5.1.1 No such user", "5.2.1 Mailbox disabled", "no"] {
            assert_eq!(judge(stage, 550, text), Verdict::Failed, "{stage:?} {text}");
        }
    }
    for stage in [Stage::Connect, Stage::SignIn] {
        for code in [421, 454, 535, 550, 554] {
            assert_eq!(judge(stage, code, "5.1.1 no"), Verdict::Misconfigured, "{stage:?} {code}");
        }
    }
}

#[test]
fn retry_hint_of_the_server_is_honoured_within_a_bound() {
    let later = |seconds| Verdict::Later(Some(Duration::from_secs(seconds)));
    for (text, verdict) in [
        ("4.7.1 Greylisted, try again in 300 seconds", later(310)),
        ("Please retry after 5 minutes.", later(310)),
        ("deferred for 2 hours", later(7210)),
        ("try again in 99999999999999999999 seconds", Verdict::Later(None)),
        ("try again in 900 hours", later(24 * 3600 + 10)),
        ("try again in some minutes", Verdict::Later(None)),
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
