//! Exports over HTTP: whole, bounded, and over as soon as the permission is.

use reqwest::{Method, Response};
use rowhouse_testkit::{LIMIT, in_time, until, until_true};
use serde_json::Value;

use super::{SEALED, Scene};

impl Scene {
    /// The head of an export's answer; its body is still to be read.
    async fn begin_export(&self, rest: &str) -> Response {
        let request = self.app.request(Method::GET, &self.path(rest)).bearer_auth(&self.owner.token);
        request.send().await.unwrap()
    }

    /// More than what fits into the buffers of a connection whose client does not read.
    async fn write_much(&self) {
        self.write(&self.organization, 20_000, &"x".repeat(1_000)).await;
        until_true(&self.client, SEALED).await;
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn export_has_the_organizations_entries_and_is_audited_itself() {
    let scene = Scene::start().await;
    scene.write(&scene.organization, 1_200, "a,b").await;
    scene.write(&scene.elsewhere, 10, "x").await;
    until_true(&scene.client, SEALED).await;
    let exported =
        in_time("an export", scene.begin_export("/export?until=2096-01-01").await.text()).await.unwrap();
    until_true(&scene.client, SEALED).await;
    let noted = lines(&exported)[0].clone();
    assert_eq!((&noted["action"], &noted["details"]["format"]), (&"audit_exported".into(), &"ndjson".into()));
    let path = scene.path("?limit=1000");
    let mut listed: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    until("the last page", LIMIT, async || {
        let page = scene.app.get(&scene.owner.token, &format!("{path}{cursor}")).await.json();
        listed.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { return true };
        cursor = format!("&cursor={next}");
        false
    })
    .await;
    assert_eq!(listed.len(), lines(&exported).len());
    // The export's own entry was sealed after it was exported.
    assert_eq!(listed[1..], lines(&exported)[1..]);
    let csv = scene.begin_export("/export?format=csv&action=done").await;
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    let name = format!("attachment; filename=\"audit-{}.csv\"", scene.organization);
    assert_eq!(csv.headers()["content-disposition"], name);
    let csv = csv.text().await.unwrap();
    assert_eq!(csv.matches("\r\n").count(), 1_201);
    assert!(
        csv.starts_with("id,occurred_at,") && csv.contains("\"{\"\"text\"\": \"\"a,b\"\"}\""),
        "{csv:.500}"
    );
}

#[tokio::test]
async fn two_exports_of_an_organization_run_at_once_and_no_more() {
    let scene = Scene::start().await;
    scene.write_much().await;
    let held = [scene.begin_export("/export").await, scene.begin_export("/export").await];
    assert!(held.iter().all(|export| export.status().as_u16() == 200));
    let third = scene.get(&scene.owner.token, "/export").await;
    assert_eq!((third.status.as_u16(), third.code().as_str()), (429, "too_many_exports"));
    assert_eq!(third.headers["retry-after"], "10");
    drop(held);
    let is_free = async || scene.begin_export("/export?limit=1&action=none").await.status().as_u16() == 400;
    assert!(is_free().await, "a parameter of lists is refused before anything else");
    until("a place is free", LIMIT, async || scene.begin_export("/export").await.status().as_u16() == 200)
        .await;
}

#[tokio::test]
async fn export_is_cut_off_when_the_permission_is_gone() {
    let scene = Scene::start().await;
    scene.write_much().await;
    let export = scene.begin_export("/export").await;
    assert_eq!(export.status().as_u16(), 200);
    let close =
        format!("update tenancy.organizations set status = 'suspended' where id = '{}'", scene.organization);
    scene.client.batch_execute(&close).await.unwrap();
    assert!(in_time("the cut", export.bytes()).await.is_err(), "a part does not look like the whole");
}
