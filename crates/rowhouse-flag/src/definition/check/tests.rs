use serde_json::{Value as Json, json};

use uuid::Uuid;

use super::super::Change;
use super::*;
use crate::value::Scope;

fn changed(kind: Kind, change: Json) -> Result<Fields, String> {
    let change: Change = serde_json::from_value(change).map_err(|error| error.to_string())?;
    let fields = change.apply(&Fields::new(kind, "Team CRM"));
    fields.check().map(|()| fields)
}

#[test]
fn fields_within_bounds_are_taken() {
    let colour = json!({ "variants": [{ "name": "red", "weight": 1 }, { "name": "blue", "weight": 0 }],
        "default_value": "red", "bucket_by": "tenant", "rules": [{ "plans": ["pro"], "value": "rollout" }],
        "routes": ["/rest/v1/crm_deals"], "sunset_on": "2027-02-28", "is_public": true });
    let fields = changed(Kind::Variant, colour).unwrap();
    assert_eq!(
        (fields.names(), fields.bucket_by),
        (vec!["red".to_owned(), "blue".to_owned()], Scope::Tenant)
    );
    let share = json!({ "percentage": 12.34, "rules": [{ "users": [Uuid::nil()], "value": "rollout", "percentage": 0.01 }] });
    assert!(changed(Kind::Percentage, share).is_ok());
    assert!(changed(Kind::Boolean, json!({ "default_value": "on", "sunset_on": null })).is_ok());
}

#[test]
fn what_means_nothing_for_the_kind_or_is_out_of_bounds_is_refused() {
    let ids = vec![Uuid::nil(); 101];
    let rule = json!({ "users": [Uuid::nil()], "value": "on" });
    for (kind, change, field) in [
        (Kind::Boolean, json!({ "default_value": "rollout" }), "default_value"),
        (Kind::Boolean, json!({ "percentage": 5 }), "percentage"),
        (Kind::Percentage, json!({ "percentage": 100.01 }), "percentage"),
        (Kind::Percentage, json!({ "percentage": 0.001 }), "percentage"),
        (Kind::Percentage, json!({ "variants": [{ "name": "red", "weight": 1 }] }), "variants"),
        (Kind::Variant, json!({}), "variants"),
        (Kind::Variant, json!({ "variants": [{ "name": "on", "weight": 1 }] }), "variants"),
        (Kind::Variant, json!({ "variants": [{ "name": "a", "weight": 10001 }] }), "variants"),
        (
            Kind::Variant,
            json!({ "variants": [{ "name": "a", "weight": 1 }, { "name": "a", "weight": 1 }] }),
            "variants",
        ),
        (
            Kind::Variant,
            json!({ "variants": [{ "name": "a", "weight": 1 }], "default_value": "b" }),
            "default_value",
        ),
        (Kind::Boolean, json!({ "rules": [{ "value": "on" }] }), "rules[0]"),
        (Kind::Boolean, json!({ "rules": [rule, { "users": [], "value": "on" }] }), "rules[1]"),
        (Kind::Boolean, json!({ "rules": [{ "users": ids, "value": "on" }] }), "rules[0]"),
        (Kind::Boolean, json!({ "rules": [{ "plans": [""], "value": "on" }] }), "rules[0]"),
        (Kind::Boolean, json!({ "rules": [{ "plans": ["pro"], "value": "red" }] }), "rules[0].value"),
        (
            Kind::Percentage,
            json!({ "rules": [{ "plans": ["pro"], "value": "on", "percentage": 5 }] }),
            "rules[0].percentage",
        ),
        (Kind::Boolean, json!({ "rules": vec![json!({ "plans": ["pro"], "value": "on" }); 51] }), "rules"),
        (Kind::Boolean, json!({ "routes": vec!["/a/b"; 21] }), "routes"),
        (Kind::Boolean, json!({ "owner": "" }), "owner"),
        (Kind::Boolean, json!({ "sunset_on": "28.2.2027" }), "sunset_on"),
        (Kind::Boolean, json!({ "description": "x".repeat(1001) }), "description"),
    ] {
        let refused = changed(kind, change).unwrap_err();
        assert!(refused.starts_with(&format!("{field}:")), "{field}: {refused}");
    }
}

#[test]
fn routes_are_prefixes_below_a_surface() {
    for good in ["/rest/v1/crm_deals", "/rest/v1/rpc/report", "/auth/v1", "/rest/v1/größe"] {
        assert!(check_route(good).is_ok(), "{good}");
    }
    let (long, deep) = (format!("/a/{}", "x".repeat(200)), "/a".repeat(11));
    for bad in [
        "",
        "/",
        "/health",
        "rest/v1",
        "/rest/v1/",
        "/rest//v1",
        "/rest/v1?x",
        "/rest/%20",
        "/a b/c",
        &long,
        &deep,
    ] {
        assert!(check_route(bad).is_err(), "{bad}");
    }
}

#[test]
fn names_are_what_the_table_accepts() {
    for good in ["a", "crm", "crm.deals-2_x", &"a".repeat(63)] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    for bad in ["", "A", "1a", "a b", "ä", "mine", &"a".repeat(64)] {
        assert!(check_name(bad).is_err(), "{bad}");
    }
}
