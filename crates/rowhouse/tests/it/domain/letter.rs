//! The proof by a letter to the postmaster.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Harness, harness, of_organization, of_tenant, refusal};

impl Harness {
    /// The newest letter to an address: its text, and the code in it.
    async fn code(&self, to: &str) -> String {
        let sql = "select convert_from(m.mime, 'UTF8') from mail.messages m join mail.recipients r on r.message = m.id
                   where r.address = $1 order by m.id desc limit 1";
        let mime: String = self.client.query_one(sql, &[&to]).await.unwrap().get(0);
        let is_code = |line: &&str| line.len() == 22 && line.bytes().all(|byte| byte.is_ascii_alphanumeric());
        mime.lines().map(str::trim).find(is_code).unwrap().to_owned()
    }
}

#[tokio::test]
async fn code_of_the_letter_proves_the_domain() {
    let harness = harness().await;
    let (owner, path) = (&harness.owner, of_tenant(&harness.owner));
    let domain = harness.claim(owner, "shop.example", "mail").await;
    assert_eq!(domain.status, StatusCode::CREATED, "{}", domain.text);
    let domain = domain.json();
    let challenge = json!({ "kind": "mail", "name": "postmaster@shop.example", "value": null });
    assert_eq!(domain["challenge"], challenge);
    let code = harness.code("postmaster@shop.example").await;
    let missing = harness.verify(owner, &domain).await;
    assert_eq!(refusal(&missing), (422, "code_required".to_owned()));
    let wrong = harness.verify_at(owner, &path, &domain, json!({ "code": "x" })).await.json();
    assert_eq!(
        (&wrong["status"], &wrong["last_error"]),
        (&json!("pending"), &json!("another code was sent"))
    );
    let right = harness.verify_at(owner, &path, &domain, json!({ "code": format!(" {code} ") })).await;
    assert_eq!(right.json()["status"], json!("verified"), "{}", right.text);
    assert_eq!(harness.owner_of("shop.example").await, Some(owner.tenant.clone()));
    let stored = "select count(*) from domains.claims c where to_jsonb(c)::text like '%' || $1 || '%'";
    assert_eq!(harness.client.query_one(stored, &[&code]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn code_is_good_for_a_day_and_ten_attempts_and_letters_are_few() {
    let harness = harness().await;
    let (owner, path) = (&harness.owner, of_tenant(&harness.owner));
    let domain = harness.claim(owner, "shop.example", "mail").await.json();
    let code = harness.code("postmaster@shop.example").await;
    for _ in 0..10 {
        harness.verify_at(owner, &path, &domain, json!({ "code": "x" })).await;
    }
    let spent = harness.verify_at(owner, &path, &domain, json!({ "code": code })).await.json();
    assert_eq!(spent["status"], json!("pending"), "{spent}");
    assert_eq!(refusal(&harness.claim(owner, "shop.example", "mail").await), (429, "too_soon".to_owned()));
    let later =
        "update domains.claims set letters = array(select l - interval '2 hours' from unnest(letters) l)";
    harness.client.batch_execute(later).await.unwrap();
    assert_eq!(harness.claim(owner, "shop.example", "mail").await.status, StatusCode::CREATED);
    let code = harness.code("postmaster@shop.example").await;
    let old =
        "update domains.claims set letters = array(select l - interval '25 hours' from unnest(letters) l)";
    harness.client.batch_execute(old).await.unwrap();
    let late = harness.verify_at(owner, &path, &domain, json!({ "code": code })).await.json();
    assert_eq!(late["status"], json!("pending"), "{late}");
    // Whoever names the domain: five letters a day.
    let stranger = harness.app.sign_up("stranger@example.com").await;
    for _ in 0..5 {
        assert_eq!(harness.claim(&stranger, "shop.example", "mail").await.status, StatusCode::CREATED);
        harness.client.batch_execute(later).await.unwrap();
    }
    let refused = harness.claim(&stranger, "shop.example", "mail").await;
    assert_eq!(refusal(&refused), (429, "too_many_letters".to_owned()));
    // The oldest of the five was sent ten hours ago.
    let told: u64 = refused.header("retry-after").parse().unwrap();
    assert!((14 * 3600 - 60..=14 * 3600).contains(&told), "{told}");
}

#[tokio::test]
async fn letters_of_an_organization_are_few_whatever_it_releases_and_however_many_ask_at_once() {
    let harness = &harness().await;
    let (owner, path) = (&harness.owner, of_tenant(&harness.owner));
    for number in 0..2 {
        let domain = harness.claim(owner, &format!("x{number}.victim.example"), "mail").await.json();
        let path = format!("{path}/{}", domain["id"].as_str().unwrap());
        let released = harness.app.call(&owner.token, Method::DELETE, &path, None).await;
        assert_eq!(released.status, StatusCode::NO_CONTENT);
    }
    // Each released claim stands for nine of its kind.
    let more = "update domains.claims set letters = array_fill(letters[1], array[9])";
    harness.client.batch_execute(more).await.unwrap();
    let organization = of_organization(owner);
    let claims = (0..6).map(|number| {
        let path = if number % 2 == 0 { &path } else { &organization };
        let name = format!("y{number}.victim.example");
        async move { refusal(&harness.claim_at(owner, path, &name, "mail").await).0 }
    });
    let mut answers = join_all(claims).await;
    answers.sort_unstable();
    assert_eq!(answers, [201, 201, 429, 429, 429, 429]);
    let other = harness.claim(owner, "z.victim.example", "dns_txt").await;
    assert_eq!(other.status, StatusCode::CREATED, "proofs without letters stay possible: {}", other.text);
    let stranger = harness.app.sign_up("stranger@example.com").await;
    let other = harness.claim(&stranger, "y.victim.example", "mail").await;
    assert_eq!(other.status, StatusCode::CREATED, "{}", other.text);
}

#[tokio::test]
async fn letters_of_a_user_are_few_in_however_many_organizations() {
    let harness = harness().await;
    let owner = &harness.owner;
    let domain = harness.claim(owner, "x.victim.example", "mail").await;
    assert_eq!(domain.status, StatusCode::CREATED, "{}", domain.text);
    let more = "update domains.claims set letters = array_fill(letters[1] - interval '1 hour', array[20])";
    harness.client.batch_execute(more).await.unwrap();
    let made = harness.app.post(&owner.token, "/admin/v1/organizations", json!({ "name": "Other" })).await;
    let other = format!("/admin/v1/organizations/{}/domains", made.json()["id"].as_str().unwrap());
    let refused = harness.claim_at(owner, &other, "y.victim.example", "mail").await;
    assert_eq!(refusal(&refused), (429, "too_many_letters".to_owned()));
    assert!(refused.text.contains("from you"), "{}", refused.text);
    let told: u64 = refused.header("retry-after").parse().unwrap();
    assert!((23 * 3600 - 60..=23 * 3600).contains(&told), "{told}");
    let stranger = harness.app.sign_up("stranger@example.com").await;
    let others = harness.claim(&stranger, "y.victim.example", "mail").await;
    assert_eq!(others.status, StatusCode::CREATED, "{}", others.text);
    let later =
        "update domains.claims set letters = array(select l - interval '23 hours' from unnest(letters) l)";
    harness.client.batch_execute(later).await.unwrap();
    let tomorrow = harness.claim_at(owner, &other, "y.victim.example", "mail").await;
    assert_eq!(tomorrow.status, StatusCode::CREATED, "{}", tomorrow.text);
}
