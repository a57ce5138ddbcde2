//! Phone numbers and the channels by which messages reach them.

/// Digits that E.164 allows.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=15;

/// A number in E.164's form without the plus sign, as GoTrue stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Phone(String);

/// The text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Invalid phone number format (E.164 required)")]
pub(crate) struct PhoneError;

impl Phone {
    /// Reads a number with or without plus sign and spaces.
    pub(crate) fn parse(text: &str) -> Result<Self, PhoneError> {
        let digits = plain(text);
        let is_number = LENGTHS.contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Ok(Self(digits)) } else { Err(PhoneError) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without plus sign and spaces; what is left need not be a number.
pub(crate) fn plain(text: &str) -> String {
    text.strip_prefix('+').unwrap_or(text).replace(' ', "")
}

/// How a message is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Sms,
    WhatsApp,
}

/// There is no such channel, or the provider does not serve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Invalid channel, supported values are 'sms' or 'whatsapp'. 'whatsapp' is only supported if Twilio is used as the provider."
)]
pub(crate) struct ChannelError;

impl Channel {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::WhatsApp => "whatsapp",
        }
    }

    /// The channel of a request; SMS if it names none.
    pub(crate) fn parse(name: Option<&str>, serves_whatsapp: bool) -> Result<Self, ChannelError> {
        match name.unwrap_or_default() {
            "" | "sms" => Ok(Self::Sms),
            "whatsapp" if serves_whatsapp => Ok(Self::WhatsApp),
            _ => Err(ChannelError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stored_without_plus_and_spaces() {
        for text in ["+49 170 1234567", "491701234567", "49 170 1234567"] {
            assert_eq!(Phone::parse(text).map(|phone| phone.0), Ok("491701234567".to_owned()), "{text}");
        }
        let longest = "9".repeat(15);
        assert_eq!(Phone::parse(&longest).map(|phone| phone.0), Ok(longest));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "+", "1", "0170", "++49170", "49-170", "49170a", "٤٩١٧٠", "+49\t170"] {
            assert_eq!(Phone::parse(text), Err(PhoneError), "{text}");
        }
        assert_eq!(Phone::parse(&"9".repeat(16)), Err(PhoneError));
    }

    #[test]
    fn whatsapp_is_a_channel_where_it_is_served() {
        let parse = |name, serves| Channel::parse(name, serves).ok();
        assert_eq!(parse(None, false), Some(Channel::Sms));
        assert_eq!(parse(Some("sms"), true), Some(Channel::Sms));
        assert_eq!(parse(Some("whatsapp"), true), Some(Channel::WhatsApp));
        assert_eq!(parse(Some("whatsapp"), false), None);
        assert_eq!(parse(Some("pigeon"), true), None);
    }
}
