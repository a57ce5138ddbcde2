use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use rowhouse_db::catalog::{
    Argument, Column, ForeignKey, Function, QualifiedName, Returns, Snapshot, Table, Volatility,
};
use rowhouse_db::flight::Access;

use super::{Plan, PlanError, plan};
use crate::parse::{Incoming, parse};
use crate::request::ApiRequest;
use crate::settings::RestSettings;

fn table(name: &str, columns: &[(&str, &str)], key: &[&str]) -> Table {
    Table {
        name: QualifiedName::new("public", name),
        columns: columns.iter().map(|(name, kind)| Column::new(*name, *kind)).collect(),
        primary_key: key.iter().map(|column| (*column).to_owned()).collect(),
        insertable: true,
        updatable: true,
        deletable: true,
        ..Table::default()
    }
}

fn key(constraint: &str, from: (&str, &str), to: &str) -> ForeignKey {
    ForeignKey {
        constraint: constraint.to_owned(),
        table: QualifiedName::new("public", from.0),
        columns: vec![from.1.to_owned()],
        foreign: QualifiedName::new("public", to),
        foreign_columns: vec!["id".to_owned()],
        one_to_one: false,
    }
}

fn function(
    name: &str,
    arguments: &[(&str, &str, bool)],
    returns: Returns,
    set: bool,
    volatility: Volatility,
) -> Function {
    Function {
        name: QualifiedName::new("public", name),
        arguments: arguments
            .iter()
            .map(|(name, kind, required)| Argument {
                name: (*name).to_owned(),
                type_name: (*kind).to_owned(),
                required: *required,
                variadic: false,
            })
            .collect(),
        returns_set: set,
        returns,
        columns: Vec::new(),
        volatility,
        settings: Vec::new(),
    }
}

/// The schema that the tests of all stages plan against.
pub(crate) fn schema() -> Snapshot {
    schema_with(&[])
}

/// The same, where to-dos have further columns.
pub(crate) fn schema_with(columns: &[&str]) -> Snapshot {
    let mut todos = table(
        "todos",
        &[
            ("id", "bigint"),
            ("title", "text"),
            ("done", "boolean"),
            ("data", "jsonb"),
            ("words", "tsvector"),
            ("list_id", "integer"),
        ],
        &["id"],
    );
    todos.columns[0].default = Some("nextval('public.todos_id_seq'::regclass)".to_owned());
    todos.columns[2].default = Some("false".to_owned());
    todos.columns.extend(columns.iter().map(|name| Column::new(*name, "text")));
    let tables = vec![
        todos,
        table(
            "lists",
            &[("id", "integer"), ("name", "text"), ("owner_id", "integer"), ("editor_id", "integer")],
            &["id"],
        ),
        table("users", &[("id", "integer"), ("name", "text")], &["id"]),
        table("labels", &[("id", "integer"), ("name", "text")], &["id"]),
        table("todo_labels", &[("todo_id", "bigint"), ("label_id", "integer")], &["todo_id", "label_id"]),
        table("odd \"name", &[("a \"b", "text")], &[]),
    ];
    let keys = [
        key("todos_list_id_fkey", ("todos", "list_id"), "lists"),
        key("lists_owner_id_fkey", ("lists", "owner_id"), "users"),
        key("lists_editor_id_fkey", ("lists", "editor_id"), "users"),
        key("todo_labels_todo_id_fkey", ("todo_labels", "todo_id"), "todos"),
        key("todo_labels_label_id_fkey", ("todo_labels", "label_id"), "labels"),
    ];
    let rows = || Returns::Row(QualifiedName::new("public", "todos"));
    let mut sum =
        function("sum", &[("numbers", "integer[]", true)], Returns::Scalar, false, Volatility::Immutable);
    sum.arguments[0].variadic = true;
    let functions = vec![
        function(
            "add",
            &[("a", "integer", true), ("b", "integer", false)],
            Returns::Scalar,
            false,
            Volatility::Immutable,
        ),
        function("search", &[("query", "text", true)], rows(), true, Volatility::Stable),
        function("touch", &[], Returns::Void, false, Volatility::Volatile),
        function("finish", &[("ids", "bigint[]", true)], rows(), true, Volatility::Volatile),
        function("whole", &[("", "json", true)], Returns::Scalar, false, Volatility::Volatile),
        function("blob", &[("", "bytea", true)], Returns::Scalar, false, Volatility::Volatile),
        function(
            "pick",
            &[("a", "text", true), ("b", "text", false)],
            Returns::Scalar,
            false,
            Volatility::Volatile,
        ),
        function("pick", &[("a", "text", true)], Returns::Scalar, false, Volatility::Volatile),
        function("pick", &[("a", "integer", true)], Returns::Scalar, false, Volatility::Volatile),
        sum,
    ];
    Snapshot::new(&["public".to_owned(), "other".to_owned()], tables, functions, &keys)
}

