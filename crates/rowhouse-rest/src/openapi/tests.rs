use bytes::Bytes;
use rowhouse_db::flight::Row;
use serde_json::{Value, json};

use super::{Visible, v2};
use crate::plan::OpenapiVersion;
use crate::plan::tests::schema;

pub(super) fn rows(rows: &[[Option<&str>; 4]]) -> Vec<Row> {
    rows.iter()
        .map(|row| row.iter().map(|text| text.map(|text| Bytes::copy_from_slice(text.as_bytes()))).collect())
        .collect()
}

fn described() -> Value {
    let visible = Visible::from_rows(rows(&[
        [Some("schema"), Some("public"), None, Some("To-dos\n\nfor teams")],
        [Some("table"), Some("todos"), None, Some("What is to be done")],
        [Some("column"), Some("todos"), Some("title"), Some("In a few words")],
        [Some("function"), Some("search"), None, Some("Finds todos\nby words")],
        [Some("function"), Some("touch"), None, None],
    ]));
    v2(&schema(), "public", &visible, "/rest/v1")
}

#[test]
fn only_what_is_visible_is_described() {
    let document = described();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(paths, ["/", "/rpc/search", "/rpc/touch", "/todos"]);
    assert_eq!(document["definitions"].as_object().unwrap().len(), 1);
    assert_eq!(document["info"]["title"], "To-dos");
    assert_eq!(document["info"]["description"], "for teams");
    assert_eq!(document["basePath"], "/rest/v1");
}

#[test]
fn how_a_token_is_presented_is_told_where_it_is_asked_for() {
    let document = |is_secured| {
        super::document(OpenapiVersion::Two, &schema(), "public", &Visible::default(), ("/", is_secured))
    };
    assert_eq!(document(false).get("security"), None);
    assert_eq!(document(true)["security"], json!([{ "JWT": [] }]));
    assert_eq!(document(true)["securityDefinitions"]["JWT"]["name"], "Authorization");
}

#[test]
fn columns_have_types_keys_and_comments() {
    let document = described();
    let todos = &document["definitions"]["todos"];
    assert_eq!(todos["description"], "What is to be done");
    assert_eq!(
        todos["properties"]["id"],
        json!({ "type": "integer", "format": "int64", "description": "Note:\nThis is a Primary Key.<pk/>" })
    );
    assert_eq!(
        todos["properties"]["list_id"]["description"],
        "Note:\nThis is a Foreign Key to `lists.id`.<fk table='lists' column='id'/>"
    );
    assert_eq!(
        todos["properties"]["title"],
        json!({ "type": "string", "format": "text", "description": "In a few words" })
    );
    assert_eq!(todos["properties"]["data"], json!({ "format": "jsonb" }));
    assert_eq!(todos["properties"]["done"]["default"], json!(false));
}

#[test]
fn functions_that_may_write_are_posted_to_only() {
    let document = described();
    assert!(document["paths"]["/rpc/touch"].get("get").is_none());
    let search = &document["paths"]["/rpc/search"];
    assert_eq!(search["get"]["summary"], "Finds todos");
    assert_eq!(search["get"]["description"], "by words");
    assert_eq!(
        search["get"]["parameters"],
        json!([{ "name": "query", "in": "query", "required": true, "type": "string", "format": "text" }])
    );
    assert_eq!(search["post"]["parameters"][0]["schema"]["required"], json!(["query"]));
}

#[test]
fn every_reference_resolves() {
    let document = described();
    let text = document.to_string();
    for part in text.split("\"$ref\":\"#/").skip(1) {
        let pointer = format!("/{}", part.split('"').next().unwrap());
        assert!(document.pointer(&pointer).is_some(), "{pointer}");
    }
}
