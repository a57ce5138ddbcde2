//! The job that looks for the proofs of verified domains again. Owners are told when a proof has gone, and when the domain is lost.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use rowhouse_db::{Control, DbError, Transaction};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobResult};
use rowhouse_kernel::{Operation, SharedClock, SharedRng};
use rowhouse_mail::Mailer;
use serde_json::json;
use tokio_postgres::Client;

use crate::challenge::Proof;
use crate::check::{Checker, Finding};
use crate::claim::Claim;
use crate::error::DomainError;
use crate::flow::Domains;
use crate::letter::{News, ask_postmaster, tell_owners};
use crate::settings::DomainSettings;
use crate::store;

/// Domains of a round, and rounds of a run; the next run checks the rest.
const ROUND: i64 = 100;
const MOST_ROUNDS: u32 = 20;
/// Checks at the same time.
const AT_ONCE: usize = 10;
/// Seconds for which a domain that is being checked is left alone by others.
const REST: f64 = 900.0;

/// What a run has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rechecked {
    /// Domains checked.
    pub checked: u64,
    /// Domains whose proof has gone, for the first time.
    pub failing: u64,
    /// Domains that are not verified any more.
    pub failed: u64,
}

/// Checks what is due.
#[derive(Clone)]
pub struct Rechecks {
    control: Control,
    domains: Domains,
}

impl Rechecks {
    /// With these means.
    #[must_use]
    pub fn new(
        control: Control,
        settings: DomainSettings,
        checker: Checker,
        mailer: Mailer,
        (clock, rng): (SharedClock, SharedRng),
    ) -> Self {
        let (settings, reserved) = (Arc::new(settings), Arc::from([]));
        Self { control, domains: Domains { settings, checker, mailer, clock, rng, reserved } }
    }

    pub(crate) fn of(control: Control, domains: Domains) -> Self {
        Self { control, domains }
    }

    /// Looks for every proof that is due.
    ///
    /// # Errors
    /// The database's.
    pub async fn run_due(&self) -> Result<Rechecked, DbError> {
        let mut all = Rechecked::default();
        for _ in 0..MOST_ROUNDS {
            let take = async |client: &Client| store::take_due(client, REST, ROUND).await;
            let due = self.control.statement(&Operation::system("domains.take_due"), take).await?;
            if due.is_empty() {
                break;
            }
            let checker = &self.domains.checker;
            let checks =
                stream::iter(due).map(|claim| look(checker.clone(), claim)).buffer_unordered(AT_ONCE);
            for (claim, finding) in checks.collect::<Vec<_>>().await {
                let done = self.note(claim, finding).await?;
                all.checked += 1;
                all.failing += u64::from(done == "failing");
                all.failed += u64::from(done == "failed");
            }
        }
        Ok(all)
    }

    async fn note(&self, claim: Claim, finding: Finding) -> Result<String, DbError> {
        let (rechecks, name) = (self.clone(), claim.name.clone());
        let note = async move |tx: &Transaction<'_>| rechecks.note_and_tell(tx, &claim, &finding).await;
        match self.control.run_tx(&Operation::system("domains.note_check"), note).await {
            Ok(done) => Ok(done),
            Err(DomainError::Db(error)) => Err(error),
            // The domain's own trouble must not keep others from being checked.
            Err(error) => {
                tracing::warn!(domain = name, %error, "the check of a domain could not be noted");
                Ok(String::new())
            }
        }
    }

    async fn note_and_tell(
        &self,
        tx: &Transaction<'_>,
        claim: &Claim,
        finding: &Finding,
    ) -> Result<String, DomainError> {
        let done = self.domains.note(tx, claim, finding).await?;
        let news = match done.as_str() {
            "failing" => News::Failing,
            "failed" => News::Failed,
            _ => return Ok(done),
        };
        let Some(now) = store::find_any(tx, claim.id).await? else { return Ok(done) };
        tell_owners(tx, &self.domains.mailer, &now, news).await?;
        if news == News::Failing && claim.proof == Proof::Mail {
            self.ask_again(tx, &now).await?;
        }
        Ok(done)
    }

    async fn ask_again(&self, tx: &Client, claim: &Claim) -> Result<(), DomainError> {
        let Domains { mailer, rng, .. } = &self.domains;
        match ask_postmaster(tx, mailer, &**rng, claim, "The owner").await {
            // The owner can ask for it by naming the domain again once it is lost.
            Err(DomainError::TooSoon(_) | DomainError::TooManyLetters(..) | DomainError::NoMail) => Ok(()),
            asked => asked,
        }
    }
}

async fn look(checker: Checker, claim: Claim) -> (Claim, Finding) {
    let finding = match claim.proof {
        Proof::Mail => Finding::Missing("the letter's code has to be entered again".to_owned()),
        _ => checker.check(&claim).await,
    };
    (claim, finding)
}

impl Handler for Rechecks {
    fn run<'a>(&'a self, _: &'a Job) -> HandlerFuture<'a> {
        Box::pin(async move { run(self).await })
    }
}

async fn run(rechecks: &Rechecks) -> JobResult {
    let done = rechecks.run_due().await.map_err(|error| JobError::Retry(error.to_string()))?;
    let Rechecked { checked, failing, failed } = done;
    Ok(Some(json!({ "checked": checked, "failing": failing, "failed": failed }).into()))
}