/// A request parsed with the default settings; headers as `name: value`.
pub(crate) fn request(method: &str, target: &str, headers: &[&str], body: &str) -> ApiRequest {
    try_request(method, target, headers, body).unwrap()
}

pub(crate) fn try_request(
    method: &str,
    target: &str,
    headers: &[&str],
    body: &str,
) -> Result<ApiRequest, crate::parse::RequestError> {
    let mut map = HeaderMap::new();
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        map.append(http::HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let body = Bytes::copy_from_slice(body.as_bytes());
    parse(&Incoming { method, path, query, headers: &map, body }, &RestSettings::default())
}

/// A request without headers and body, parsed with `settings`.
pub(crate) fn request_with(
    method: &str,
    target: &str,
    settings: &RestSettings,
) -> Result<ApiRequest, crate::parse::RequestError> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    parse(&Incoming { method, path, query, headers: &HeaderMap::new(), body: Bytes::new() }, settings)
}

fn refused(method: &str, target: &str, headers: &[&str], body: &str) -> PlanError {
    let schema = schema();
    let request = request(method, target, headers, body);
    plan(&request, &schema, &RestSettings::default()).map(|plan| format!("{plan:?}")).unwrap_err()
}

#[test]
fn unknown_table_suggests_a_similar_one() {
    let error = refused("GET", "/todo", &[], "");
    assert_eq!(
        error,
        PlanError::UnknownTable { schema: "public".into(), table: "todo".into(), like: Some("todos".into()) }
    );
    let PlanError::UnknownTable { like, .. } = refused("GET", "/invoices", &[], "") else { panic!() };
    assert_eq!(like, None);
}

