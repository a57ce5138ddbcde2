//! Messages to phones: Twilio, a webhook, or a sink for development deliver them. Leaves codes, and what is stored of them,
//! to `flow/phone_code.rs`.

mod twilio;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::counter;
use rowhouse_db::{Control, Transaction};
use rowhouse_http::limit::Rates;
use rowhouse_jobs::outbound::{Message as Post, Outbound, OutboundResponse, SendError};
use rowhouse_kernel::{Secret, SharedClock, SharedRng};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use crate::fault::Fault;
use crate::pace::Pace;
use crate::phone::Channel;
use crate::request::Client;
use crate::settings::{SmsProvider, SmsSettings};
use crate::sms_limit::{SmsKind, SmsLimit, TooManyMessages};
use crate::store::captured_message::{self, NewMessage};

/// Most messages that are sent after their answer at a time.
const MOST_DETACHED: usize = 64;
/// Time between two warnings of messages beyond the total limit: a flood must not fill the log as well.
const WARNING_GAP: Duration = Duration::from_mins(1);

/// Why a message is not delivered. The texts are for the log, and name neither number nor code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SmsError {
    /// The template has no place for the code, or the provider lacks a setting.
    #[error("auth_sms is not complete: {0}")]
    Settings(&'static str),
    #[error("the provider does not answer")]
    NoAnswer(#[source] SendError),
    #[error("the provider answers {0}")]
    Refused(String),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    /// The number, without plus sign.
    pub(crate) phone: &'a str,
    pub(crate) text: &'a str,
    /// The code in the text.
    pub(crate) code: &'a Secret,
    pub(crate) channel: Channel,
}

/// Sends messages to phones.
#[derive(Debug)]
pub(crate) struct Sms {
    pub(crate) settings: SmsSettings,
    pub(crate) limit: SmsLimit,
    /// Of requests that send a message whoever asks.
    pub(crate) pace: Pace,
    /// When a message beyond the total limit was logged last.
    warned: Mutex<Option<OffsetDateTime>>,
    places: Arc<Semaphore>,
    outbound: Outbound,
    control: Control,
    clock: SharedClock,
    rng: SharedRng,
}

impl Sms {
    pub(crate) fn new(
        settings: SmsSettings,
        outbound: Outbound,
        control: Control,
        rates: &Rates,
        (clock, rng): (SharedClock, SharedRng),
    ) -> Self {
        let limit = SmsLimit::new(&settings, rates);
        let places = Arc::new(Semaphore::new(MOST_DETACHED));
        let (pace, warned) = (Pace::default(), Mutex::default());
        Self { settings, limit, pace, warned, places, outbound, control, clock, rng }
    }

    /// Whether messages can go by WhatsApp, too: a hook that sends them itself takes any channel.
    pub(crate) fn serves_whatsapp(&self, is_hooked: bool) -> bool {
        is_hooked || self.settings.provider == SmsProvider::Twilio
    }

    /// Hands a message to the provider. Returns the provider's id of it, if it has one.
    pub(crate) async fn send(
        &self,
        message: Message<'_>,
        client: &Client,
    ) -> Result<Option<String>, SmsError> {
        match self.settings.provider {
            SmsProvider::Sink => self.keep(message, client).await,
            SmsProvider::Twilio => twilio::send(&self.settings, &self.outbound, &*self.clock, message).await,
            SmsProvider::Webhook => self.post(message, client).await,
        }
    }

    /// Refuses in a restored copy, whose mails rest as well.
    pub(crate) async fn require_original(&self, client: &Client) -> Result<(), Fault> {
        let find = async move |tx: &Transaction<'_>| {
            let sql = "select copy_of from rowhouse.backup_state where copy_of is not null";
            let row = tx.query_opt(sql, &[]).await?;
            Ok(row.map(|row| row.get::<_, String>(0)))
        };
        let copy_of = self.control.run_tx::<_, Fault>(&client.operation("auth.find_copy"), find).await?;
        copy_of.map_or(Ok(()), |backup| Err(Fault::Copy(backup)))
    }

    /// Counts a message that is about to be sent. One beyond the total limit is dropped, often after the answer to its
    /// request, so that the log and the metric are the only places where it shows.
    pub(crate) async fn count(&self, kind: SmsKind) -> Result<(), TooManyMessages> {
        let counted = self.limit.check_total(kind).await;
        if let Err(limited) = &counted {
            counter!("rowhouse_auth_messages_total", "outcome" => "limited").increment(1);
            if self.may_warn() {
                tracing::warn!(
                    kind = kind.as_str(),
                    retry_after = limited.retry_after.as_secs(),
                    "messages to phones are dropped: there were auth_sms.total_rate_per_hour within the hour"
                );
            }
        }
        counted
    }

    fn may_warn(&self) -> bool {
        let (now, mut last) = (self.clock.now(), self.warned.lock().unwrap_or_else(PoisonError::into_inner));
        let is_due = last.is_none_or(|last| now - last >= WARNING_GAP);
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    async fn keep(&self, message: Message<'_>, client: &Client) -> Result<Option<String>, SmsError> {
        let now = self.clock.now();
        let new = NewMessage {
            phone: message.phone.to_owned(),
            channel: message.channel.as_str(),
            body: message.text.to_owned(),
        };
        let work = async move |tx: &Transaction<'_>| captured_message::insert(tx, &new, now).await;
        let id = self.control.run_tx::<_, Fault>(&client.operation("auth.capture_message"), work).await?;
        Ok(Some(id.to_string()))
    }

    /// One attempt: a repetition could deliver the message twice.
    async fn post(&self, message: Message<'_>, client: &Client) -> Result<Option<String>, SmsError> {
        let (Some(url), Some(secret)) = (&self.settings.webhook_url, &self.settings.webhook_secret) else {
            return Err(SmsError::Settings("webhook_url and webhook_secret"));
        };
        let body = json!({
            "phone": message.phone,
            "channel": message.channel.as_str(),
            "text": message.text,
            "otp": message.code.expose(),
        });
        let post = Post {
            url,
            id: &rowhouse_kernel::new_id(&*self.clock, &*self.rng).to_string(),
            body: body.to_string().into_bytes(),
            secret,
            request_id: client.origin.request_id.as_deref(),
            timeout: self.settings.timeout,
        };
        read(&self.outbound.send(post, &*self.clock).await.map_err(SmsError::NoAnswer)?)
    }

    /// Runs `work` after the answer to its request, which then tells nothing of it. Refused while too many run; whether they
    /// do must not depend on what `work` would find.
    pub(crate) fn detach(&self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), Fault> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Fault::Busy)?;
        tokio::spawn(async move {
            work.await;
            drop(place);
        });
        Ok(())
    }
}

/// The answer of a webhook: any of success, with `{"message_id": "…"}` if it likes.
fn read(answer: &OutboundResponse) -> Result<Option<String>, SmsError> {
    if !(200..300).contains(&answer.status) {
        return Err(SmsError::Refused(answer.status.to_string()));
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok(body["message_id"].as_str().map(str::to_owned))
}
