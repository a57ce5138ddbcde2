use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};

use super::{MailSettings, unreachable_domain};

#[test]
fn settings_that_cannot_work_together_are_refused_by_name() {
    for (toml, name) in [
        ("transport = \"relay\"", "mail.relay_host"),
        ("relay_user = \"u\"", "mail.relay_user"),
        ("dkim_domain = \"d.example\"", "mail.dkim_domain"),
        ("daily_cap = 0", "mail.daily_cap"),
        ("smtp_listen = \"everywhere\"", "mail.smtp_listen"),
        ("smtp_listen = \"0.0.0.0:587\"", "mail.smtp_certificate"),
        ("smtp_certificate_key = \"k.pem\"", "mail.smtp_certificate"),
    ] {
        let mut sources = Sources::new(&format!("[mail]\n{toml}"), std::iter::empty());
        let mistakes = Settings::load(&[GroupSpec::of::<MailSettings>()], &mut sources).unwrap_err();
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&format!("{name}:")), "{toml}: {mistakes:#?}");
    }
}

#[test]
fn addresses_of_domains_that_exist_nowhere_are_known() {
    for mailbox in [
        "Rowhouse <noreply@localhost>",
        "noreply@app.local",
        "noreply@APP.Invalid",
        "Shop <orders@shop.example>",
        "orders@shop.test.",
        "root@localhost.localdomain",
    ] {
        assert!(unreachable_domain(mailbox).is_some(), "{mailbox}");
    }
    for mailbox in ["noreply@example.com", "Shop <a@local.shop.com>", "test@latest.dev", "nobody"] {
        assert_eq!(unreachable_domain(mailbox), None, "{mailbox}");
    }
}