#[test]
fn unknown_column_in_a_body_is_refused() {
    let error = refused("POST", "/todos", &[], r#"{"title":"x","colour":"red"}"#);
    assert_eq!(error, PlanError::UnknownColumn { table: "todos".into(), column: "colour".into() });
}

#[test]
fn overloads_are_resolved_by_argument_names_only() {
    let fitting =
        ["public.pick(a => integer)", "public.pick(a => text)", "public.pick(a => text, b => text)"];
    let error = refused("POST", "/rpc/pick", &[], r#"{"a":1}"#);
    assert_eq!(error, PlanError::AmbiguousFunction(fitting.map(str::to_owned).to_vec()));
    let PlanError::UnknownFunction(unknown) = refused("POST", "/rpc/add", &[], r#"{"a":1,"c":2}"#) else {
        panic!()
    };
    assert_eq!(unknown.arguments, ["a", "c"]);
    assert_eq!(unknown.like.as_deref(), Some("add(a, b)"));
    assert!(matches!(refused("POST", "/rpc/ad", &[], "{}"), PlanError::UnknownFunction(_)));
}

#[test]
fn put_names_exactly_the_primary_key() {
    let fine = request("PUT", "/todos?id=eq.1", &[], r#"{"id":1,"title":"x"}"#);
    assert!(plan(&fine, &schema(), &RestSettings::default()).is_ok());
    for target in [
        "/todos",
        "/todos?id=gt.1",
        "/todos?id=eq.1&title=eq.x",
        "/todos?id=not.eq.1",
        "/todos?id=eq.1&or=(id.eq.1)",
    ] {
        assert_eq!(refused("PUT", target, &[], r#"{"id":1}"#), PlanError::PutFilters, "{target}");
    }
}

#[test]
fn filters_reach_embedded_resources_only() {
    let error = refused("GET", "/todos?select=id&lists.name=eq.x", &[], "");
    assert_eq!(error, PlanError::NotEmbedded { target: "lists".into(), alias: None });
    let settings = RestSettings { legacy_target_names: false, ..RestSettings::default() };
    let request = request_with("GET", "/todos?select=id,l:lists(name)&lists.name=eq.x", &settings).unwrap();
    let error = plan(&request, &schema(), &settings).unwrap_err();
    assert_eq!(error, PlanError::NotEmbedded { target: "lists".into(), alias: Some("l".into()) });
}

#[test]
fn ambiguous_embed_lists_its_candidates() {
    let PlanError::AmbiguousRelation { candidates, .. } =
        refused("GET", "/lists?select=users(name)", &[], "")
    else {
        panic!()
    };
    let hints: Vec<_> = candidates.iter().map(|candidate| candidate.hint.as_str()).collect();
    assert_eq!(hints, ["lists_editor_id_fkey", "lists_owner_id_fkey"]);
    for target in ["users!owner_id", "users!lists_owner_id_fkey", "owner_id", "lists_owner_id_fkey"] {
        let request = request("GET", &format!("/lists?select={target}(name)"), &[], "");
        assert!(plan(&request, &schema(), &RestSettings::default()).is_ok(), "{target}");
    }
}

#[test]
fn two_embeds_of_one_name_are_refused() {
    for select in ["users!owner_id(name),users!editor_id(name)", "...users!owner_id(name),users!editor_id()"]
    {
        let error = refused("GET", &format!("/lists?select={select}"), &[], "");
        assert_eq!(error, PlanError::RepeatedEmbed("lists_users_1".into()), "{select}");
    }
    let aliased = request("GET", "/lists?select=users!owner_id(name),other:users!editor_id(name)", &[], "");
    assert!(plan(&aliased, &schema(), &RestSettings::default()).is_ok());
}

#[test]
fn order_by_a_relation_with_many_rows_is_refused() {
    let error = refused("GET", "/lists?select=*,todos(*)&order=todos(id)", &[], "");
    assert_eq!(error, PlanError::RelatedOrder { origin: "lists".into(), target: "todos".into() });
}

#[test]
fn strict_handling_refuses_unknown_preferences() {
    let error = refused("GET", "/todos", &["prefer: handling=strict, anything"], "");
    assert_eq!(error, PlanError::Preferences(vec!["anything".into()]));
    let error = refused("GET", "/rpc/add?a=1", &["prefer: handling=strict, max-affected=1"], "");
    assert_eq!(error, PlanError::MaxAffectedCall);
}

#[test]
fn aggregates_are_off() {
    assert_eq!(refused("GET", "/todos?select=count()", &[], ""), PlanError::Aggregates);
    assert_eq!(refused("GET", "/todos?select=id.max()", &[], ""), PlanError::Aggregates);
}

#[test]
fn only_available_media_types_are_accepted() {
    let error = refused("GET", "/todos", &["accept: image/png, text/html"], "");
    assert_eq!(error, PlanError::Media(vec!["image/png".into(), "text/html".into()]));
    let browser = request("GET", "/todos", &["accept: text/html,*/*;q=0.8"], "");
    assert!(plan(&browser, &schema(), &RestSettings::default()).is_ok());
}

#[test]
fn reads_and_stable_calls_may_not_write() {
    let access = |method, target, body| {
        let request = request(method, target, &[], body);
        let schema = schema();
        plan(&request, &schema, &RestSettings::default()).unwrap().access()
    };
    assert_eq!(access("GET", "/todos", ""), Access::ReadOnly);
    assert_eq!(access("POST", "/todos", "{}"), Access::ReadWrite);
    assert_eq!(access("POST", "/rpc/search", r#"{"query":"x"}"#), Access::ReadOnly);
    assert_eq!(access("POST", "/rpc/touch", ""), Access::ReadWrite);
    assert_eq!(access("GET", "/rpc/touch", ""), Access::ReadOnly);
}

#[test]
fn options_lists_the_methods() {
    let request = request("OPTIONS", "/todos", &[], "");
    let schema = schema();
    let Plan::Describe(allowed) = plan(&request, &schema, &RestSettings::default()).unwrap() else {
        panic!()
    };
    assert_eq!(allowed, "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE");
}
