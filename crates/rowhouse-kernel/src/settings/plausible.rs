//! What a value's own form does not tell: spans that nothing could work with, paths that others answer.

use std::time::Duration;

use super::{MailSettings, MailTransport, Settings, Sources};

/// Longer spans overflow dates somewhere.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);
/// First segments of paths that the program answers itself.
const TAKEN: &[&str] = &[
    ".well-known",
    "admin",
    "auth",
    "console",
    "health",
    "mail",
    "metrics",
    "oauth2",
    "portal",
    "realtime",
    "rest",
    "storage",
    "version",
];

/// Notes every implausible value.
pub(super) fn check(settings: &Settings, sources: &mut Sources) {
    let (server, db, auth, mail) = (&settings.server, &settings.db, &settings.auth, &settings.mail);
    for (name, span, may_be_zero) in [
        ("server.header_timeout", server.header_timeout, false),
        ("server.request_timeout", server.request_timeout, false),
        ("server.drain_timeout", server.drain_timeout, true),
        ("db.acquire_timeout", db.acquire_timeout, false),
        ("db.statement_timeout", db.statement_timeout, false),
        ("auth.access_token_lifetime", auth.access_token_lifetime, false),
        ("auth.refresh_reuse_interval", auth.refresh_reuse_interval, true),
        ("auth.lockout_duration", auth.lockout_duration, true),
        ("mail.relay_timeout", mail.relay_timeout, false),
        ("mail.suppression_lifetime", mail.suppression_lifetime, true),
        ("mail.retention", mail.retention, false),
        ("jobs.keep_done", settings.jobs.keep_done, false),
        ("jobs.keep_results", settings.jobs.keep_results, false),
        ("jobs.keep_log", settings.jobs.keep_log, false),
        ("jobs.keep_dead", settings.jobs.keep_dead, false),
    ] {
        if span.is_zero() && !may_be_zero {
            sources.refuse(format!("{name}: must be longer than nothing"));
        } else if span > LONGEST {
            sources.refuse(format!("{name}: must not exceed ten years"));
        }
    }
    check_mail(mail, sources);
    check_smtp(mail, sources);
    super::jobs::check(&settings.jobs, sources);
    if let Some(name) = &settings.rest.trace_header
        && let Err(why) = check_header(name)
    {
        sources.refuse(format!("rest.trace_header: {why}, found \"{name}\""));
    }
    if let Some(alias) = &server.rest_alias
        && let Err(why) = check_alias(alias)
    {
        sources.refuse(format!("server.rest_alias: {why}, found \"{alias}\""));
    }
    if settings.rest.anon_role == crate::SERVICE_ROLE {
        sources.refuse("rest.anon_role: service_role looks past row-level security and is for no stranger");
    }
    if let Some(url) = &server.public_url
        && !(url.starts_with("http://") || url.starts_with("https://"))
    {
        sources.refuse(format!("server.public_url: expected http:// or https://, found \"{url}\""));
    }
}

/// Secrets of customers' software travel on that port.
fn check_smtp(mail: &MailSettings, sources: &mut Sources) {
    if mail.smtp_certificate.is_some() != mail.smtp_certificate_key.is_some() {
        sources.refuse("mail.smtp_certificate: comes together with mail.smtp_certificate_key");
    }
    let Some(text) = &mail.smtp_listen else { return };
    match text.parse::<std::net::SocketAddr>() {
        Err(_) => sources.refuse(format!("mail.smtp_listen: expected address and port, found \"{text}\"")),
        Ok(address) if !address.ip().is_loopback() && mail.smtp_certificate.is_none() => {
            sources.refuse("mail.smtp_certificate: not set; mail.smtp_listen beyond this machine needs it");
        }
        Ok(_) => {}
    }
}

/// What only works together.
fn check_mail(mail: &MailSettings, sources: &mut Sources) {
    if mail.transport == MailTransport::Relay && mail.relay_host.is_none() {
        sources.refuse("mail.relay_host: not set; mail.transport = \"relay\" needs it");
    }
    if mail.relay_user.is_some() != mail.relay_password.is_some() {
        sources.refuse("mail.relay_user: comes together with mail.relay_password");
    }
    if mail.dkim_domain.is_some() != mail.dkim_key.is_some() {
        sources.refuse("mail.dkim_domain: comes together with mail.dkim_key");
    }
    if let Some(url) = &mail.webhook_url {
        let address = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        if address.is_none_or(str::is_empty) {
            sources.refuse(format!(
                "mail.webhook_url: expected http:// or https:// and an address, found \"{url}\""
            ));
        }
    }
    for (name, number) in [("mail.rate_per_minute", mail.rate_per_minute), ("mail.daily_cap", mail.daily_cap)]
    {
        if number == Some(0) {
            sources.refuse(format!("{name}: expected at least 1; nothing would ever leave"));
        }
    }
}

/// A token (RFC 9110 section 5.6.2) that does not say how the message is framed.
fn check_header(name: &str) -> Result<(), &'static str> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let framing =
        ["connection", "content-length", "transfer-encoding"].iter().any(|f| name.eq_ignore_ascii_case(f));
    match name {
        "" => Err("expected the name of a header"),
        name if framing || !name.bytes().all(token) => Err("expected the name of a header of yours"),
        _ => Ok(()),
    }
}

fn check_alias(alias: &str) -> Result<(), String> {
    let segments: Vec<&str> = alias.trim_end_matches('/').split('/').collect();
    let plain = |segment: &&str| {
        !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match segments.as_slice() {
        ["", first, ..] if TAKEN.contains(first) => Err(format!("/{first} is taken")),
        ["", rest @ ..] if !rest.is_empty() && rest.iter().all(plain) => Ok(()),
        _ => Err("expected a path such as /api".to_owned()),
    }
}
