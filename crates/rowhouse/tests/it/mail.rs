//! Mail: commands on a running project, and routes.

mod bad;
mod dns;
mod list;
mod outage;
mod relay;
mod send;
mod sender;
mod sql;

use crate::program::{Folder, Up, free_port};

const NO_RELAY: &str =
    "[mail]\ntransport = \"relay\"\nrelay_host = \"127.0.0.1\"\nrelay_port = 1\nrelay_tls = \"none\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn captured_test_mail_succeeds_and_can_be_found() {
    let folder = Folder::with_settings("");
    let up = Up::start(&folder, free_port());
    assert!(up.text("mail_url").starts_with("http://127.0.0.1:"));
    let mail = |args: &[&str]| folder.run(&[&["mail", "--json"], args].concat());
    let test = mail(&["test", "you@example.com"]);
    let document = test.document();
    assert_eq!((test.code, &document["recipients"][0]["state"]), (0, &"captured".into()), "{test:?}");
    let id = document["id"].to_string();
    assert_eq!(mail(&["list", "--state", "captured"]).document()["mails"][0]["address"], "you@example.com");
    assert_eq!(mail(&["list", "--state", "sent"]).document()["mails"], serde_json::json!([]));
    assert_eq!(mail(&["show", &id]).document()["tag"], "mail-test");
    assert_eq!((mail(&["retry", &id]).code, mail(&["cancel", &id]).code), (1, 1));
    assert_eq!((mail(&["show", "999"]).code, mail(&["test", "no address"]).code), (2, 2));
    mail_without_html_is_a_page_all_the_same(&up.text("mail_url")).await;
}

async fn mail_without_html_is_a_page_all_the_same(mail_url: &str) {
    let sent = serde_json::json!({
        "From": { "Email": "a@example.com" }, "To": [{ "Email": "b@example.com" }], "Subject": "s", "Text": "1 < 2\n  & 3"
    });
    let http = reqwest::Client::new();
    let taken = http.post(format!("{mail_url}/api/v1/send")).json(&sent).send().await.unwrap();
    assert!(taken.status().is_success(), "{taken:?}");
    let page = http.get(format!("{mail_url}/view/latest.html")).send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    assert!(page.contains("1 &lt; 2") && page.contains("  &amp; 3"), "{page}");
}

#[test]
fn undelivered_test_mail_fails_and_is_cancelled() {
    let folder = Folder::with_settings(NO_RELAY);
    let up = Up::start(&folder, free_port());
    assert!(up.state["mail_url"].is_null() && up.state["smtp_port"].is_u64());
    let mail = |args: &[&str]| folder.run(&[&["mail", "--json"], args].concat());
    let test = mail(&["test", "you@example.com"]);
    assert_eq!(test.code, 1, "{test:?}");
    let id = test.document()["id"].to_string();
    assert_eq!(mail(&["show", &id]).document()["recipients"][0]["state"], "failed");
    assert_eq!(mail(&["retry", &id]).document()["changed"], 1);

    assert_eq!(mail(&["suppressions", "add", "You@example.com"]).document()["address"], "you@example.com");
    let suppressed = mail(&["test", "you@example.com"]);
    let state = &suppressed.document()["recipients"][0]["state"];
    assert_eq!((suppressed.code, state), (1, &"suppressed".into()), "{suppressed:?}");
    let listed = mail(&["suppressions", "list"]).document();
    assert_eq!(listed["suppressions"][0]["reason"], "manual");
    let remove = || mail(&["suppressions", "remove", "you@example.com"]).code;
    assert_eq!((remove(), remove()), (0, 1));

    let created = mail(&["credentials", "create", "shop"]);
    assert_eq!((created.code, mail(&["credentials", "create", "shop"]).code), (0, 2), "{created:?}");
    let secret = created.document()["secret"].as_str().unwrap().to_owned();
    let list = mail(&["credentials", "list"]);
    assert_eq!(list.document()["credentials"][0]["name"], "shop");
    assert!(secret.len() >= 22 && !list.out.contains(&secret));
    let revoke = || mail(&["credentials", "revoke", "shop"]).code;
    assert_eq!((revoke(), revoke()), (0, 1));
}

#[test]
fn broken_template_prevents_the_start() {
    let folder = Folder::with_settings("");
    std::fs::create_dir_all(folder.path().join("mail/en")).unwrap();
    std::fs::write(folder.path().join("mail/en/invite.txt"), "Hello\n{{ Nmae }}\n").unwrap();
    std::fs::write(folder.path().join("mail/en/test.html"), "{% if %}").unwrap();
    for args in [&["config", "explain"][..], &["up"]] {
        let run = folder.run(args);
        assert_eq!((run.code, run.err.lines().count()), (2, 1), "{run:?}");
        assert!(run.err.contains("mail/en/test.html:1: syntax error"), "{run:?}");
    }
    std::fs::remove_file(folder.path().join("mail/en/test.html")).unwrap();
    let run = folder.run(&["config", "explain"]);
    assert!(run.code == 2 && run.err.contains("mail/en/invite.txt:2: there is no variable Nmae"), "{run:?}");
    assert!(!folder.path().join(".rowhouse/pg").exists(), "nothing was begun");
}
