use rowhouse_db::catalog::{Column, QualifiedName, Snapshot, Table};
use serde_json::{Value, json};

use super::super::tests::rows;
use super::{Visible, document, key};

/// A schema with everything that a description has to get right.
fn snapshot() -> Snapshot {
    let column = |name: &str, kind: &str, nullable: bool, default: Option<&str>| Column {
        nullable,
        default: default.map(str::to_owned),
        ..Column::new(name, kind)
    };
    let mut title = column("title", "character varying(20)", false, Some("'it''s'::character varying"));
    "character varying".clone_into(&mut title.base_type);
    let mut total = column("total", "numeric", false, None);
    total.is_generated = true;
    let columns = vec![
        column("id", "uuid", false, Some("gen_random_uuid()")),
        title,
        column("mood", "public.mood", true, Some("'sad'::public.mood")),
        column("select", "integer[]", true, None),
        column("place", "extensions.geometry", true, None),
        column("rank", "integer", false, None),
        total,
    ];
    let odd = Table {
        name: QualifiedName::new("public", "odd {name}/ü"),
        columns,
        primary_key: vec!["id".to_owned()],
        insertable: true,
        updatable: true,
        deletable: true,
        ..Table::default()
    };
    let mut snapshot = Snapshot::new(&["public".to_owned(), "other".to_owned()], vec![odd], vec![], &[]);
    snapshot.add_enum("public.mood".to_owned(), vec!["sad".to_owned(), "happy".to_owned()]);
    snapshot
}

fn odd(rights: &str) -> Value {
    let visible = Visible::from_rows(rows(&[
        [Some("table"), Some("odd {name}/ü"), Some(rights), Some("Odd\nvery")],
        [Some("column"), Some("odd {name}/ü"), Some("rank"), Some("Where it stands")],
    ]));
    document(&snapshot(), "public", &visible, "/rest/v1")
}

fn todos() -> Value {
    let visible = Visible::from_rows(rows(&[
        [Some("schema"), Some("public"), None, Some("To-dos\n\nfor teams")],
        [Some("table"), Some("todos"), Some("select,insert,update,delete"), None],
        [Some("table"), Some("lists"), Some("select"), None],
        [Some("function"), Some("search"), None, Some("Finds todos")],
        [Some("function"), Some("touch"), None, None],
        [Some("function"), Some("add"), None, None],
        [Some("function"), Some("pick"), None, None],
        [Some("function"), Some("blob"), None, None],
    ]));
    document(&crate::plan::tests::schema(), "public", &visible, "/rest/v1")
}

const ODD: &str = "odd.20..7b.name.7d..2f..fc.";

#[test]
fn description_is_what_openapi_3_1_allows() {
    let meta: Value = serde_json::from_str(include_str!("meta.json")).unwrap();
    let validator = jsonschema::validator_for(&meta).unwrap();
    for document in [odd("select,insert,update,delete"), todos()] {
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(errors, Vec::<String>::new());
        let mut broken = document.clone();
        broken["paths"]["/x"] = json!({ "get": { "responses": {} } });
        assert!(!validator.is_valid(&broken));
    }
}

