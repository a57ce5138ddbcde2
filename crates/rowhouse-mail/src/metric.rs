//! The metrics that mails write.

use rowhouse_module::Metric;

/// All of them.
pub(crate) const ALL: &[Metric] = &[
    Metric { name: "rowhouse_mail_accepted_total", help: "Recipients accepted." },
    Metric {
        name: "rowhouse_mail_ended_total",
        help: "Recipients ended, by outcome: sent, captured, bounced, failed, suppressed.",
    },
    Metric { name: "rowhouse_mail_delayed_total", help: "Attempts that will be repeated." },
    Metric {
        name: "rowhouse_mail_relay_failures_total",
        help: "Times that the relay was away or refused our account.",
    },
    Metric {
        name: "rowhouse_mail_refused_total",
        help: "Mails refused for good for what is sent or who sends it, by stage: sender, recipient, data, message.",
    },
    Metric {
        name: "rowhouse_mail_delivery_seconds",
        help: "From acceptance until the relay has it, in seconds.",
    },
    Metric {
        name: "rowhouse_mail_submission_batch",
        help: "Mails taken in over SMTP and HTTP that shared a transaction.",
    },
    Metric {
        name: "rowhouse_mail_senders_lost_total",
        help: "Domains of tenants whose record has gone, and which nothing is sent as any more.",
    },
];

#[cfg(test)]
mod tests;
