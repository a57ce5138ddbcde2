//! The built-in templates.

/// Path below `mail/` and text.
pub(super) const EMBEDDED: &[(&str, &str)] = &[
    ("layout.html", include_str!("../../templates/layout.html")),
    ("de/account_exists.html", include_str!("../../templates/de/account_exists.html")),
    ("de/account_exists.subject", include_str!("../../templates/de/account_exists.subject")),
    ("de/account_exists.txt", include_str!("../../templates/de/account_exists.txt")),
    ("de/confirmation.html", include_str!("../../templates/de/confirmation.html")),
    ("de/confirmation.subject", include_str!("../../templates/de/confirmation.subject")),
    ("de/confirmation.txt", include_str!("../../templates/de/confirmation.txt")),
    ("de/email_change.html", include_str!("../../templates/de/email_change.html")),
    ("de/email_change.subject", include_str!("../../templates/de/email_change.subject")),
    ("de/email_change.txt", include_str!("../../templates/de/email_change.txt")),
    (
        "de/email_changed_notification.html",
        include_str!("../../templates/de/email_changed_notification.html"),
    ),
    (
        "de/email_changed_notification.subject",
        include_str!("../../templates/de/email_changed_notification.subject"),
    ),
    ("de/email_changed_notification.txt", include_str!("../../templates/de/email_changed_notification.txt")),
    (
        "de/identity_linked_notification.html",
        include_str!("../../templates/de/identity_linked_notification.html"),
    ),
    (
        "de/identity_linked_notification.subject",
        include_str!("../../templates/de/identity_linked_notification.subject"),
    ),
    (
        "de/identity_linked_notification.txt",
        include_str!("../../templates/de/identity_linked_notification.txt"),
    ),
    (
        "de/identity_unlinked_notification.html",
        include_str!("../../templates/de/identity_unlinked_notification.html"),
    ),
    (
        "de/identity_unlinked_notification.subject",
        include_str!("../../templates/de/identity_unlinked_notification.subject"),
    ),
    (
        "de/identity_unlinked_notification.txt",
        include_str!("../../templates/de/identity_unlinked_notification.txt"),
    ),
    ("de/invite.html", include_str!("../../templates/de/invite.html")),
    ("de/invite.subject", include_str!("../../templates/de/invite.subject")),
    ("de/invite.txt", include_str!("../../templates/de/invite.txt")),
    ("de/organization_invite.html", include_str!("../../templates/de/organization_invite.html")),
    ("de/organization_invite.subject", include_str!("../../templates/de/organization_invite.subject")),
    ("de/organization_invite.txt", include_str!("../../templates/de/organization_invite.txt")),
    ("de/magic_link.html", include_str!("../../templates/de/magic_link.html")),
    ("de/magic_link.subject", include_str!("../../templates/de/magic_link.subject")),
    ("de/magic_link.txt", include_str!("../../templates/de/magic_link.txt")),
    (
        "de/mfa_factor_enrolled_notification.html",
        include_str!("../../templates/de/mfa_factor_enrolled_notification.html"),
    ),
    (
        "de/mfa_factor_enrolled_notification.subject",
        include_str!("../../templates/de/mfa_factor_enrolled_notification.subject"),
    ),
    (
        "de/mfa_factor_enrolled_notification.txt",
        include_str!("../../templates/de/mfa_factor_enrolled_notification.txt"),
    ),
    (
        "de/mfa_factor_unenrolled_notification.html",
        include_str!("../../templates/de/mfa_factor_unenrolled_notification.html"),
    ),
    (
        "de/mfa_factor_unenrolled_notification.subject",
        include_str!("../../templates/de/mfa_factor_unenrolled_notification.subject"),
    ),
    (
        "de/mfa_factor_unenrolled_notification.txt",
        include_str!("../../templates/de/mfa_factor_unenrolled_notification.txt"),
    ),
    (
        "de/passkey_added_notification.html",
        include_str!("../../templates/de/passkey_added_notification.html"),
    ),
    (
        "de/passkey_added_notification.subject",
        include_str!("../../templates/de/passkey_added_notification.subject"),
    ),
    ("de/passkey_added_notification.txt", include_str!("../../templates/de/passkey_added_notification.txt")),
    (
        "de/passkey_removed_notification.html",
        include_str!("../../templates/de/passkey_removed_notification.html"),
    ),
    (
        "de/passkey_removed_notification.subject",
        include_str!("../../templates/de/passkey_removed_notification.subject"),
    ),
    (
        "de/passkey_removed_notification.txt",
        include_str!("../../templates/de/passkey_removed_notification.txt"),
    ),
    (
        "de/phone_changed_notification.html",
        include_str!("../../templates/de/phone_changed_notification.html"),
    ),
    (
        "de/phone_changed_notification.subject",
        include_str!("../../templates/de/phone_changed_notification.subject"),
    ),
    ("de/phone_changed_notification.txt", include_str!("../../templates/de/phone_changed_notification.txt")),
    (
        "de/password_changed_notification.html",
        include_str!("../../templates/de/password_changed_notification.html"),
    ),
    (
        "de/password_changed_notification.subject",
        include_str!("../../templates/de/password_changed_notification.subject"),
    ),
    (
        "de/password_changed_notification.txt",
        include_str!("../../templates/de/password_changed_notification.txt"),
    ),
    ("de/reauthentication.html", include_str!("../../templates/de/reauthentication.html")),
    ("de/reauthentication.subject", include_str!("../../templates/de/reauthentication.subject")),
    ("de/reauthentication.txt", include_str!("../../templates/de/reauthentication.txt")),
    ("de/recovery.html", include_str!("../../templates/de/recovery.html")),
    ("de/recovery.subject", include_str!("../../templates/de/recovery.subject")),
    ("de/recovery.txt", include_str!("../../templates/de/recovery.txt")),
    (
        "de/sign_in_locked_notification.html",
        include_str!("../../templates/de/sign_in_locked_notification.html"),
    ),
    (
        "de/sign_in_locked_notification.subject",
        include_str!("../../templates/de/sign_in_locked_notification.subject"),
    ),
    (
        "de/sign_in_locked_notification.txt",
        include_str!("../../templates/de/sign_in_locked_notification.txt"),
    ),
    ("de/test.html", include_str!("../../templates/de/test.html")),
    ("de/test.subject", include_str!("../../templates/de/test.subject")),
    ("de/test.txt", include_str!("../../templates/de/test.txt")),
    ("en/account_exists.html", include_str!("../../templates/en/account_exists.html")),
    ("en/account_exists.subject", include_str!("../../templates/en/account_exists.subject")),
    ("en/account_exists.txt", include_str!("../../templates/en/account_exists.txt")),
    ("en/confirmation.html", include_str!("../../templates/en/confirmation.html")),
    ("en/confirmation.subject", include_str!("../../templates/en/confirmation.subject")),
    ("en/confirmation.txt", include_str!("../../templates/en/confirmation.txt")),
    ("en/email_change.html", include_str!("../../templates/en/email_change.html")),
    ("en/email_change.subject", include_str!("../../templates/en/email_change.subject")),
    ("en/email_change.txt", include_str!("../../templates/en/email_change.txt")),
    (
        "en/email_changed_notification.html",
        include_str!("../../templates/en/email_changed_notification.html"),
    ),
    (
        "en/email_changed_notification.subject",
        include_str!("../../templates/en/email_changed_notification.subject"),
    ),
    ("en/email_changed_notification.txt", include_str!("../../templates/en/email_changed_notification.txt")),
    (
        "en/identity_linked_notification.html",
        include_str!("../../templates/en/identity_linked_notification.html"),
    ),
    (
        "en/identity_linked_notification.subject",
        include_str!("../../templates/en/identity_linked_notification.subject"),
    ),
    (
        "en/identity_linked_notification.txt",
        include_str!("../../templates/en/identity_linked_notification.txt"),
    ),
    (
        "en/identity_unlinked_notification.html",
        include_str!("../../templates/en/identity_unlinked_notification.html"),
    ),
    (
        "en/identity_unlinked_notification.subject",
        include_str!("../../templates/en/identity_unlinked_notification.subject"),
    ),
    (
        "en/identity_unlinked_notification.txt",
        include_str!("../../templates/en/identity_unlinked_notification.txt"),
    ),
    ("en/invite.html", include_str!("../../templates/en/invite.html")),
    ("en/invite.subject", include_str!("../../templates/en/invite.subject")),
    ("en/invite.txt", include_str!("../../templates/en/invite.txt")),
    ("en/organization_invite.html", include_str!("../../templates/en/organization_invite.html")),
    ("en/organization_invite.subject", include_str!("../../templates/en/organization_invite.subject")),
    ("en/organization_invite.txt", include_str!("../../templates/en/organization_invite.txt")),
    ("en/magic_link.html", include_str!("../../templates/en/magic_link.html")),
    ("en/magic_link.subject", include_str!("../../templates/en/magic_link.subject")),
    ("en/magic_link.txt", include_str!("../../templates/en/magic_link.txt")),
    (
        "en/mfa_factor_enrolled_notification.html",
        include_str!("../../templates/en/mfa_factor_enrolled_notification.html"),
    ),
    (
        "en/mfa_factor_enrolled_notification.subject",
        include_str!("../../templates/en/mfa_factor_enrolled_notification.subject"),
    ),
    (
        "en/mfa_factor_enrolled_notification.txt",
        include_str!("../../templates/en/mfa_factor_enrolled_notification.txt"),
    ),
    (
        "en/mfa_factor_unenrolled_notification.html",
        include_str!("../../templates/en/mfa_factor_unenrolled_notification.html"),
    ),
    (
        "en/mfa_factor_unenrolled_notification.subject",
        include_str!("../../templates/en/mfa_factor_unenrolled_notification.subject"),
    ),
    (
        "en/mfa_factor_unenrolled_notification.txt",
        include_str!("../../templates/en/mfa_factor_unenrolled_notification.txt"),
    ),
    (
        "en/passkey_added_notification.html",
        include_str!("../../templates/en/passkey_added_notification.html"),
    ),
    (
        "en/passkey_added_notification.subject",
        include_str!("../../templates/en/passkey_added_notification.subject"),
    ),
    ("en/passkey_added_notification.txt", include_str!("../../templates/en/passkey_added_notification.txt")),
    (
        "en/passkey_removed_notification.html",
        include_str!("../../templates/en/passkey_removed_notification.html"),
    ),
    (
        "en/passkey_removed_notification.subject",
        include_str!("../../templates/en/passkey_removed_notification.subject"),
    ),
    (
        "en/passkey_removed_notification.txt",
        include_str!("../../templates/en/passkey_removed_notification.txt"),
    ),
    (
        "en/phone_changed_notification.html",
        include_str!("../../templates/en/phone_changed_notification.html"),
    ),
    (
        "en/phone_changed_notification.subject",
        include_str!("../../templates/en/phone_changed_notification.subject"),
    ),
    ("en/phone_changed_notification.txt", include_str!("../../templates/en/phone_changed_notification.txt")),
    (
        "en/password_changed_notification.html",
        include_str!("../../templates/en/password_changed_notification.html"),
    ),
    (
        "en/password_changed_notification.subject",
        include_str!("../../templates/en/password_changed_notification.subject"),
    ),
    (
        "en/password_changed_notification.txt",
        include_str!("../../templates/en/password_changed_notification.txt"),
    ),
    ("en/reauthentication.html", include_str!("../../templates/en/reauthentication.html")),
    ("en/reauthentication.subject", include_str!("../../templates/en/reauthentication.subject")),
    ("en/reauthentication.txt", include_str!("../../templates/en/reauthentication.txt")),
    ("en/recovery.html", include_str!("../../templates/en/recovery.html")),
    ("en/recovery.subject", include_str!("../../templates/en/recovery.subject")),
    ("en/recovery.txt", include_str!("../../templates/en/recovery.txt")),
    (
        "en/sign_in_locked_notification.html",
        include_str!("../../templates/en/sign_in_locked_notification.html"),
    ),
    (
        "en/sign_in_locked_notification.subject",
        include_str!("../../templates/en/sign_in_locked_notification.subject"),
    ),
    (
        "en/sign_in_locked_notification.txt",
        include_str!("../../templates/en/sign_in_locked_notification.txt"),
    ),
    ("en/test.html", include_str!("../../templates/en/test.html")),
    ("en/test.subject", include_str!("../../templates/en/test.subject")),
    ("en/test.txt", include_str!("../../templates/en/test.txt")),
];
