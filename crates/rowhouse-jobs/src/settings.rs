//! `[jobs]`: background jobs, and the queues, kinds and schedules that a project declares.

use std::time::Duration;

use rowhouse_kernel::settings::{
    Check, Entry, Fields, Findings, Given, Named, SHORTEST_SECRET, Settings, is_plain_name,
};
use rowhouse_kernel::{Secret, settings, words};
use serde_json::{Map, Value};

use crate::cron::{Cron, CronError};
use crate::outbound::is_open_line;

settings! {
    /// Background jobs. Queues, kinds and schedules are tables of their own: `[jobs.queues.NAME]`, `[jobs.kinds."room.verb"]`, `[jobs.schedules.NAME]`; `docs/jobs.md` lists their keys.
    pub struct JobsSettings in "jobs" {
        /// Whether this process runs jobs and fires schedules. Enqueueing works either way.
        pub workers: bool = true,
        /// Jobs that this process runs at once.
        pub concurrency: u16 as "jobs" = 50,
        /// How long it is remembered that a job has ended well.
        pub keep_done: Duration = Duration::from_secs(3 * 86_400),
        /// How long results are kept.
        pub keep_results: Duration = Duration::from_secs(7 * 86_400),
        /// How long the log lines and the progress of jobs are kept.
        pub keep_log: Duration = Duration::from_secs(7 * 86_400),
        /// How long dead and cancelled jobs are kept; until then they can be run again.
        pub keep_dead: Duration = Duration::from_secs(30 * 86_400),
        /// Whether HTTP handlers and `mail.webhook_url` may live at private addresses: loopback, link-local, 10.0.0.0/8 and their like. `up` in development allows it unless this says otherwise.
        pub allow_private_urls: bool = false,
        /// Queues by name, with their limits.
        pub queues: Named<QueueSettings> = Named::default(),
        /// Kinds of jobs that a service or a function of yours runs, by name.
        pub kinds: Named<KindSettings> = Named::default(),
        /// What is enqueued again and again, by name.
        pub schedules: Named<ScheduleSettings> = Named::default(),
    }
}

/// A queue's limits, kept over all processes; none where missing.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSettings {
    /// Whether it rests; missing: as somebody has left it.
    pub paused: Option<bool>,
    /// Jobs running at once.
    pub concurrency: Option<u32>,
    /// Jobs of one tenant running at once.
    pub tenant_concurrency: Option<u32>,
    /// Jobs of one key running at once.
    pub key_concurrency: u32,
    /// Starts a second.
    pub rate: Option<f64>,
    /// Starts a second for one tenant.
    pub tenant_rate: Option<f64>,
    /// Starts a second for one key.
    pub key_rate: Option<f64>,
}

impl Entry for QueueSettings {
    fn read(fields: &mut Fields<'_>) -> Self {
        if !is_plain_name(fields.name()) {
            fields.refuse("", "a queue's name has up to 63 of a-z, 0-9, _, . and -, the first a letter");
        }
        let queue = Self {
            paused: fields.read("paused", None),
            concurrency: fields.read("concurrency", None),
            tenant_concurrency: fields.read("tenant_concurrency", None),
            key_concurrency: fields.read("key_concurrency", 1),
            rate: fields.read("rate", None),
            tenant_rate: fields.read("tenant_rate", None),
            key_rate: fields.read("key_rate", None),
        };
        for (key, most) in [
            ("concurrency", queue.concurrency),
            ("tenant_concurrency", queue.tenant_concurrency),
            ("key_concurrency", Some(queue.key_concurrency)),
        ] {
            if most.is_some_and(|most| most == 0 || i32::try_from(most).is_err()) {
                fields.refuse(key, "must be 1 or more; `paused = true` stops a queue");
            }
        }
        for (key, rate) in
            [("rate", queue.rate), ("tenant_rate", queue.tenant_rate), ("key_rate", queue.key_rate)]
        {
            if rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e9)) {
                fields.refuse(key, "must be more than 0 starts a second");
            }
        }
        queue
    }
}

words! {
    /// Who runs jobs of a declared kind.
    pub enum KindHandler {
        /// A service of the project, by a signed POST.
        Http = "http",
        /// A function of the project, in the transaction that completes the job.
        Sql = "sql",
    }
}

