//! Classifies an SMTP server's reply, and computes retry times. Pure.
//!
//! Only a refusal of the recipient that names the mailbox by an enhanced status code suppresses the address.
//! Everything else may concern the sender, the content or the relay's rules, for which servers use the same bare 550.

use std::time::Duration;

use crate::transport::Stage;

/// Attempts per mail; with the backoff below they take about 24 hours, as Postal's do.
pub(crate) const MOST_ATTEMPTS: u16 = 18;
/// Added to the delay that a server asks for, since clocks differ.
const GRACE: Duration = Duration::from_secs(10);
/// Longest delay that a server may ask for.
const LONGEST_HINT: Duration = Duration::from_secs(24 * 3600);

/// The consequence of a 4xx or 5xx reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplyClass {
    /// Try again, not before this time has passed if the server said so.
    Later(Option<Duration>),
    /// No such mailbox: the address is suppressed for a while.
    Bounced,
    /// This mail is permanently refused; another to the same address may be accepted.
    Failed,
    /// The account or connection is refused, as it would be for every mail. The operator has to act.
    Misconfigured,
}

/// Classifies a reply by stage, code and text. Codes are classified by their first digit.
pub(crate) fn judge(stage: Stage, code: u16, text: &str) -> ReplyClass {
    if stage.is_before_mail() {
        return ReplyClass::Misconfigured;
    }
    match (code, enhanced(text)) {
        // RFC 4954 section 6: sign-in needed, too weak, wrong, encryption needed.
        (530 | 534 | 535 | 538, _) => ReplyClass::Misconfigured,
        (400..=499, _) => ReplyClass::Later(hint(text)),
        // RFC 3463: bad destination mailbox, system, syntax, moved, null MX; mailbox disabled.
        (_, Some((5, 1, 1 | 2 | 3 | 6 | 10) | (5, 2, 1))) if stage == Stage::Recipient => ReplyClass::Bounced,
        _ => ReplyClass::Failed,
    }
}

/// The enhanced status code (RFC 2034) at the beginning, `5.1.1`.
fn enhanced(text: &str) -> Option<(u16, u16, u16)> {
    let mut parts = text.split_whitespace().next()?.split('.');
    let mut number = || parts.next()?.parse().ok();
    let code = (number()?, number()?, number()?);
    parts.next().is_none().then_some(code)
}

/// "try again in 300 seconds", "retry after 5 minutes".
fn hint(text: &str) -> Option<Duration> {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let spans = words.windows(3).filter(|three| matches!(three[0], "in" | "after" | "for"));
    spans
        .filter_map(|three| Some((three[1].parse::<u64>().ok()?, unit(three[2])?)))
        .map(|(number, unit)| Duration::from_secs(number.saturating_mul(unit)).min(LONGEST_HINT) + GRACE)
        .next()
}

fn unit(word: &str) -> Option<u64> {
    match word {
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60),
        "h" | "hour" | "hours" => Some(3600),
        _ => None,
    }
}

/// The pause after failed attempt `attempt` (from 1): five minutes, each time 1.3 times as long.
pub(crate) fn pause(attempt: u16) -> Duration {
    let exponent = i32::from(attempt.clamp(1, MOST_ATTEMPTS)) - 1;
    Duration::from_secs_f64(300.0 * 1.3_f64.powi(exponent))
}

#[cfg(test)]
mod tests;
