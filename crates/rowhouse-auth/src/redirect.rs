//! Where answers may be redirected to: the site's own URL and the list `auth.redirect_urls`.
//!
//! A pattern is matched part by part, so that a wildcard in one part never reaches into another: `**` in a host does
//! not match a slash, and one in a path does not match a host.

use url::Url;

/// The targets that are allowed.
#[derive(Debug, Clone)]
pub(crate) struct RedirectTargets {
    site: String,
    patterns: Vec<Pattern>,
}

/// A URL with wildcards: `*` for a run of characters other than `.` and `/`, `**` for any run, `?` for one character.
/// Without a path it stands for the path `/`, or for any if its host ends in `**`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    scheme: String,
    authority: String,
    rest: String,
}

impl RedirectTargets {
    /// The site's URL, which is the default and whose paths are all allowed, and patterns of others.
    pub(crate) fn new(site: &str, patterns: &[String]) -> Self {
        let patterns = patterns.iter().filter_map(|text| Pattern::parse(text)).collect();
        Self { site: site.to_owned(), patterns }
    }

    /// The first of `asked` that is given and allowed, else the site's URL.
    pub(crate) fn choose(&self, asked: [Option<&str>; 2]) -> String {
        let allowed = |text: &&str| !text.is_empty() && self.allows(text);
        asked.into_iter().flatten().find(allowed).unwrap_or(&self.site).to_owned()
    }

    /// Whether `target` is a URL of the site or matches a pattern.
    pub(crate) fn allows(&self, target: &str) -> bool {
        let is_plain = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let parsed = Url::parse(target).ok().filter(|url| is_plain && !has_user(url));
        let Some(url) = parsed else { return false };
        self.is_of_site(&url) || self.patterns.iter().any(|pattern| pattern.matches(&url))
    }

    fn is_of_site(&self, url: &Url) -> bool {
        let has_origin = matches!(url.scheme(), "http" | "https");
        has_origin && Url::parse(&self.site).is_ok_and(|site| site.origin() == url.origin())
    }
}

/// `https://good.example@evil.example/` shows one host and leads to the other.
fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

impl Pattern {
    /// `None` if it has no scheme.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let rest = match rest {
            "" if authority.ends_with("**") => "/**",
            "" => "/",
            rest => rest,
        };
        Some(Self {
            scheme: scheme.to_ascii_lowercase(),
            authority: authority.to_ascii_lowercase(),
            rest: rest.to_owned(),
        })
    }

    fn matches(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let authority = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let path = if url.path().is_empty() { "/" } else { url.path() };
        let rest = url.query().map_or(path.to_owned(), |query| format!("{path}?{query}"));
        self.scheme == url.scheme()
            && glob(self.authority.as_bytes(), authority.as_bytes())
            && glob(self.rest.as_bytes(), rest.as_bytes())
    }
}

/// Whether `text` matches `pattern`. The time is bounded by the product of both lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    // reachable[i]: the pattern up to here matches text[..i]
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    let mut rest = pattern;
    while let Some((&byte, tail)) = rest.split_first() {
        let is_deep = byte == b'*' && tail.first() == Some(&b'*');
        rest = if is_deep { &tail[1..] } else { tail };
        match byte {
            b'*' => extend(&mut reachable, text, is_deep),
            _ => advance(&mut reachable, text, byte),
        }
    }
    reachable[text.len()]
}

/// A run of characters, of any kind if it is deep.
fn extend(reachable: &mut [bool], text: &[u8], is_deep: bool) {
    for at in 0..text.len() {
        if reachable[at] && (is_deep || !is_separator(text[at])) {
            reachable[at + 1] = true;
        }
    }
}

/// One character.
fn advance(reachable: &mut [bool], text: &[u8], wanted: u8) {
    for at in (0..text.len()).rev() {
        let fits =
            if wanted == b'?' { !is_separator(text[at]) || text[at] == b'?' } else { text[at] == wanted };
        reachable[at + 1] = reachable[at] && fits;
    }
    reachable[0] = false;
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'.' | b'/')
}

