use crate::plan::tests::request_with;
use crate::request::{Action, CallMethod};
use crate::settings::{OpenapiMode, RestSettings};

fn settings(root_spec: &str) -> RestSettings {
    let schemas = vec!["public".to_owned(), "docs".to_owned()];
    RestSettings { root_spec: Some(root_spec.to_owned()), schemas, ..RestSettings::default() }
}

#[test]
fn root_function_answers_the_root_alone() {
    let called = |method| Action::Call { function: "describe".to_owned(), method };
    let read = request_with("GET", "/", &settings("describe")).unwrap();
    assert_eq!((read.action, read.schema.as_str()), (called(CallMethod::Get), "public"));
    let head = request_with("HEAD", "/", &settings("docs.describe")).unwrap();
    assert_eq!((head.action, head.schema.as_str()), (called(CallMethod::Head), "docs"));
    let table = request_with("GET", "/todos", &settings("docs.describe")).unwrap();
    assert_eq!(table.schema, "public");
}

#[test]
fn disabled_root_calls_no_function() {
    let settings = RestSettings { openapi_mode: OpenapiMode::Disabled, ..settings("describe") };
    assert_eq!(request_with("GET", "/", &settings).unwrap().action, Action::ReadRoot { headers_only: false });
}
