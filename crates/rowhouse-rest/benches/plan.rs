//! Parse, plan and SQL of typical requests: the work done for every request before the database is asked.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use rowhouse_db::catalog::{
    Argument, Column, ForeignKey, Function, QualifiedName, Returns, Snapshot, Table, Volatility,
};
use rowhouse_rest::{RestSettings, Sample, explain};

fn main() {
    divan::main();
}

fn table(name: &str, columns: &[(&str, &str)]) -> Table {
    Table {
        name: QualifiedName::new("public", name),
        columns: columns.iter().map(|(name, kind)| Column::new(*name, *kind)).collect(),
        primary_key: vec!["id".to_owned()],
        insertable: true,
        updatable: true,
        deletable: true,
        ..Table::default()
    }
}

fn snapshot() -> Snapshot {
    let todos =
        [("id", "bigint"), ("title", "text"), ("done", "boolean"), ("list_id", "integer"), ("data", "jsonb")];
    let tables = vec![table("todos", &todos), table("lists", &[("id", "integer"), ("name", "text")])];
    let key = ForeignKey {
        constraint: "todos_list_id_fkey".to_owned(),
        table: QualifiedName::new("public", "todos"),
        columns: vec!["list_id".to_owned()],
        foreign: QualifiedName::new("public", "lists"),
        foreign_columns: vec!["id".to_owned()],
        one_to_one: false,
    };
    let search = Function {
        name: QualifiedName::new("public", "search"),
        arguments: vec![Argument {
            name: "query".to_owned(),
            type_name: "text".to_owned(),
            required: true,
            variadic: false,
        }],
        returns_set: true,
        returns: Returns::Row(QualifiedName::new("public", "todos")),
        columns: Vec::new(),
        volatility: Volatility::Stable,
        settings: Vec::new(),
    };
    Snapshot::new(&["public".to_owned()], tables, vec![search], &[key])
}

fn bench(
    bencher: divan::Bencher<'_, '_>,
    method: &Method,
    target: &str,
    prefer: Option<&'static str>,
    body: String,
) {
    let snapshot = snapshot();
    let settings = RestSettings::default();
    let mut headers = HeaderMap::new();
    headers.insert("accept", HeaderValue::from_static("application/json"));
    if let Some(prefer) = prefer {
        headers.insert("prefer", HeaderValue::from_static(prefer));
    }
    let sample = Sample { method, path_and_query: target, headers: &headers, body: Bytes::from(body) };
    bencher.bench_local(|| explain(&sample, &snapshot, &settings).map(|explained| explained.query).ok());
}

#[divan::bench]
fn one_row_by_key(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, &Method::GET, "/todos?select=*&id=eq.42", None, String::new());
}

#[divan::bench]
fn twenty_rows_filtered_and_ordered(bencher: divan::Bencher<'_, '_>) {
    let target =
        "/todos?select=id,title,done&done=is.false&list_id=in.(1,2,3)&order=id.desc&limit=20&offset=40";
    bench(bencher, &Method::GET, target, Some("count=exact"), String::new());
}

#[divan::bench]
fn logic_tree(bencher: divan::Bencher<'_, '_>) {
    let target = "/todos?select=id&or=(title.ilike.*milk*,and(done.is.true,list_id.gt.3),data->>k.eq.v)";
    bench(bencher, &Method::GET, target, None, String::new());
}

#[divan::bench]
fn embed(bencher: divan::Bencher<'_, '_>) {
    bench(
        bencher,
        &Method::GET,
        "/lists?select=name,todos(id,title)&todos.order=id&todos.limit=5",
        None,
        String::new(),
    );
}

#[divan::bench]
fn insert_of_one_row(bencher: divan::Bencher<'_, '_>) {
    let body = r#"{"title":"buy milk","done":false,"list_id":1}"#.to_owned();
    bench(bencher, &Method::POST, "/todos", Some("return=representation"), body);
}

#[divan::bench]
fn insert_of_a_thousand_rows(bencher: divan::Bencher<'_, '_>) {
    let rows = vec![r#"{"title":"buy milk","done":false,"list_id":1}"#; 1000];
    bench(bencher, &Method::POST, "/todos", None, format!("[{}]", rows.join(",")));
}

#[divan::bench]
fn function_call(bencher: divan::Bencher<'_, '_>) {
    bench(bencher, &Method::POST, "/rpc/search?select=id,title", None, r#"{"query":"milk"}"#.to_owned());
}
