//! Finding users, closing and opening accounts.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Harness, refused};
use crate::program::{Folder, Run, on_database};

fn emails(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn users_are_found_by_address_name_number_and_id_and_narrowed() {
    let harness = Harness::new().await;
    harness
        .sql(
            "update auth.users set phone = '49151234', raw_user_meta_data = '{\"full_name\":\"Ada King Lovelace\"}'
             where id = '$CUSTOMER'",
        )
        .await;
    let customer = &harness.customer;
    let organization = harness.organization_of(customer).await;
    for query in [
        "q=ADA@ex".to_owned(),
        "q=%2B49%20151".to_owned(),
        "q=lovel%20ada".to_owned(),
        format!("q={}", customer.id),
        format!("tenant={}", customer.tenant),
        format!("organization={organization}&status=active"),
    ] {
        let page = harness.get(&harness.support, &format!("/users?{query}")).await;
        assert_eq!(emails(&page.json()), ["ada@example.com"], "{query}: {}", page.text);
    }
    for nobody in ["q=ad%25exam", "q=elace", "q=ada&status=suspended", "q=ada&status=deleted"] {
        let page = harness.get(&harness.support, &format!("/users?{nobody}")).await;
        assert_eq!(page.json()["items"], json!([]), "{nobody}");
    }
    let first = harness.get(&harness.chief, "/users?limit=2").await.json();
    let rest = format!("/users?limit=2&cursor={}", first["next"].as_str().unwrap());
    let rest = harness.get(&harness.chief, &rest).await.json();
    let mut all = [emails(&first), emails(&rest)].concat();
    all.sort_unstable();
    assert_eq!(all, ["ada@example.com", "chief@example.com", "support@example.com"]);
    assert_eq!(rest["next"], Value::Null);
    let details = harness.get(&harness.support, &format!("/users/{}", customer.id)).await.json();
    assert_eq!(details["organizations"][0]["role"], "owner", "{details}");
    assert_eq!((&details["sessions"], &details["providers"]), (&json!(1), &json!(["email"])));
    let long = format!("/users?q={}", "x".repeat(201));
    assert_eq!(harness.get(&harness.support, &long).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn suspended_user_is_out_everywhere_at_once_and_comes_back_by_a_new_sign_in() {
    let harness = Harness::new().await;
    let customer = harness.customer.clone();
    let other: Value = harness.sign_in("ada@example.com").await.json();
    let other = other["access_token"].as_str().unwrap();
    assert_eq!(harness.everywhere(&customer.token).await, [200, 200, 200]);
    let path = format!("/users/{}/suspend", customer.id);
    let answer = harness.post(&harness.support, &path, json!({ "reason": " abuse " })).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let user = answer.json();
    assert_eq!((&user["status"], &user["suspension"]["reason"]), (&json!("suspended"), &json!("abuse")));
    assert_eq!(user["suspension"]["suspended_by"], json!(harness.support.id));
    for token in [&customer.token, other] {
        let statuses = harness.everywhere(token).await;
        assert!(statuses.iter().all(|status| [401, 403].contains(status)), "{statuses:?}");
    }
    assert!(harness.refresh(&customer.refresh_token).await.status.is_client_error());
    assert_eq!(refused(&harness.sign_in("ada@example.com").await).1, "user_banned");
    // One entry is in the customer's organization, without the reason; none has the operator's organization or tenant.
    let entries = harness.entries("user_suspended").await;
    let organization = harness.organization_of(&customer).await;
    let expected = |organization: Value, details: Value| {
        json!({ "organization": organization, "tenant": null, "actor": harness.support.id,
            "impersonator": null, "target": customer.id, "details": details })
    };
    let whole = expected(Value::Null, json!({ "reason": "abuse", "sessions": 2 }));
    assert_eq!(entries, [expected(json!(organization), json!({ "sessions": 2 })), whole]);

    let path = format!("/users/{}/reactivate", customer.id);
    let answer = harness.post(&harness.support, &path, json!({})).await;
    assert_eq!((&answer.json()["status"], &answer.json()["suspension"]), (&json!("active"), &Value::Null));
    let statuses = harness.everywhere(&customer.token).await;
    assert!(statuses.iter().all(|status| [401, 403].contains(status)), "ended for good: {statuses:?}");
    assert_eq!(harness.sign_in("ada@example.com").await.status, StatusCode::OK);
    let again = json!({ "reason": "appeal" });
    for (step, body) in [("suspend", &again), ("reactivate", &again)] {
        let path = format!("/users/{}/{step}", customer.id);
        assert_eq!(harness.post(&harness.support, &path, body.clone()).await.status, StatusCode::OK);
    }
    let sql = "select coalesce(jsonb_agg(e.action), '[]') from audit.entries e where e.source = 'operator'
               and e.organization_id is not null and (e.details ? 'reason' or e.address is not null or e.user_agent is not null)";
    assert_eq!(harness.value(sql).await, json!([]), "neither reason nor address in a customer's log");
    let sql = "select count(*) from audit.entries e where e.action = 'user_reactivated' and e.organization_id is null
               and e.address is not null and e.details ->> 'reason' = 'appeal'";
    assert_eq!(harness.value(sql).await, json!(1));
    assert_eq!(harness.entries("user_reactivated").await.len(), 4);
}

#[tokio::test]
async fn operators_close_neither_themselves_nor_each_other() {
    let harness = Harness::new().await;
    let suspend = async |who, whom: &str| {
        let answer = harness.post(who, &format!("/users/{whom}/suspend"), json!({ "reason": "test" })).await;
        refused(&answer)
    };
    let own = suspend(&harness.support, &harness.support.id).await;
    assert_eq!(own, (StatusCode::CONFLICT, "own_account".to_owned()));
    let chief = suspend(&harness.support, &harness.chief.id).await;
    assert_eq!(chief, (StatusCode::FORBIDDEN, "operator".to_owned()));
    assert_eq!(suspend(&harness.chief, &harness.support.id).await.0, StatusCode::OK);
    let answer =
        harness.post(&harness.chief, &format!("/users/{}/suspend", harness.customer.id), json!({})).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let empty = json!({ "reason": "  " });
    let answer =
        harness.post(&harness.chief, &format!("/users/{}/suspend", harness.customer.id), empty).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn commands_search_and_close_accounts_as_whoever_runs_them() {
    let harness = Harness::new().await;
    let folder = Folder::with_settings("");
    let run = |args: &[&str]| Run::of(on_database(&harness.app.db, &folder, args).output().unwrap());
    let found = run(&["users", "search", "ada", "--json"]);
    assert_eq!(found.document()["users"][0]["email"], "ada@example.com", "{found:?}");
    let closed = run(&["users", "suspend", "ada@example.com", "--reason", "abuse", "--json"]);
    let expected = json!({ "user_id": harness.customer.id, "status": "suspended", "changed": true });
    assert_eq!((closed.code, closed.document()), (0, expected), "{closed:?}");
    assert_eq!(harness.sign_in("ada@example.com").await.status.as_u16(), 400);
    let again = run(&["users", "suspend", "ada@example.com", "--reason", "abuse", "--json"]);
    assert_eq!(again.document()["changed"], json!(false), "{again:?}");
    assert_eq!(run(&["users", "reactivate", "ada@example.com"]).code, 0);
    assert_eq!(harness.sign_in("ada@example.com").await.status, StatusCode::OK);
    assert_eq!(run(&["users", "suspend", "nobody@example.com", "--reason", "x"]).code, 1);
    let entries = harness.entries("user_suspended").await;
    assert_eq!(entries.len(), 2, "{entries:?}");
    assert!(entries[0]["actor"].as_str().unwrap().starts_with("operator:"));
}
