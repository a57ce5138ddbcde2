//! The text of a mail that has only HTML, and the page of one that has only text. Pure.

use mail_parser::decoders::html::html_to_text;

/// Longer HTML is cut off here before it is converted.
const MOST_HTML: usize = 1024 * 1024;

/// Elements whose content is not shown.
const HIDDEN: &[&str] = &["head", "script", "style", "template", "title"];
/// Elements that begin and end a line.
const LINES: &[&str] = &[
    "article",
    "blockquote",
    "br",
    "div",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];
/// Elements whose content is separated by a space.
const CELLS: &[&str] = &["td", "th"];

/// The text, with every link's address after its label.
pub(crate) fn of_html(html: &str) -> String {
    let html = &html[..html.floor_char_boundary(MOST_HTML)];
    let (lower, mut text, mut at, mut open) = (html.to_ascii_lowercase(), String::new(), 0, None);
    while let Some(begin) = lower[at..].find('<').map(|begin| at + begin) {
        text.push_str(&decoded(&html[at..begin]));
        let mark = if lower[begin..].starts_with("<!--") { "-->" } else { ">" };
        let end = lower[begin..].find(mark).map_or(html.len(), |end| begin + end + mark.len());
        let tag = &lower[begin..end];
        let name = name(tag);
        at = end;
        if HIDDEN.contains(&name) && !tag.starts_with("</") {
            at = lower[end..].find(&format!("</{name}")).map_or(html.len(), |close| end + close);
        } else if LINES.contains(&name) {
            text.push('\n');
        } else if CELLS.contains(&name) {
            text.push(' ');
        } else if name == "a" && tag.starts_with("</") {
            text.push_str(
                &open.take().map(|address| format!(" ( {} )", decoded(address))).unwrap_or_default(),
            );
        } else if name == "a" {
            open = address(&html[begin..end], tag).filter(|address| address.contains(':'));
        }
    }
    text.push_str(&decoded(&html[at..]));
    tidy(&text)
}

/// A tag's name, in lower case.
fn name(tag: &str) -> &str {
    let rest = tag.trim_start_matches(['<', '/']);
    &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())]
}

/// Text between tags: entities decoded, white space one space.
fn decoded(piece: &str) -> String {
    let words = html_to_text(piece);
    let space = |is_there| if is_there { " " } else { "" };
    let (before, after) = (piece.starts_with(char::is_whitespace), piece.ends_with(char::is_whitespace));
    match words.trim() {
        "" => space(before).to_owned(),
        words => [space(before), words, space(after)].concat(),
    }
}

/// No space at the ends of lines, and no two empty lines.
fn tidy(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut kept: Vec<String> = Vec::new();
    for line in lines {
        if !line.is_empty() || kept.last().is_some_and(|last| !last.is_empty()) {
            kept.push(line);
        }
    }
    kept.join("\n").trim().to_owned()
}

/// A page that shows a text as it is.
pub(crate) fn page(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<!doctype html><meta charset=\"utf-8\"><pre style=\"white-space: pre-wrap\">{escaped}</pre>")
}

/// The value of href, still with its entities; `lower` is the tag in lower case.
fn address<'t>(tag: &'t str, lower: &str) -> Option<&'t str> {
    let at = lower.find("href")? + "href".len();
    let rest = tag[at..].trim_start().strip_prefix('=')?.trim_start();
    match rest.chars().next()? {
        quote @ ('"' | '\'') => rest[1..].split(quote).next(),
        _ => rest.split([' ', '>', '\n', '\r', '\t']).next(),
    }
}

#[cfg(test)]
mod tests {
    use super::of_html;

    #[test]
    fn text_is_kept_and_hidden_elements_are_left_out() {
        let html = "<html><head><title>t</title><style>p { color: red }</style></head><body><p>Your <b>code</b>:</p>\
                    <p>123&nbsp;456 &amp; more</p><script>alert(1)</script></body></html>";
        let text = of_html(html);
        assert!(text.starts_with("Your code:\n"), "{text}");
        assert!(text.contains("& more") && text.contains("123"), "{text}");
        assert!(!text.contains("alert") && !text.contains("color"), "{text}");
    }

    #[test]
    fn cells_are_separated_and_inline_elements_are_not() {
        for (html, expected) in [
            ("<b>Hi</b> there", "Hi there"),
            ("Your <b>code</b> is <i>4711</i>.", "Your code is 4711."),
            ("a<br>b<br/>c", "a\nb\nc"),
            ("<tr><td>a</td><td>b</td></tr>", "a b"),
            ("<p>a\n  b</p>\n\n<p>c</p>", "a b\n\nc"),
            ("x<!-- <p>no</p> -->y", "xy"),
            ("a < b", "a"),
            ("", ""),
        ] {
            assert_eq!(of_html(html), expected, "{html}");
        }
    }

    #[test]
    fn addresses_of_links_follow_their_text() {
        let html = "<p><a class=\"b\" href=\"https://x.example/a?b=1&amp;c=2\">Confirm</a> or <a href='mailto:a@x.example'>write</a> \
                    or <A HREF=https://y.example/ >look</A> or <a href=\"#top\">go up</a></p><a href";
        let text = of_html(html);
        for part in [
            "Confirm ( https://x.example/a?b=1&c=2 )",
            "write ( mailto:a@x.example )",
            "look ( https://y.example/ )",
            "go up",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("#top"), "{text}");
    }
}
