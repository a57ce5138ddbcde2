//! Case files: requests and whole answers side by side, as `curl -v` would show them.
//!
//! ```text
//! ## A3.4 What the case shows, after the lines of the check-list that it covers
//! @ as anon               who asks; `authenticated` unless said otherwise
//! @ set max_rows=2        a setting other than the suite's
//! @ first 20              only so many characters of the answer's body count
//! > GET /books?id=eq.1
//! > prefer: count=exact
//! >
//! > the request's body
//! < 200
//! < content-range: 0-0/1
//! <
//! < the answer's body
//! ```
//! Lines that start with `# ` are remarks. `GOLDEN=write cargo test -p rowhouse-rest --test it golden` writes the
//! answers; what it wrote is then to be read, line by line.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

use crate::harness::RouterResponse;

/// One request and the answer it must get.
#[derive(Debug, Clone, Default)]
pub(crate) struct Case {
    /// Remarks before the case, as written.
    pub(crate) remarks: Vec<String>,
    /// Lines of the check-list.
    pub(crate) covers: Vec<String>,
    pub(crate) title: String,
    pub(crate) caller: String,
    /// `name=value`
    pub(crate) settings: Vec<String>,
    /// Characters of the answer's body that count.
    pub(crate) first: Option<usize>,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The expected answer, as written.
    pub(crate) answer: Vec<String>,
}

/// Reads a file of cases.
pub(crate) fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut remarks = Vec::new();
    let mut in_body = false;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            cases.push(titled(title, std::mem::take(&mut remarks)));
            in_body = false;
        } else if line.starts_with('#') {
            remarks.push(line.to_owned());
        } else if let Some(case) = cases.last_mut() {
            if let Some(rest) = line.strip_prefix("> ") {
                case.request(rest, in_body);
            } else if line == ">" && !in_body {
                in_body = true;
            } else if line == ">" {
                case.request("", true);
            } else if let Some(rest) = line.strip_prefix("< ") {
                case.answer.push(rest.to_owned());
            } else if line == "<" {
                case.answer.push(String::new());
            } else if let Some(rest) = line.strip_prefix("@ ") {
                case.arrange(rest);
            } else {
                assert!(line.is_empty(), "what is this: {line}");
            }
        }
    }
    cases
}

fn titled(title: &str, remarks: Vec<String>) -> Case {
    let is_line = |word: &&str| word.starts_with('A') && word.contains('.');
    let covers: Vec<String> = title.split(' ').take_while(is_line).map(str::to_owned).collect();
    let title = title.split(' ').skip(covers.len()).collect::<Vec<_>>().join(" ");
    assert!(!covers.is_empty(), "`{title}` covers no line of the check-list");
    Case { covers, title, remarks, caller: "authenticated".to_owned(), ..Case::default() }
}

impl Case {
    fn request(&mut self, line: &str, in_body: bool) {
        if in_body {
            if !self.body.is_empty() {
                self.body.push('\n');
            }
            self.body.push_str(line);
        } else if self.method.is_empty() {
            let (method, target) = line.split_once(' ').expect("method and target");
            (self.method, self.target) = (method.to_owned(), target.to_owned());
        } else {
            let (name, value) = line.split_once(": ").expect("a header");
            self.headers.push((name.to_owned(), value.to_owned()));
        }
    }

    fn arrange(&mut self, line: &str) {
        match line.split_once(' ').expect("an arrangement and its value") {
            ("as", who) => who.clone_into(&mut self.caller),
            ("set", pairs) => self.settings.extend(pairs.split(' ').map(str::to_owned)),
            ("first", number) => self.first = Some(number.parse().unwrap()),
            _ => panic!("`{line}` arranges nothing"),
        }
    }

    /// The request in the file's format, without its prefix.
    fn request_lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} {}", self.method, self.target)];
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        if !self.body.is_empty() {
            lines.push(String::new());
            lines.extend(self.body.split('\n').map(str::to_owned));
        }
        lines
    }

    /// The case in the file's format, with another answer.
    pub(crate) fn render(&self, answer: &[String]) -> String {
        let mut lines = self.remarks.clone();
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("## {} {}", self.covers.join(" "), self.title));
        if self.caller != "authenticated" {
            lines.push(format!("@ as {}", self.caller));
        }
        if !self.settings.is_empty() {
            lines.push(format!("@ set {}", self.settings.join(" ")));
        }
        lines.extend(self.first.map(|number| format!("@ first {number}")));
        let mark = |mark: &'static str| move |line: &String| format!("{mark} {line}").trim_end().to_owned();
        lines.extend(self.request_lines().iter().map(mark(">")));
        lines.extend(answer.iter().map(mark("<")));
        lines.join("\n") + "\n"
    }

    pub(crate) fn header_map(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value);
        }
        let typed = headers.contains_key("content-type");
        if !self.body.is_empty() && !typed {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        headers
    }

    /// The target with URL encoding, which the cases leave out.
    pub(crate) fn encoded(&self) -> String {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        let encode = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        self.target.bytes().map(encode).collect()
    }

    pub(crate) fn http(&self) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.parse::<Method>().unwrap();
        *request.uri_mut() = self.encoded().parse().unwrap();
        *request.headers_mut() = self.header_map();
        request
    }

    /// An answer in the file's format: status, every header but the unchanging `vary`, body.
    pub(crate) fn lines_of(&self, answer: &RouterResponse) -> Vec<String> {
        let mut lines = vec![answer.status.as_u16().to_string()];
        let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value));
        let mut headers: Vec<String> = headers
            .filter(|(name, value)| !(*name == "vary" && *value == "Accept, Prefer, Range"))
            .map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes()).into_owned()))
            // Times are never the same.
            .map(|(name, value)| (name, if name == "server-timing" { without_digits(&value) } else { value }))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        if answer.status.is_success() && self.method != "OPTIONS" && !answer.headers.contains_key("vary") {
            headers.push("vary is missing".to_owned());
        }
        headers.sort();
        lines.extend(headers);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let text = match self.first {
            Some(first) => text.chars().take(first).collect::<String>() + "…",
            None => text,
        };
        if !text.is_empty() {
            lines.push(String::new());
            lines.extend(text.split('\n').map(str::to_owned));
        }
        lines.iter().map(|line| line.trim_end().to_owned()).collect()
    }
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|character| !character.is_ascii_digit()).collect()
}
