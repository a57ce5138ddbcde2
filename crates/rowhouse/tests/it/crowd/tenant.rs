//! One tenant: its mark, its rows as it knows them, and what others know of it.

use std::collections::BTreeMap;

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{TestApp, TestResponse};

/// What a rival may have learned: names, not rights.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// In every text that this tenant writes, and in its address.
    pub(super) mark: String,
    pub(super) tenant: String,
    pub(super) organization: String,
    pub(super) user: String,
    /// Its first rows.
    pub(super) rows: Vec<i64>,
}

#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) place: Place,
    pub(super) token: String,
    pub(super) todos: BTreeMap<i64, String>,
    written: usize,
}

impl Tenant {
    /// Signs its owner up and writes its first rows.
    pub(super) async fn settle(app: &TestApp, number: usize, rows: usize) -> Self {
        let mark = format!("mark{number:03}x");
        let user = app.sign_up(&format!("{mark}@example.com")).await;
        let organization = crate::support::claims(&user.token)["org_id"].as_str().unwrap().to_owned();
        let place = Place { mark, tenant: user.tenant, organization, user: user.id, rows: Vec::new() };
        let mut tenant = Self { place, token: user.token, todos: BTreeMap::new(), written: 0 };
        for _ in 0..rows {
            let body = json!({ "title": tenant.title() });
            let answer = app.post(&tenant.token, "/rest/v1/todos?select=id,title", body).await;
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
            tenant.learn(&answer);
        }
        tenant.place.rows = tenant.todos.keys().copied().collect();
        tenant
    }

    /// A new text with its mark.
    pub(super) fn title(&mut self) -> String {
        self.written += 1;
        format!("{} {}", self.place.mark, self.written)
    }

    /// Takes rows that were written.
    pub(super) fn learn(&mut self, answer: &TestResponse) {
        for row in answer.json().as_array().unwrap() {
            self.todos.insert(row["id"].as_i64().unwrap(), row["title"].as_str().unwrap().to_owned());
        }
    }

    /// No other's mark is in the answer.
    pub(super) fn check(&self, what: &str, answer: &TestResponse) {
        assert!(!answer.status.is_server_error(), "{what}: {answer:?}");
        for (at, _) in answer.text.match_indices("mark") {
            let seen = &answer.text[at..(at + self.place.mark.len()).min(answer.text.len())];
            let is_mark =
                seen.ends_with('x') && seen[4..seen.len() - 1].bytes().all(|byte| byte.is_ascii_digit());
            assert!(
                !is_mark || seen == self.place.mark,
                "{} saw {seen} by {what}: {}",
                self.place.mark,
                answer.text
            );
        }
    }
}
