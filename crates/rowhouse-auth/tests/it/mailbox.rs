//! Letters that were captured, read back from the database as they would travel.

use mail_parser::MessageParser;
use reqwest::{Method, StatusCode};
use url::Url;

use crate::app::{Answer, App};

/// A letter.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) kind: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl App {
    /// All letters so far, in the order in which they were written.
    pub(crate) async fn mails(&self) -> Vec<Mail> {
        let sql = "select m.kind, r.address, m.mime from mail.messages m join mail.recipients r on r.message = m.id order by m.id";
        let rows = self.sql().await.query(sql, &[]).await.unwrap();
        let mails = rows.iter().map(|row| {
            let mime: Vec<u8> = row.get("mime");
            let message = MessageParser::default().parse(&mime).unwrap();
            Mail {
                kind: row.get("kind"),
                to: row.get("address"),
                subject: message.subject().unwrap().to_owned(),
                text: message.body_text(0).unwrap().into_owned(),
            }
        });
        mails.collect()
    }

    /// The latest letter to an address.
    pub(crate) async fn mail_to(&self, address: &str) -> Mail {
        let mails = self.mails().await;
        mails.into_iter().rev().find(|mail| mail.to == address).unwrap()
    }

    /// Opens a link, or presses the button of its page, without following the redirect.
    pub(crate) async fn open(&self, method: Method, link: &Url) -> Opened {
        self.open_from(method, link, None).await
    }

    /// The same with what the browser says of the page where it began.
    pub(crate) async fn open_from(&self, method: Method, link: &Url, site: Option<&str>) -> Opened {
        let path = format!("{}?{}", link.path(), link.query().unwrap());
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let served: &rowhouse_testkit::TestApp = self;
        let request = client.request(method, format!("http://{}{path}", served.address));
        let request = request.header("accept-language", "de-AT,en;q=0.5");
        let request = match site {
            Some(site) => request.header("sec-fetch-site", site),
            None => request,
        };
        let response = request.send().await.unwrap();
        let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let (status, headers) = (response.status(), response.headers().clone());
        Opened { status, headers, location, text: response.text().await.unwrap() }
    }

    /// Verifies a code.
    pub(crate) async fn verify(&self, kind: &str, email: &str, code: &str) -> Answer {
        self.post("/verify", serde_json::json!({ "type": kind, "email": email, "token": code })).await
    }
}

impl Mail {
    /// The link in it.
    pub(crate) fn link(&self) -> Url {
        let line = self.text.lines().find(|line| line.starts_with("http")).unwrap();
        Url::parse(line.trim()).unwrap()
    }

    /// The code in it.
    pub(crate) fn code(&self) -> String {
        let mut words = self.text.split(|c: char| !c.is_ascii_digit());
        words.rfind(|word| word.len() == 6).unwrap().to_owned()
    }
}

/// What a browser gets.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) location: Option<String>,
    pub(crate) text: String,
}

impl Opened {
    /// Parameters of the fragment of the target that it redirects to.
    pub(crate) fn fragment(&self) -> std::collections::HashMap<String, String> {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        let (_, fragment) = self.location.as_ref().unwrap().split_once('#').unwrap();
        url::form_urlencoded::parse(fragment.as_bytes()).into_owned().collect()
    }

    /// A parameter of the query of that target.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        let target = Url::parse(self.location.as_ref().unwrap()).unwrap();
        target.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}
