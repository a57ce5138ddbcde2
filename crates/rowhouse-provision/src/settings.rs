//! `[provisioning]`: what is done for new tenants.

use std::time::Duration;

use rowhouse_auth::HookTarget;
use rowhouse_jobs::outbound::key_mistake;
use rowhouse_kernel::settings::{Check, Findings, Settings, WEAK_SECRET};
use rowhouse_kernel::{Secret, settings};

settings! {
    /// What is done for new tenants, step by step.
    pub struct ProvisionSettings in "provisioning" {
        /// Plan of a new tenant; it has to exist in `tenancy.plans`. Unset: none.
        pub plan: Option<String> = None,
        /// How long a new tenant is in its trial. `0s`: it is active at once.
        pub trial: Duration = Duration::ZERO,
        /// Is called for each new tenant, and when one is rolled back: `pg-functions://postgres/SCHEMA/FUNCTION`, a function from jsonb to jsonb, or an `https://` URL that is sent a signed POST.
        pub hook: Option<String> = None,
        /// Key of the signatures of a hook over HTTP: `v1,whsec_` and base64, or text; 24 to 64 bytes.
        pub hook_secret: Option<Secret> = None,
        /// How long the hook may take.
        pub hook_timeout: Duration = Duration::from_secs(10),
        /// Whether new tenants' owners get a letter.
        pub welcome: bool = true,
        /// Runs of the job before everything is rolled back.
        pub max_attempts: u32 as "runs" = 8,
        /// Pause after the first failed run; it doubles with each further one, up to ten minutes.
        pub backoff: Duration = Duration::from_secs(5),
        /// How long runs are kept whose tenant is gone.
        pub retention: Duration = Duration::from_secs(90 * 86_400),
    }
}

impl ProvisionSettings {
    /// The project's hook, if one is set.
    pub(crate) fn target(&self) -> Option<HookTarget> {
        self.hook.as_deref().and_then(|uri| HookTarget::read(uri).ok())
    }
}

impl Check for ProvisionSettings {
    const REFUSED: &'static [(&'static str, &'static str)] =
        &[("hook", "`http:` to another machine"), ("hook_secret", WEAK_SECRET)];

    fn check(&self, findings: &mut Findings<'_>) {
        findings.span("trial", self.trial);
        findings.positive_span("hook_timeout", self.hook_timeout);
        findings.positive_span("backoff", self.backoff);
        findings.span("retention", self.retention);
        if !(1..=100).contains(&self.max_attempts) {
            findings.refuse("max_attempts", "expected 1 to 100");
        }
        if let Some(mistake) = self.hook_secret.as_ref().and_then(key_mistake) {
            findings.refuse("hook_secret", mistake);
        }
        match self.hook.as_deref().map(HookTarget::read) {
            Some(Err(why)) => findings.refuse("hook", why),
            Some(Ok(HookTarget::Url(_))) if self.hook_secret.is_none() => {
                findings.refuse("hook", "provisioning.hook_secret is not set; the receiver knows by it that a request is from here");
            }
            _ => {}
        }
    }

    fn production(&self, _: &Settings, findings: &mut Findings<'_>) {
        if self.target().is_some_and(|target| target.is_open_line()) {
            findings.refuse("hook", "http: to another machine than this: anybody in between could answer");
        }
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        self.hook_secret.iter().map(|secret| ("hook_secret", secret)).collect()
    }
}
