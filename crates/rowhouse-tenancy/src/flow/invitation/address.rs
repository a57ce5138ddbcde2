//! The address that is invited, in the form in which accounts have theirs.

use rowhouse_mail::read_mailbox;

use crate::error::TenancyError;

/// Longest address of an account.
const MAX_BYTES: usize = 255;

/// Lower-cases an address and checks that letters can be sent to it; without a name, and in ASCII as accounts' are.
pub(crate) fn read_address(text: &str) -> Result<String, TenancyError> {
    let invalid = || TenancyError::Invalid("email: no mail address".to_owned());
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"(),:;<>[\\]".contains(&byte);
    if text.len() > MAX_BYTES || !text.bytes().all(is_plain) {
        return Err(invalid());
    }
    let mailbox = read_mailbox("email", text).map_err(|_| invalid())?;
    if AsRef::<str>::as_ref(&mailbox.email) != text {
        return Err(invalid());
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::read_address;

    #[test]
    fn addresses_have_the_form_of_those_of_accounts() {
        assert_eq!(read_address("Ada.Lovelace+x@B.example").unwrap(), "ada.lovelace+x@b.example");
        let long = format!("{}@b.example", "a".repeat(250));
        for text in [
            "",
            "ada",
            "ada@",
            "@b.example",
            "Ada <ada@b.example>",
            "ada@b.example\r\nBcc: x@y.example",
            "\"a b\"@b.example",
            "ada@b.example,eve@b.example",
            "ädä@b.example",
            "ada@bücher.example",
            &long,
        ] {
            assert!(read_address(text).is_err(), "{text}");
        }
    }
}
