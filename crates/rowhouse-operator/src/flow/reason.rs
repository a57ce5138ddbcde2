//! Why something is done, as a person has written it.

/// Longest reason, in characters, as the tables have it.
pub(crate) const MAX_REASON: usize = 500;

/// The text without space around it, if it is one.
pub(crate) fn read(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=MAX_REASON).contains(&text.chars().count()) && !text.contains('\0');
    if fits { Ok(text.to_owned()) } else { Err(format!("reason: 1 to {MAX_REASON} characters")) }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn reason_has_letters_and_an_end() {
        assert_eq!(read("  because ").unwrap(), "because");
        for text in ["", "  ", "a\0b", &"x".repeat(501)] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
