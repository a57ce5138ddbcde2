//! The four proofs: what has to be published for each, and whether an answer has it. Leaves asking to `check`.

use rowhouse_kernel::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Begins the text that is published.
const PREFIX: &str = "rowhouse-domain=";
/// Path of the file.
pub(crate) const FILE: &str = "/.well-known/rowhouse-domain.txt";

/// How a domain is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Proof {
    /// A TXT record.
    DnsTxt,
    /// A CNAME record.
    DnsCname,
    /// A file at a well-known path, over HTTP or HTTPS.
    Http,
    /// A code from a letter to the domain's postmaster.
    Mail,
}

impl Proof {
    const ALL: [Self; 4] = [Self::DnsTxt, Self::DnsCname, Self::Http, Self::Mail];

    /// As stored.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DnsTxt => "dns_txt",
            Self::DnsCname => "dns_cname",
            Self::Http => "http",
            Self::Mail => "mail",
        }
    }

    pub(crate) fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|proof| proof.name() == name)
    }
}

/// 128 random bits: in lower case, since DNS does not tell cases apart.
pub(crate) fn new_token(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What has to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Challenge {
    /// `TXT` or `CNAME` for a record, `file` for a file, `mail` for a letter.
    pub(crate) kind: &'static str,
    /// The record's name, the file's URL, or the address that gets the letter.
    pub(crate) name: String,
    /// The record's value, or a line of the file. Null for a letter, whose code is entered.
    pub(crate) value: Option<String>,
}

impl Challenge {
    /// For a claim with this token; CNAME records point below `target`.
    pub(crate) fn new(proof: Proof, domain: &str, token: &str, target: &str) -> Self {
        let (kind, name, value) = match proof {
            Proof::DnsTxt => ("TXT", format!("_rowhouse-domain.{domain}"), Some(format!("{PREFIX}{token}"))),
            Proof::DnsCname => {
                ("CNAME", format!("_rowhouse-{token}.{domain}"), Some(format!("{token}.{target}")))
            }
            Proof::Http => ("file", format!("http://{domain}{FILE}"), Some(format!("{PREFIX}{token}"))),
            Proof::Mail => ("mail", format!("postmaster@{domain}"), None),
        };
        Self { kind, name, value }
    }

    /// Whether one of the records is it; names of hosts are compared as DNS does.
    pub(crate) fn is_in_records(&self, records: &[String]) -> bool {
        let Some(value) = self.value.as_deref() else { return false };
        records.iter().any(|record| match self.kind {
            "CNAME" => record.trim_end_matches('.').eq_ignore_ascii_case(value),
            _ => record.trim() == value,
        })
    }

    /// Whether one of the file's lines is it. A whole line: a page that repeats what it was asked for proves nothing.
    pub(crate) fn is_in_file(&self, file: &[u8]) -> bool {
        let Some(value) = self.value.as_deref() else { return false };
        file.split(|byte| *byte == b'\n').any(|line| line.trim_ascii() == value.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::SeededRng;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn challenge(proof: Proof) -> Challenge {
        Challenge::new(proof, "acme.example", TOKEN, "domains.app.example")
    }

    #[test]
    fn every_proof_says_what_to_publish() {
        let shown = Proof::ALL.map(challenge).map(|it| (it.kind, it.name, it.value.unwrap_or_default()));
        let text = format!("rowhouse-domain={TOKEN}");
        assert_eq!(
            shown,
            [
                ("TXT", "_rowhouse-domain.acme.example".to_owned(), text.clone()),
                ("CNAME", format!("_rowhouse-{TOKEN}.acme.example"), format!("{TOKEN}.domains.app.example")),
                ("file", "http://acme.example/.well-known/rowhouse-domain.txt".to_owned(), text),
                ("mail", "postmaster@acme.example".to_owned(), String::new()),
            ]
        );
        assert!(Proof::ALL.iter().all(|proof| Proof::read(proof.name()) == Some(*proof)));
        assert_eq!(Proof::read("sms"), None);
    }

    #[test]
    fn only_the_whole_value_proves() {
        let text = format!("rowhouse-domain={TOKEN}");
        let txt = challenge(Proof::DnsTxt);
        assert!(txt.is_in_records(&["v=spf1 -all".to_owned(), format!(" {text} ")]));
        for other in ["", "rowhouse-domain=", TOKEN, &format!("{text}0"), &text.to_uppercase()] {
            assert!(!txt.is_in_records(&[other.to_owned()]), "{other}");
        }
        let cname = challenge(Proof::DnsCname);
        assert!(cname.is_in_records(&[format!("{TOKEN}.Domains.App.example.")]));
        assert!(!cname.is_in_records(&["domains.app.example.".to_owned()]));
        let http = challenge(Proof::Http);
        assert!(http.is_in_file(format!("other\r\n{text}\r\n").as_bytes()));
        for other in [format!("you asked for {text}"), String::new(), "<html>".to_owned()] {
            assert!(!http.is_in_file(other.as_bytes()), "{other}");
        }
        let mail = challenge(Proof::Mail);
        assert!(!mail.is_in_file(b"") && !mail.is_in_records(&[String::new()]));
    }

    #[test]
    fn tokens_are_of_dns() {
        let rng = SeededRng::new(1);
        let (one, two) = (new_token(&*rng), new_token(&*rng));
        assert!(one.len() == 32 && one != two && one.bytes().all(|b| b.is_ascii_hexdigit()));
    }
}
