//! What callers may write: names, slugs and reasons within their bounds.

use time::OffsetDateTime;

use crate::error::TenancyError;

/// Longest name, in characters.
const MAX_NAME: usize = 200;
/// Longest slug, in bytes.
const MAX_SLUG: usize = 63;
/// Longest reason or description, in characters.
const MAX_TEXT: usize = 500;
/// Longest URL, in bytes.
const MAX_URL: usize = 2048;

/// A name of 1 to 200 characters.
pub(crate) fn check_name(name: &str) -> Result<&str, TenancyError> {
    let fits = (1..=MAX_NAME).contains(&name.chars().count());
    if fits { Ok(name) } else { Err(invalid("name: 1 to 200 characters")) }
}

/// Letters, digits and hyphens, as in a host name.
pub(crate) fn check_slug(slug: &str) -> Result<&str, TenancyError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=MAX_SLUG).contains(&slug.len()) && slug.chars().all(is_plain) && !slug.starts_with('-');
    match (fits, uuid::Uuid::try_parse(slug)) {
        (false, _) => Err(invalid("slug: 1 to 63 of a-z, 0-9 and hyphens, no hyphen first")),
        // Commands take either.
        (true, Ok(_)) => Err(invalid("slug: it reads as an id; choose another")),
        (true, Err(_)) => Ok(slug),
    }
}

/// A reason or description of at most 500 characters.
pub(crate) fn check_text<'a>(name: &str, text: &'a str) -> Result<&'a str, TenancyError> {
    let fits = text.chars().count() <= MAX_TEXT;
    if fits { Ok(text) } else { Err(invalid(&format!("{name}: at most 500 characters"))) }
}

/// An absolute address of a web page or picture.
pub(crate) fn check_url<'a>(name: &str, url: &'a str) -> Result<&'a str, TenancyError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control();
    let fits =
        url.len() <= MAX_URL && rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(is_plain));
    if fits {
        Ok(url)
    } else {
        Err(invalid(&format!("{name}: an https or http URL of at most {MAX_URL} bytes")))
    }
}

/// A time that is to come.
pub(crate) fn check_end(end: Option<OffsetDateTime>, now: OffsetDateTime) -> Result<(), TenancyError> {
    if end.is_some_and(|end| end <= now) { Err(invalid("expires_at: not in the future")) } else { Ok(()) }
}

/// The slug that a name suggests.
pub(crate) fn slug_of(name: &str) -> Result<String, TenancyError> {
    let mut slug = String::with_capacity(name.len());
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(MAX_SLUG);
    let slug = slug.trim_end_matches('-').to_owned();
    if slug.is_empty() { Err(invalid("slug: none follows from the name; give one")) } else { Ok(slug) }
}

fn invalid(why: &str) -> TenancyError {
    TenancyError::Invalid(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slug_follows_from_the_name() {
        for (name, slug) in [("Acme Corp.", "acme-corp"), ("  A  b ", "a-b"), ("Büro 7", "b-ro-7")] {
            assert_eq!(slug_of(name).unwrap(), slug);
            assert!(check_slug(slug).is_ok());
        }
        assert!(slug_of("株式会社").is_err());
        assert!(check_slug("00000000-0000-7000-8000-00000000000a").is_err(), "an id");
        assert_eq!(slug_of(&"x".repeat(200)).unwrap().len(), 63);
    }

    #[test]
    fn only_addresses_of_the_web_are_urls() {
        assert!(check_url("u", "https://a.example/x?y=z").is_ok() && check_url("u", "http://a").is_ok());
        let long = format!("https://{}", "x".repeat(2048));
        for url in ["", "https://", "javascript:alert(1)", "data:,x", "//a.example", "https://a b", &long] {
            assert!(check_url("u", url).is_err(), "{url}");
        }
    }

    #[test]
    fn names_and_slugs_out_of_bounds_are_refused() {
        assert!(check_name("").is_err() && check_name(&"x".repeat(201)).is_err());
        assert!(check_name(&"ü".repeat(200)).is_ok());
        for slug in ["", "-a", "A", "a b", "ä", &"x".repeat(64)] {
            assert!(check_slug(slug).is_err(), "{slug}");
        }
    }
}
