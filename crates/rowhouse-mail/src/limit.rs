//! Limits on failed SMTP sign-ins per address and name, and on submitted mails per tenant. Counting is left to
//! `rowhouse_http::limit`.

use std::net::IpAddr;
use std::time::Duration;

use rowhouse_http::ServerSettings;
use rowhouse_http::limit::{
    AddressLimit, Charge, LimitName, Quota, RateKey, RateLimited, RateLimiter, RateReport, Rates, Subject,
};
use rowhouse_kernel::TenantId;

use crate::settings::MailSettings;

/// The quota of an address for all names, as a multiple of that for one.
const ALL_NAMES: u32 = 10;
const SIGN_IN: LimitName = LimitName::new("smtp-signin");
const SIGN_IN_OF_NAME: LimitName = LimitName::new("smtp-signin-name");
const SUBMISSION: LimitName = LimitName::new("mail");

/// The limits of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct MailLimits {
    limiter: RateLimiter,
    sign_ins: Quota,
    /// `None` behind a proxy, where all clients have its address.
    addresses: Option<AddressLimit>,
    submissions: Quota,
}

impl MailLimits {
    /// The limits that the settings name.
    #[must_use]
    pub fn new(mail: &MailSettings, server: &ServerSettings, rates: &Rates) -> Self {
        let limiter = rates.limiter();
        let sign_ins = Quota::new(mail.signin_rate_per_5min, Duration::from_mins(5));
        let is_direct = server.client_address_header.as_deref().is_none_or(|header| header == "none");
        let address = || AddressLimit::new(SIGN_IN, sign_ins.times(ALL_NAMES), limiter.clone());
        Self {
            addresses: is_direct.then(address),
            submissions: Quota::new(mail.tenant_submissions_per_minute, Duration::from_mins(1)),
            sign_ins,
            limiter,
        }
    }

    /// Fails after too many failed sign-ins; clients of a Unix socket, which have no address, are not limited.
    pub(crate) async fn look_at_sign_in(
        &self,
        address: Option<IpAddr>,
        name: &str,
    ) -> Result<(), RateLimited> {
        let (Some(address), report) = (address, RateReport::default()) else { return Ok(()) };
        if let Some(all) = &self.addresses {
            all.look(address, &report).await?;
        }
        self.limiter.look(&self.sign_in(address, name), &report).await
    }

    /// Counts a failed sign-in.
    pub(crate) async fn count_failed_sign_in(&self, address: Option<IpAddr>, name: &str) {
        let (Some(address), report) = (address, RateReport::default()) else { return };
        if let Some(all) = &self.addresses {
            let _used_up = all.check(address, &report).await;
        }
        let _used_up = self.limiter.check(&self.sign_in(address, name), &report).await;
    }

    /// Per address and name, so that guesses at a name lock out its owner nowhere else.
    fn sign_in(&self, address: IpAddr, name: &str) -> [Charge; 1] {
        let subject = Subject::key(&format!("{address} {name}"));
        [Charge { key: RateKey { limit: SIGN_IN_OF_NAME, subject }, quota: self.sign_ins }]
    }

    /// Counts a tenant's mail; the platform's mails are not limited.
    pub(crate) async fn take_submission(
        &self,
        tenant: Option<TenantId>,
        report: &RateReport,
    ) -> Result<(), RateLimited> {
        let Some(tenant) = tenant else { return Ok(()) };
        let key = RateKey { limit: SUBMISSION, subject: Subject::Tenant(tenant.0) };
        self.limiter.check(&[Charge { key, quota: self.submissions }], report).await
    }
}

#[cfg(test)]
mod tests;
