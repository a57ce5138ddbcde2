//! Twilio's Messages API (<https://www.twilio.com/docs/messaging/api/message-resource>).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowhouse_jobs::outbound::{Fetch, Outbound, OutboundResponse};
use rowhouse_kernel::Clock;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use url::form_urlencoded::Serializer;

use super::{Message, SmsError};
use crate::phone::{Channel, Phone};
use crate::settings::SmsSettings;

/// A message as Twilio shows it.
#[derive(Debug, Default, Deserialize)]
struct Shown {
    sid: Option<String>,
    status: Option<String>,
    error_code: Option<i64>,
}

/// An error.
#[derive(Debug, Default, Deserialize)]
struct Failure {
    code: Option<i64>,
}

/// Sends a message. One attempt: a repetition could deliver it twice.
pub(super) async fn send(
    settings: &SmsSettings,
    outbound: &Outbound,
    clock: &dyn Clock,
    message: Message<'_>,
) -> Result<Option<String>, SmsError> {
    let (Some(account), Some(token), Some(sender)) =
        (&settings.twilio_account_sid, &settings.twilio_auth_token, &settings.twilio_sender)
    else {
        return Err(SmsError::Settings("twilio_account_sid, twilio_auth_token and twilio_sender"));
    };
    let credentials = STANDARD.encode(format!("{account}:{}", token.expose()));
    let fetch = Fetch {
        url: &url(&settings.twilio_url, account)?,
        headers: vec![("authorization", format!("Basic {credentials}"))],
        form: Some(form(sender, settings.twilio_content_sid.as_deref(), message)),
        timeout: settings.timeout,
    };
    read(&outbound.fetch(fetch, clock).await.map_err(SmsError::NoAnswer)?)
}

fn url(base: &str, account: &str) -> Result<String, SmsError> {
    let mut url = Url::parse(base).map_err(|_| SmsError::Settings("twilio_url"))?;
    let mut path = url.path_segments_mut().map_err(|()| SmsError::Settings("twilio_url"))?;
    path.pop_if_empty().extend(["2010-04-01", "Accounts", account, "Messages.json"]);
    drop(path);
    Ok(url.into())
}

fn form(sender: &str, content: Option<&str>, message: Message<'_>) -> String {
    let mut form = Serializer::new(String::new());
    let to = format!("+{}", message.phone);
    match message.channel {
        Channel::Sms => {
            form.append_pair("To", &to).append_pair("From", sender).append_pair("Body", message.text);
        }
        Channel::WhatsApp => {
            let is_number = Phone::parse(sender).is_ok();
            let from = if is_number { format!("whatsapp:{sender}") } else { sender.to_owned() };
            form.append_pair("To", &format!("whatsapp:{to}")).append_pair("From", &from);
            match content {
                Some(sid) => {
                    let variables = json!({ "1": message.code.expose() }).to_string();
                    form.append_pair("ContentSid", sid).append_pair("ContentVariables", &variables)
                }
                None => form.append_pair("Body", message.text),
            };
        }
    }
    form.finish()
}

/// The message's SID. Twilio's own texts are left out: they name the number.
fn read(answer: &OutboundResponse) -> Result<Option<String>, SmsError> {
    if !matches!(answer.status, 200 | 201) {
        let failure: Failure = serde_json::from_slice(&answer.body).unwrap_or_default();
        return Err(SmsError::Refused(format!("{}, error {}", answer.status, named(failure.code))));
    }
    let Ok(shown) = serde_json::from_slice::<Shown>(&answer.body) else {
        return Err(SmsError::Refused(format!("{} and no message", answer.status)));
    };
    match shown.status.as_deref() {
        Some(status @ ("failed" | "undelivered")) => {
            Err(SmsError::Refused(format!("{status}, error {}", named(shown.error_code))))
        }
        _ => Ok(shown.sid),
    }
}

fn named(code: Option<i64>) -> String {
    code.map_or_else(|| "unknown".to_owned(), |code| code.to_string())
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::Secret;

    use super::*;

    fn sent(sender: &str, content: Option<&str>, channel: Channel) -> String {
        let code = Secret::new("123456");
        form(sender, content, Message { phone: "491701", text: "Code 123456", code: &code, channel })
    }

    #[test]
    fn form_is_of_the_channel() {
        assert_eq!(sent("MG1", None, Channel::Sms), "To=%2B491701&From=MG1&Body=Code+123456");
        assert_eq!(
            sent("+4930", None, Channel::WhatsApp),
            "To=whatsapp%3A%2B491701&From=whatsapp%3A%2B4930&Body=Code+123456"
        );
        assert_eq!(
            sent("MG1", Some("HX1"), Channel::WhatsApp),
            "To=whatsapp%3A%2B491701&From=MG1&ContentSid=HX1&ContentVariables=%7B%221%22%3A%22123456%22%7D"
        );
    }

    #[test]
    fn account_is_one_segment_of_the_path() {
        let wanted = "http://127.0.0.1:1/2010-04-01/Accounts/AC%2F..%3F1/Messages.json";
        assert_eq!(url("http://127.0.0.1:1/", "AC/..?1").unwrap(), wanted);
        assert!(url("nowhere", "AC1").is_err());
    }

    #[test]
    fn answer_is_a_sid_or_the_number_of_an_error() {
        let read = |status, body: &str| {
            let body = body.as_bytes().to_vec();
            let answer = OutboundResponse { status, retry_after: None, body, is_cut: false };
            read(&answer).map_err(|error| error.to_string())
        };
        assert_eq!(read(201, r#"{"sid": "SM1", "status": "queued"}"#), Ok(Some("SM1".to_owned())));
        let refused = |text: &str| Err(format!("the provider answers {text}"));
        assert_eq!(
            read(400, r#"{"code": 21211, "message": "'To' number +491701"}"#),
            refused("400, error 21211")
        );
        assert_eq!(read(503, "busy"), refused("503, error unknown"));
        assert_eq!(
            read(201, r#"{"sid": "SM1", "status": "failed", "error_code": 30007}"#),
            refused("failed, error 30007")
        );
        assert_eq!(read(200, "hello"), refused("200 and no message"));
    }
}
