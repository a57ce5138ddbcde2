//! Names that people have chosen, in letters to others.

/// Longest name that a letter shows, in characters.
const MOST: usize = 60;

/// The name as text that no mail program turns into a link, and that reads as it is written.
#[must_use]
pub fn plain_name(name: &str) -> String {
    let harmless = |c: char| {
        if c.is_control() || "/\\:@<>.".contains(c) || is_direction(c) { ' ' } else { c }
    };
    let text: String = name.chars().map(harmless).take(MOST).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Marks that turn the direction of text around, so that a name reads as something else.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::plain_name;

    #[test]
    fn names_in_letters_hold_no_links_line_breaks_or_turned_text() {
        assert_eq!(plain_name("Acme & Söhne"), "Acme & Söhne");
        assert_eq!(plain_name("Win at https://evil.example/x\r\nnow"), "Win at https evil example x now");
        assert_eq!(plain_name("a\u{202e}b\u{2066}c"), "a b c");
        assert_eq!(plain_name(&"x".repeat(200)).len(), 60);
    }
}