#[test]
fn references_resolve_and_operation_ids_are_unique() {
    for document in [odd("select,insert,update,delete"), todos()] {
        let text = document.to_string();
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        let mut ids: Vec<&str> =
            text.split("\"operationId\":\"").skip(1).map(|p| p.split('"').next().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}

#[test]
fn columns_are_described_like_their_values() {
    let document = odd("select,insert");
    let row = &document["components"]["schemas"][ODD];
    assert_eq!(row["required"], json!(["id", "title", "rank", "total"]));
    assert_eq!(row["x-primary-key"], json!(["id"]));
    let of = |name: &str| row["properties"][name].clone();
    assert_eq!(
        of("id"),
        json!({
            "type": "string", "format": "uuid", "x-postgres-type": "uuid", "x-primary-key": true,
            "x-default": "gen_random_uuid()",
        })
    );
    assert_eq!(
        of("title"),
        json!({
            "type": "string", "maxLength": 20, "default": "it's", "x-postgres-type": "character varying(20)",
        })
    );
    assert_eq!(
        of("mood"),
        json!({
            "type": ["string", "null"], "enum": ["sad", "happy", null], "default": "sad",
            "x-postgres-type": "public.mood",
        })
    );
    let items = json!({ "type": "integer", "format": "int32" });
    assert_eq!(
        of("select"),
        json!({ "type": ["array", "null"], "items": items, "x-postgres-type": "integer[]" })
    );
    assert_eq!(of("place"), json!({ "x-postgres-type": "extensions.geometry" }));
    assert_eq!(of("rank")["description"], "Where it stands");
    assert_eq!(of("total")["readOnly"], json!(true));
}

#[test]
fn new_row_requires_columns_without_default_and_excludes_generated_ones() {
    let document = odd("insert");
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas[format!("{ODD}.insert")]["required"], json!(["rank"]));
    assert!(schemas[format!("{ODD}.write")]["properties"].get("total").is_none());
    let root =
        json!({ "$ref": format!("#/components/schemas/{ODD}.insert"), "components": document["components"] });
    let validator = jsonschema::validator_for(&root).unwrap();
    assert!(validator.is_valid(&json!({ "rank": 1, "mood": null, "title": "x" })));
    for wrong in
        [json!({}), json!({ "rank": "1" }), json!({ "rank": 1, "mood": "angry" }), json!({ "rank": null })]
    {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn only_permitted_methods_are_described() {
    let methods = |rights: &str| {
        let document = odd(rights);
        let paths = document["paths"].as_object().unwrap().clone();
        let (path, item) = paths.into_iter().next().unwrap();
        assert_eq!(path, "/odd%20%7Bname%7D%2F%C3%BC");
        item.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(methods("select"), ["get"]);
    assert_eq!(methods("select,insert,update,delete"), ["delete", "get", "patch", "post"]);
    assert_eq!(methods("update"), ["patch"]);
}

#[test]
fn column_named_like_a_parameter_is_not_a_filter_and_several_schemas_are_named() {
    let document = odd("select");
    let parameters = document["components"]["parameters"].as_object().unwrap();
    assert!(parameters.contains_key(&format!("filter.{ODD}.rank")));
    assert!(!parameters.contains_key(&format!("filter.{ODD}.select")));
    assert_eq!(parameters["acceptProfile"]["schema"]["const"], "public");
    assert_eq!(parameters["acceptProfile"]["required"], json!(false));
}

#[test]
fn functions_are_called_by_get_where_they_do_not_write() {
    let document = todos();
    let paths = &document["paths"];
    assert!(paths["/rpc/touch"].get("get").is_none());
    let search = &paths["/rpc/search"];
    assert_eq!(search["get"]["summary"], "Finds todos");
    assert_eq!(search["get"]["parameters"][0]["name"], "query");
    assert_eq!(search["get"]["parameters"][0]["required"], json!(true));
    let bodies = &paths["/rpc/pick"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert!(bodies["anyOf"].as_array().unwrap().len() > 1, "one for each overload");
    assert!(paths["/rpc/blob"]["post"]["requestBody"]["content"].get("application/octet-stream").is_some());
    let item = &search["get"]["responses"]["200"]["content"]["application/json"]["schema"]["items"];
    assert_eq!(item["$ref"], "#/components/schemas/todos");
}

#[test]
fn foreign_keys_are_described_only_to_usable_tables() {
    let document = todos();
    let todos = &document["components"]["schemas"]["todos"];
    assert_eq!(todos["properties"]["list_id"]["x-foreign-key"], json!({ "table": "lists", "column": "id" }));
    assert_eq!(todos["x-foreign-keys"].as_array().unwrap().len(), 1);
    assert!(
        document["components"]["schemas"]["lists"].get("x-foreign-keys").is_none(),
        "users are not shown"
    );
}

#[test]
fn component_keys_are_unique() {
    assert_eq!(key("todos_2-b"), "todos_2-b");
    assert_ne!(key("a b"), key("a.20.b"));
    assert_ne!(key("rest.error"), super::ERROR);
}
