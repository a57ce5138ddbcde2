//! Operators who act as a user in one tenant, and stay there: every route whose path names a tenant or an organization.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Harness, refused};
use crate::matrix::{Row, all};
use crate::support::SignedIn;

const ROOT: &str = "/admin/v1";

/// Where else the customer is an owner: a tenant of the same organization, and an organization with a tenant.
struct Elsewhere {
    own_organization: String,
    neighbour: String,
    organization: String,
    tenant: String,
}

async fn made(harness: &Harness, path: &str, name: &str) -> String {
    let answer = harness.post(&harness.customer, path, json!({ "name": name })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn elsewhere(harness: &Harness) -> Elsewhere {
    let own_organization = harness.organization_of(&harness.customer).await;
    let neighbour = made(harness, &format!("/organizations/{own_organization}/tenants"), "Neighbour").await;
    let organization = made(harness, "/organizations", "Other").await;
    let tenant = made(harness, &format!("/organizations/{organization}/tenants"), "Elsewhere").await;
    Elsewhere { own_organization, neighbour, organization, tenant }
}

/// Acting as the customer in the customer's first tenant.
async fn act_in_one(harness: &Harness) -> SignedIn {
    let asked = json!({ "user": harness.customer.id, "reason": "ticket 8", "minutes": 5, "tenant": harness.customer.tenant });
    let begun = harness.post(&harness.support, "/impersonations", asked).await.json();
    let code = json!({ "code": begun["code"] });
    let session =
        harness.app.post(&harness.app.anon_key, "/admin/v1/impersonations/redeem", code).await.json();
    SignedIn::from(&session)
}

/// Methods and paths of the document with a tenant or an organization in them.
async fn documented(harness: &Harness) -> Vec<(Method, String)> {
    let document = harness.app.get(&harness.app.service_key, "/admin/v1/openapi.json").await.json();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !path.contains("{tenant}") && !path.contains("{organization}") {
            continue;
        }
        for name in methods.as_object().unwrap().keys() {
            if let Ok(method) = name.to_uppercase().parse()
                && [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&method)
            {
                found.push((method, format!("{ROOT}{}", path.strip_prefix(ROOT).unwrap_or(path))));
            }
        }
    }
    found
}

/// Whether a row is a request of a documented path with somebody's tenant or organization.
fn fits(row: &Row, method: &Method, path: &str) -> bool {
    let (listed, wanted): (Vec<_>, Vec<_>) = (row.path.split('/').collect(), path.split('/').collect());
    let same = |(listed, wanted): (&&str, &&str)| match *wanted {
        "{tenant}" => *listed == "$TENANT",
        "{organization}" => *listed == "$ORG",
        _ => listed == wanted || wanted.starts_with('{'),
    };
    row.method == *method && listed.len() == wanted.len() && listed.iter().zip(&wanted).all(same)
}

#[tokio::test]
async fn no_route_with_the_id_of_another_place_is_reached() {
    let harness = Harness::new().await;
    let elsewhere = elsewhere(&harness).await;
    let acting = act_in_one(&harness).await;
    let rows = all();
    let (mut tried, mut reached) = (0, String::new());
    for (method, path) in documented(&harness).await {
        // Whoever has no token may read a tenant's branding.
        if path.ends_with("/branding/{tenant}") {
            continue;
        }
        let mine: Vec<&Row> = rows.iter().filter(|row| fits(row, &method, &path)).collect();
        assert!(!mine.is_empty(), "{method} {path} needs a row with $TENANT or $ORG in a tests/routes.txt");
        for row in mine {
            let places = match path.contains("{tenant}") {
                true => [&elsewhere.neighbour, &elsewhere.tenant],
                false => [&elsewhere.own_organization, &elsewhere.organization],
            };
            for place in places {
                let at = row.path.replace("$TENANT", place).replace("$ORG", place);
                let at = at.replace("$NOBODY", "0198d5a1-0000-7000-8000-000000000001");
                let answer = harness.app.call(&acting.token, method.clone(), &at, row.body.clone()).await;
                if answer.status != StatusCode::FORBIDDEN {
                    reached.push_str(&format!("{method} {path}: {} {}\n", answer.status, answer.text));
                }
                // What an owner is refused, too, proves nothing.
                tried += usize::from(row.statuses.get("owner").is_some_and(|status| *status != 403));
            }
        }
    }
    assert!(reached.is_empty(), "{reached}");
    assert!(tried > 80, "only {tried} requests would have been let in without the one tenant");
}

#[tokio::test]
async fn own_tenant_is_reached_and_nothing_else_is_listed() {
    let harness = Harness::new().await;
    let elsewhere = elsewhere(&harness).await;
    let acting = act_in_one(&harness).await;
    let own = harness.customer.tenant.as_str();
    for path in ["", "/members", "/products", "/quotas", "/settings", "/branding", "/domains"] {
        let answer = harness.get(&acting, &format!("/tenants/{own}{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    }
    let ids = |list: &Value| -> Vec<String> {
        let items = list.as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let me = harness.get(&acting, "/me").await.json();
    assert_eq!(ids(&me["tenants"]), [own]);
    assert_eq!(ids(&me["organizations"]), [elsewhere.own_organization.as_str()]);
    let listed = async |path: &str| ids(&harness.get(&acting, path).await.json()["items"]);
    assert_eq!(listed("/tenants").await, [own]);
    assert_eq!(listed("/organizations").await, [elsewhere.own_organization.as_str()]);
    let made = harness.post(&acting, "/organizations", json!({ "name": "Left behind" })).await;
    assert_eq!(refused(&made), (StatusCode::FORBIDDEN, "forbidden".to_owned()));
    // The user, and an operator who acts without naming a tenant, are everywhere as before.
    let all = harness.get(&harness.customer, "/tenants").await.json();
    assert_eq!(ids(&all["items"]).len(), 3, "{all}");
}