/// A kind of job that a service or a function of the project runs.
#[derive(Debug, Clone, PartialEq)]
pub struct KindSettings {
    /// How it is reached.
    pub handler: KindHandler,
    /// Where the POST goes; empty for a function.
    pub url: String,
    /// What the POST is signed with: `whsec_` and base64, or text.
    pub secret: Option<Secret>,
    /// Which function is called, as `jobs.allow_function` names it; empty for a service.
    pub function: String,
    /// How long one run may take.
    pub timeout: Duration,
    /// Runs before a job is dead.
    pub max_attempts: u16,
    /// Pause after the first failure.
    pub backoff: Duration,
    /// What the pause is multiplied by after each further failure, in percent.
    pub growth: u16,
    /// The longest pause.
    pub max_backoff: Duration,
    /// Processes of an older release leave such jobs alone.
    pub min_release: String,
    /// Runs at once in one process.
    pub concurrency: Option<u16>,
}

impl Entry for KindSettings {
    const SECRET: bool = true;

    fn read(fields: &mut Fields<'_>) -> Self {
        if !is_kind_name(fields.name()) {
            fields.refuse(
                "",
                "a kind's name is like \"room.verb\": up to 100 of a-z, 0-9 and _, with dots between",
            );
        }
        let handler = fields.read("handler", KindHandler::Http);
        let (url, secret, function) = match handler {
            KindHandler::Http => {
                (fields.require("url"), fields.secret("secret", "secret_file"), String::new())
            }
            KindHandler::Sql => (String::new(), None, fields.require("function")),
        };
        let kind = Self {
            handler,
            url,
            secret,
            function,
            timeout: fields.read("timeout", Duration::from_secs(30)),
            max_attempts: fields.read("max_attempts", 20),
            backoff: fields.read("backoff", Duration::from_secs(2)),
            growth: fields.read("growth", 200),
            max_backoff: fields.read("max_backoff", Duration::from_secs(2 * 3600)),
            min_release: fields.read("min_release", "0".to_owned()),
            concurrency: fields.read("concurrency", None),
        };
        kind.check(fields);
        kind
    }
}

impl KindSettings {
    fn check(&self, fields: &mut Fields<'_>) {
        let (shortest, longest) = (Duration::from_millis(10), Duration::from_secs(86_400));
        match self.handler {
            KindHandler::Http => self.check_service(fields),
            KindHandler::Sql => self.check_function(fields),
        }
        if !(shortest..=longest).contains(&self.timeout) {
            fields.refuse("timeout", "must be 10ms to 1d");
        }
        if !(1..=1000).contains(&self.max_attempts) {
            fields.refuse("max_attempts", "must be 1 to 1000");
        }
        if !(100..=10_000).contains(&self.growth) {
            fields.refuse("growth", "must be 100 to 10000 percent");
        }
        for (key, pause) in [("backoff", self.backoff), ("max_backoff", self.max_backoff)] {
            if pause.is_zero() || pause > 30 * longest {
                fields.refuse(key, "must be longer than nothing and at most 30d");
            }
        }
        if self.concurrency == Some(0) {
            fields.refuse("concurrency", "must be 1 or more; a queue can be paused");
        }
        let parts = self.min_release.split('.');
        if self.min_release.split('.').count() > 4
            || !parts.into_iter().all(|part| part.parse::<u16>().is_ok())
        {
            fields.refuse("min_release", "expected a version such as \"1.4\"");
        }
    }

    fn check_service(&self, fields: &mut Fields<'_>) {
        let address = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        if !fields.is_wrong("url") && address.is_none_or(str::is_empty) {
            fields.refuse("url", "expected http:// or https:// and an address");
        }
        if self.secret.is_none() && !fields.is_wrong("secret") {
            fields.refuse("secret", "not set; the receiver knows by it that a job is from here");
        }
    }

    /// Whether there is such a function, and whether it is allowed, only the database knows.
    fn check_function(&self, fields: &mut Fields<'_>) {
        let (schema, name) = self.function.split_once('.').unwrap_or_default();
        if !fields.is_wrong("function") && (schema.is_empty() || name.is_empty() || name.contains('\0')) {
            fields.refuse("function", "expected a function with its schema, such as \"public.bump\"");
        }
    }
}

words! {
    /// What becomes of times that passed while nobody could fire.
    #[derive(Default)]
    pub enum Missed {
        /// Nothing, if the last is over a minute ago.
        Skip = "skip",
        /// One job, however many times there were.
        #[default]
        Once = "once",
        /// One job each, up to a hundred.
        All = "all",
    }
}