#[cfg(test)]
mod tests {
    use super::RedirectTargets;

    fn allows(pattern: &str, target: &str) -> bool {
        RedirectTargets::new("https://app.example", &[pattern.to_owned()]).allows(target)
    }

    #[test]
    fn wildcards_stay_in_their_part() {
        for (pattern, target) in [
            ("https://*.shop.example", "https://a.shop.example/"),
            ("https://*.shop.example/**", "https://a.shop.example/b/c?d=e"),
            ("https://shop.example/*", "https://shop.example/welcome"),
            ("http://localhost:*/**", "http://localhost:5173/auth/callback"),
            ("https://shop.example/a?b", "https://shop.example/a?b"),
            ("myapp://**", "myapp://login/callback"),
            ("https://**", "https://any.where.example/"),
        ] {
            assert!(allows(pattern, target), "{pattern} {target}");
        }
        for (pattern, target) in [
            ("https://*.shop.example", "https://a.b.shop.example/"),
            ("https://*.shop.example", "https://shop.example/"),
            ("https://**.shop.example/**", "https://evil.example/x.shop.example/"),
            ("https://*.shop.example/**", "https://a.shop.example.evil.example/"),
            ("https://shop.example/*", "https://shop.example/a/b"),
            ("https://shop.example/**", "http://shop.example/a"),
            ("https://shop.example/**", "https://shop.example:8443/a"),
            ("https://shop.example/**", "https://shop.example@evil.example/a"),
            ("https://shop.example/**", "https://shop.example\\@evil.example/a"),
            ("https://shop.example/**", "javascript:alert(1)"),
            ("https://shop.example/**", "https://shop.example/a\r\nSet-Cookie: b=c"),
            ("https://shop.example/**", "//shop.example/a"),
            ("no-scheme/**", "https://shop.example/"),
        ] {
            assert!(!allows(pattern, target), "{pattern} {target}");
        }
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_targets_stay_with_their_pattern(
            pattern in "[a-z*?./:#-]{0,24}", target in "\\PC{0,40}",
            host in "[a-z0-9.@:\\\\/%-]{0,30}", path in "[a-z0-9/.?#%@\\\\-]{0,20}",
        ) {
            let targets = RedirectTargets::new("https://app.example", &[pattern, "https://*.shop.example/**".to_owned()]);
            let _ = targets.allows(&target);
            let _ = targets.choose([Some(&target), None]);
            let own = RedirectTargets::new("https://app.example", &["https://*.shop.example/**".to_owned()]);
            let target = format!("https://{host}/{path}");
            if own.allows(&target) {
                // What browsers make of it.
                let url = url::Url::parse(&target).unwrap();
                let host = url.host_str().unwrap_or_default();
                let label = host.strip_suffix(".shop.example").unwrap_or_default();
                proptest::prop_assert!(host == "app.example" || !label.contains('.') && !label.is_empty(), "{target}");
                proptest::prop_assert!(url.username().is_empty() && url.port().is_none(), "{target}");
            }
        }
    }

    #[test]
    fn site_is_the_default_and_all_its_paths_are_allowed() {
        let targets = RedirectTargets::new("https://app.example/start", &[]);
        assert_eq!(targets.choose([None, None]), "https://app.example/start");
        assert_eq!(targets.choose([Some("https://app.example/x"), None]), "https://app.example/x");
        assert_eq!(targets.choose([Some("https://evil.example"), None]), "https://app.example/start");
        assert_eq!(
            targets.choose([Some("https://evil.example"), Some("https://app.example/y")]),
            "https://app.example/y"
        );
        for target in ["https://app.example.evil.example/", "http://app.example/", "https://app.example:444/"]
        {
            assert!(!targets.allows(target), "{target}");
        }
    }
}
