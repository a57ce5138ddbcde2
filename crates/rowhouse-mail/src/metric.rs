//! The metrics that mails write.

use rowhouse_module::Metric;

/// The catalogue.
pub(crate) const ALL: &[Metric] = &[
    Metric { name: "rowhouse_mail_accepted_total", help: "Recipients accepted." },
    Metric {
        name: "rowhouse_mail_ended_total",
        help: "Recipients in a final state, by outcome: sent, captured, bounced, failed, suppressed.",
    },
    Metric { name: "rowhouse_mail_delayed_total", help: "Attempts that will be repeated." },
    Metric {
        name: "rowhouse_mail_relay_failures_total",
        help: "Times that the relay was unreachable or refused the account.",
    },
    Metric {
        name: "rowhouse_mail_refused_total",
        help: "Mails permanently refused for their content or sender, by stage: sender, recipient, data, message.",
    },
    Metric {
        name: "rowhouse_mail_delivery_seconds",
        help: "From acceptance until the relay has accepted it, in seconds.",
    },
    Metric {
        name: "rowhouse_mail_submission_batch",
        help: "Mails stored in one transaction by the group commit of SMTP and HTTP.",
    },
    Metric {
        name: "rowhouse_mail_senders_lost_total",
        help: "Domains of tenants that lost their proof because the record is gone.",
    },
];

#[cfg(test)]
mod tests;
