//! Senders of tenants, over HTTP and on the command line.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::program::{Folder, Up, free_port, run};
use crate::support::TestApp;

const SENDERS: &str = "/mail/v1/senders";

/// The paragraph of a letter that is one word.
fn code_of(letter: &str) -> String {
    let mut paragraphs = letter.split("\r\n\r\n");
    paragraphs.find(|text| !text.contains([' ', '\n'])).expect(letter).to_owned()
}

#[tokio::test]
async fn sender_address_is_requested_proved_listed_and_removed() {
    let app = TestApp::start().await;
    let tenant = app.sign_up("ada@b.example").await.tenant;
    let named = json!({ "tenant": tenant, "name": "Orders@Shop.example" });
    let asked = app.post(&app.service_key, SENDERS, named.clone()).await;
    assert_eq!(asked.status, StatusCode::CREATED, "{}", asked.text);
    assert_eq!(asked.json(), json!({ "kind": "address", "name": "orders@shop.example", "record": null }));
    let sql = "select convert_from(mime, 'UTF8') from mail.messages order by id desc limit 1";
    let letter: String = app.db.superuser().await.query_one(sql, &[]).await.unwrap().get(0);
    let verify = async |code: &str| {
        let body = json!({ "tenant": tenant, "name": "orders@shop.example", "code": code });
        app.post(&app.service_key, "/mail/v1/senders/verify", body).await.json()
    };
    assert_eq!(verify("wrong").await, json!({ "proved": false, "reason": "another code was sent" }));
    assert_eq!(verify(&code_of(&letter)).await, json!({ "proved": true }));
    let listed = app.get(&app.service_key, &format!("{SENDERS}?tenant={tenant}")).await.json();
    assert!(listed["senders"][0]["proved_at"].is_string(), "{listed}");
    let path = format!("{SENDERS}?tenant={tenant}&name=orders@shop.example");
    let remove = async || app.call(&app.service_key, Method::DELETE, &path, None).await.status;
    assert_eq!((remove().await, remove().await), (StatusCode::NO_CONTENT, StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn transaction_of_a_request_names_its_caller_and_its_id() {
    let app = TestApp::start().await;
    let tenant = app.sign_up("ada@b.example").await.tenant;
    let client = app.db.superuser().await;
    let watch = "create table public.seen (actor text, operation text, request_id text, address text);
        create function public.see() returns trigger language plpgsql security definer as $$ begin
          insert into public.seen values (current_setting('rowhouse.actor'), current_setting('rowhouse.operation'),
            current_setting('rowhouse.request_id'), current_setting('rowhouse.address'));
          return null; end $$;
        create trigger see after insert on mail.senders for each row execute function public.see()";
    client.batch_execute(watch).await.unwrap();
    let asked =
        app.post(&app.service_key, SENDERS, json!({ "tenant": tenant, "name": "shop.example" })).await;
    let row = client.query_one("select * from public.seen", &[]).await.unwrap();
    let seen: [String; 4] = [row.get(0), row.get(1), row.get(2), row.get(3)];
    let id = asked.headers["x-request-id"].to_str().unwrap();
    assert_eq!(seen, ["service_role", "mail.ask_sender", id, "127.0.0.1"]);
}

#[tokio::test]
async fn sender_domain_keeps_its_record_until_it_is_removed() {
    let app = TestApp::start().await;
    let tenant = app.sign_up("ada@b.example").await.tenant;
    let ask = async |name: &str| {
        let answer = app.post(&app.service_key, SENDERS, json!({ "tenant": tenant, "name": name })).await;
        (answer.status, answer.json())
    };
    let (status, first) = ask("Grün.example").await;
    assert_eq!(
        (status, &first["record"]["name"]),
        (StatusCode::CREATED, &json!("_rowhouse.xn--grn-ioa.example"))
    );
    assert_eq!(first["record"]["type"], "TXT");
    assert_eq!(ask("xn--grn-ioa.example").await.1, first);
    for name in ["", "com", "a b.example", "@x.example", "x.example/"] {
        assert_eq!(ask(name).await.0, StatusCode::BAD_REQUEST, "{name}");
    }
    let stranger = json!({ "tenant": "00000000-0000-0000-0000-000000000000", "name": "x.example" });
    assert_eq!(app.post(&app.service_key, SENDERS, stranger).await.status, StatusCode::BAD_REQUEST);
}

#[test]
fn senders_are_requested_listed_and_removed_from_the_command_line() {
    let folder = Folder::with_settings("");
    let _up = Up::start(&folder, free_port());
    let senders = |args: &[&str]| folder.run(&[&["mail", "--json", "senders"], args].concat());
    let nobody = "00000000-0000-7000-8000-000000000007";
    let sql = format!(
        "insert into tenancy.organizations (id, name, slug) values ('{nobody}', 'x', 'x'); \
         insert into tenancy.tenants (id, organization_id, name, slug) values ('{nobody}', '{nobody}', 'x', 'x')"
    );
    assert_eq!(senders(&["add", nobody, "shop.example"]).code, 2, "no such tenant");
    // What follows psql goes to psql.
    let dir = folder.path().display().to_string();
    assert_eq!(run(&["--dir", &dir, "psql", "-c", &sql]).code, 0);
    let added = senders(&["add", nobody, "shop.example"]);
    assert_eq!(
        (added.code, &added.document()["record"]["name"]),
        (0, &json!("_rowhouse.shop.example")),
        "{added:?}"
    );
    assert_eq!(senders(&["list"]).document()["senders"][0]["name"], "shop.example");
    let proved = senders(&["prove", nobody, "shop.example", "--server", "127.0.0.1:1"]);
    assert_eq!((proved.code, &proved.document()["proved"]), (1, &json!(false)), "{proved:?}");
    let remove = || senders(&["remove", nobody, "shop.example"]).code;
    assert_eq!((remove(), remove()), (0, 1));
}
