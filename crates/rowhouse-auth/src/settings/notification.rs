//! `[auth]`, letters that tell users what was changed.

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Findings};

settings! {
    /// Letters about changes of an account, to its confirmed address.
    pub struct NotificationSettings in "auth" {
        /// Whether users are told that their password was changed.
        pub mailer_notifications_password_changed_enabled: bool = false,
        /// Whether the former address is told that it was changed.
        pub mailer_notifications_email_changed_enabled: bool = false,
        /// Whether users are told that an identity was linked.
        pub mailer_notifications_identity_linked_enabled: bool = false,
        /// Whether users are told that an identity was unlinked.
        pub mailer_notifications_identity_unlinked_enabled: bool = false,
        /// Whether users are told that a second factor was added.
        pub mailer_notifications_mfa_factor_enrolled_enabled: bool = false,
        /// Whether users are told that a second factor was removed.
        pub mailer_notifications_mfa_factor_unenrolled_enabled: bool = false,
        /// Whether users are told that a passkey was added.
        pub mailer_notifications_passkey_added_enabled: bool = true,
        /// Whether users are told that a passkey was removed.
        pub mailer_notifications_passkey_removed_enabled: bool = true,
        /// Whether users are told that their number was changed, or that they got one.
        pub mailer_notifications_phone_changed_enabled: bool = true,
        /// Whether users are told that wrong passwords from elsewhere have locked sign-ins, at most once a day.
        pub mailer_notifications_sign_in_locked_enabled: bool = true,
    }
}

impl Check for NotificationSettings {
    fn check(&self, _: &mut Findings<'_>) {}
}