/// What is enqueued again and again.
#[derive(Debug, Clone)]
pub struct ScheduleSettings {
    /// When; `None` only where that was a mistake.
    pub cron: Option<Cron>,
    /// As it was written.
    pub pattern: String,
    /// The zone as it was written.
    pub timezone: String,
    /// What is enqueued.
    pub kind: String,
    /// The job's payload.
    pub payload: Map<String, Value>,
    /// Where to.
    pub queue: String,
    /// What becomes of times that passed while nobody could fire.
    pub missed: Missed,
    /// Each firing is put off by a random part of this.
    pub jitter: Duration,
    /// Whether it rests.
    pub paused: bool,
}

impl Entry for ScheduleSettings {
    fn read(fields: &mut Fields<'_>) -> Self {
        if !is_plain_name(fields.name()) {
            fields.refuse("", "a schedule's name has up to 63 of a-z, 0-9, _, . and -, the first a letter");
        }
        let pattern: String = fields.require("cron");
        let timezone = fields.read("timezone", "UTC".to_owned());
        let cron = cron(fields, &pattern, &timezone);
        let kind: String = fields.require("kind");
        if !fields.is_wrong("kind") && !is_kind_name(&kind) {
            fields.refuse("kind", "expected the name of a kind, such as \"room.verb\"");
        }
        let jitter = fields.read("jitter", Duration::ZERO);
        if jitter > Duration::from_secs(86_400) {
            fields.refuse("jitter", "must not exceed 1d");
        }
        Self {
            cron,
            pattern,
            timezone,
            kind,
            payload: fields.object("payload"),
            queue: fields.read("queue", "default".to_owned()),
            missed: fields.read("missed", Missed::default()),
            jitter,
            paused: fields.read("paused", false),
        }
    }
}

/// Reads pattern and zone; each mistake is noted under its own key, also when both are wrong.
fn cron(fields: &mut Fields<'_>, pattern: &str, timezone: &str) -> Option<Cron> {
    let note = |fields: &mut Fields<'_>, error: CronError| {
        let key = if matches!(error, CronError::Zone(_)) { "timezone" } else { "cron" };
        if !fields.is_wrong(key) {
            fields.refuse(key, &error.to_string());
        }
    };
    match Cron::parse(pattern, timezone) {
        Ok(cron) => Some(cron),
        Err(error) => {
            note(fields, error);
            Cron::parse(pattern, "UTC").err().into_iter().for_each(|error| note(fields, error));
            None
        }
    }
}

/// As `jobs.kinds` checks it.
fn is_kind_name(name: &str) -> bool {
    let part = |(place, part): (usize, &str)| {
        let first = part.bytes().next();
        first.is_some_and(|b| b.is_ascii_lowercase() || place > 0 && (b.is_ascii_digit() || b == b'_'))
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    name.len() <= 100 && name.contains('.') && name.split('.').enumerate().all(part)
}

impl Check for JobsSettings {
    const REFUSED: &'static [(&'static str, &'static str)] = &[
        ("kinds", "a handler whose secret has fewer than 32 characters"),
        ("kinds", "a handler with `http:` to another machine"),
    ];

    fn development(&mut self, given: &Given<'_>) {
        if given.is_default("allow_private_urls") {
            self.allow_private_urls = true;
        }
    }

    fn check(&self, findings: &mut Findings<'_>) {
        for (key, span) in [
            ("keep_done", self.keep_done),
            ("keep_results", self.keep_results),
            ("keep_log", self.keep_log),
            ("keep_dead", self.keep_dead),
        ] {
            findings.positive_span(key, span);
        }
        self.queues.report("queues", findings);
        self.kinds.report("kinds", findings);
        self.schedules.report("schedules", findings);
        if self.concurrency == 0 {
            findings.refuse("concurrency", "must be 1 or more; `workers = false` runs none");
        }
    }

    /// Handlers whose requests somebody could sign in our place, or read on their way.
    fn production(&self, _all: &Settings, findings: &mut Findings<'_>) {
        for (name, kind) in self.kinds.iter() {
            let secret = kind.secret.as_ref().map(Secret::expose);
            if secret.is_some_and(|secret| secret.chars().count() < SHORTEST_SECRET) {
                let why = format!("shorter than {SHORTEST_SECRET} characters");
                findings.refuse(&format!("kinds.\"{name}\".secret"), why);
            }
            if is_open_line(&kind.url) {
                let why = "http: to another machine than this: anybody in between could read and answer";
                findings.refuse(&format!("kinds.\"{name}\".url"), why);
            }
        }
    }
}

#[cfg(test)]
mod tests;
