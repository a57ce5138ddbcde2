use proptest::prelude::*;
use rowhouse_db::flight::Query;

use crate::plan::plan;
use crate::plan::tests::{request, schema, schema_with, try_request};
use crate::request::{ApiRequest, SelectItem};
use crate::settings::RestSettings;

mod clause;
mod shape;

const GUC: &str = "nullif(current_setting('response.headers', true), ''), nullif(current_setting('response.status', true), '')";

fn query_capped(max_rows: Option<u64>, method: &str, target: &str, headers: &[&str], body: &str) -> Query {
    let schema = schema();
    let request = request(method, target, headers, body);
    let settings = RestSettings { max_rows, ..RestSettings::default() };
    super::main(&plan(&request, &schema, &settings).unwrap()).unwrap()
}

fn query(method: &str, target: &str, headers: &[&str], body: &str) -> (String, Vec<String>) {
    shown(&query_capped(None, method, target, headers, body))
}

fn query_with(
    settings: &RestSettings,
    method: &str,
    target: &str,
    headers: &[&str],
) -> (String, Vec<String>) {
    let schema = schema();
    shown(&super::main(&plan(&request(method, target, headers, ""), &schema, settings).unwrap()).unwrap())
}

fn shown(query: &Query) -> (String, Vec<String>) {
    let show = |param: &Option<bytes::Bytes>| {
        param.as_ref().map_or("null".to_owned(), |p| String::from_utf8(p.to_vec()).unwrap())
    };
    (query.sql.replace(GUC, "GUC"), query.params.iter().map(show).collect())
}

fn read(target: &str) -> (String, Vec<String>) {
    let (sql, params) = query("GET", target, &[], "");
    let sql = sql
        .strip_prefix(
            "select null::text, count(*)::text, GUC, coalesce(json_agg(rowhouse_row.*), '[]')::text from (",
        )
        .unwrap();
    (sql.strip_suffix(") rowhouse_row").unwrap().to_owned(), params)
}

#[test]
fn read_selects_filters_orders_and_limits() {
    let (sql, params) = read(
        "/todos?select=id,t:title,data->a->>0,id::text&id=gt.1&title=like.*x*&order=id.desc.nullslast&limit=20&offset=40",
    );
    assert_eq!(
        sql,
        r#"select "public"."todos"."id", "public"."todos"."title" as "t", "public"."todos"."data"->$1->>$2::integer as "a", cast("public"."todos"."id" as text) as "id" from "public"."todos" where "public"."todos"."id" > $3 and "public"."todos"."title" like $4 order by "public"."todos"."id" desc nulls last limit $5 offset $6"#
    );
    assert_eq!(params, ["a", "0", "1", "%x%", "20", "40"]);
}

#[test]
fn lists_are_one_parameter_of_any_length() {
    let (sql, params) = read(r#"/todos?select=id&title=in.(a,"b,\"c",d\e)"#);
    assert!(sql.ends_with(r#"where "public"."todos"."title" = any ($1)"#), "{sql}");
    assert_eq!(params, [r#"{"a","b,\"c","d\\e"}"#]);
    assert_eq!(read("/todos?select=id&id=in.()").1, ["{}"]);
    assert_eq!(read("/todos?select=id&title=in.(%22%22)").1, [r#"{""}"#]);
}

#[test]
fn logic_trees_keep_their_brackets() {
    let (sql, params) =
        read("/todos?select=id&or=(id.eq.1,not.and(done.is.true,id.isdistinct.2))&id=not.eq.any.3");
    assert!(
        sql.ends_with(
            r#"where ("public"."todos"."id" = $1 or not ("public"."todos"."done" is true and "public"."todos"."id" is distinct from $2)) and not "public"."todos"."id" = $3"#
        ),
        "{sql}"
    );
    assert_eq!(params, ["1", "2", "any.3"]);
}

#[test]
fn text_search_converts_columns_that_are_not_vectors() {
    let (sql, params) = read("/todos?select=id&words=fts.a&title=wfts(english).b");
    assert!(
        sql.ends_with(
            r#"where "public"."todos"."words" @@ to_tsquery($1) and to_tsvector($2::regconfig, "public"."todos"."title") @@ websearch_to_tsquery($3::regconfig, $4)"#
        ),
        "{sql}"
    );
    assert_eq!(params, ["a", "english", "english", "b"]);
}

#[test]
fn identifiers_are_quoted() {
    let (sql, _) = read("/odd%20%22name?select=%22a%20%5C%22b%22&%22a%20%5C%22b%22=is.null");
    assert_eq!(
        sql,
        r#"select "public"."odd ""name"."a ""b" from "public"."odd ""name" where "public"."odd ""name"."a ""b" is null"#
    );
}

#[test]
fn exact_count_reuses_the_page_when_that_is_everything() {
    let (sql, _) = query("GET", "/todos?select=id&id=eq.1", &["prefer: count=exact"], "");
    assert!(sql.starts_with("select count(*)::text, count(*)::text, "), "{sql}");
    let (sql, params) = query("GET", "/todos?select=id&id=eq.1&limit=1", &["prefer: count=exact"], "");
    assert!(
        sql.starts_with(r#"select (select count(*) from (select 1 from "public"."todos" where "public"."todos"."id" = $1) rowhouse_count)::text, "#),
        "{sql}"
    );
    assert_eq!(params, ["1", "1", "1"]);
}

#[test]
fn estimated_count_stops_after_the_cap() {
    let query = query_capped(Some(10), "GET", "/todos?select=id", &["prefer: count=estimated"], "");
    assert!(query.sql.contains(r#"from "public"."todos" limit $1) rowhouse_count"#), "{}", query.sql);
    assert_eq!(query.params[0].as_deref(), Some(&b"11"[..]));
    assert!(query.sql.ends_with(r#"from "public"."todos" limit $2) rowhouse_row"#), "{}", query.sql);
}

#[test]
fn estimate_explains_what_is_counted() {
    let schema = schema();
    let request = request("GET", "/todos?id=gt.5&limit=1", &["prefer: count=planned"], "");
    let query = super::estimate(&plan(&request, &schema, &RestSettings::default()).unwrap()).unwrap();
    assert_eq!(
        &*query.sql,
        r#"explain (format json) select 1 from "public"."todos" where "public"."todos"."id" > $1"#
    );
}

#[test]
fn head_builds_no_body() {
    let (sql, _) = query("HEAD", "/todos?select=id", &[], "");
    assert_eq!(
        sql,
        r#"select null::text, count(*)::text, GUC, '' from (select "public"."todos"."id" from "public"."todos") rowhouse_row"#
    );
}

#[test]
fn object_is_the_first_row() {
    let (sql, _) =
        query("GET", "/todos?select=id", &["accept: application/vnd.pgrst.object+json;nulls=stripped"], "");
    assert!(sql.contains("coalesce(json_strip_nulls(json_agg(rowhouse_row.*)->0), 'null')::text"), "{sql}");
}

#[test]
fn insert_expands_the_body_with_the_columns_types() {
    let (sql, params) = query("POST", "/todos", &[], r#"[{"title":"a","done":true}]"#);
    assert_eq!(
        sql,
        r#"with rowhouse_source as (insert into "public"."todos" ("done", "title") select rowhouse_body."done", rowhouse_body."title" from json_to_recordset($1::json) as rowhouse_body("done" boolean, "title" text) returning 1) select count(*)::text, count(*)::text, GUC, null::text, null::text, null::text, '' from rowhouse_source"#
    );
    assert_eq!(params, [r#"[{"title":"a","done":true}]"#]);
}

#[test]
fn upsert_counts_new_rows() {
    let (sql, _) = query(
        "POST",
        "/todos?select=id",
        &["prefer: resolution=merge-duplicates, return=representation"],
        r#"{"id":1,"title":"a"}"#,
    );
    assert!(sql.contains(r#"on conflict ("id") do update set "id" = excluded."id", "title" = excluded."title" where set_config("#), "{sql}");
    assert!(sql.contains(r#"returning "public"."todos"."id") select"#), "{sql}");
    assert!(
        sql.ends_with(r#" from (select "todos"."id" from rowhouse_source as "todos") rowhouse_row"#),
        "{sql}"
    );
    let (sql, _) =
        query("POST", "/todos?on_conflict=title", &["prefer: resolution=ignore-duplicates"], r#"{"id":1}"#);
    assert!(sql.contains(r#"on conflict ("title") do nothing"#), "{sql}");
}

#[test]
fn missing_values_take_defaults_when_asked() {
    let (sql, params) = query("POST", "/todos?columns=id,done", &["prefer: missing=default"], "[{}]");
    assert!(
        sql.contains(r#"select case when rowhouse_json.rowhouse_element ? $1::text then rowhouse_body."done" else (false)::boolean end, case when rowhouse_json.rowhouse_element ? $2::text then rowhouse_body."id" else (nextval('public.todos_id_seq'::regclass))::bigint end from jsonb_array_elements($3::jsonb) as rowhouse_json(rowhouse_element), jsonb_to_record(rowhouse_json.rowhouse_element) as rowhouse_body("done" boolean, "id" bigint)"#),
        "{sql}"
    );
    assert_eq!(params, ["done", "id", "[{}]"]);
}

#[test]
fn update_and_delete_are_bounded_by_root_filters() {
    let (sql, params) = query(
        "PATCH",
        "/todos?id=eq.1&limit=5",
        &["prefer: handling=strict, max-affected=3"],
        r#"{"title":"a"}"#,
    );
    assert_eq!(
        sql,
        r#"with rowhouse_source as (update "public"."todos" set "title" = rowhouse_body."title" from json_to_record($1::json) as rowhouse_body("title" text) where "public"."todos"."id" = $2 returning 1) select count(*)::text, count(*)::text, GUC, null::text, null::text, rowhouse.require_rows((select count(*) from rowhouse_source), $3::bigint, $4::bigint)::text, '' from rowhouse_source"#
    );
    assert_eq!(params, [r#"{"title":"a"}"#, "1", "null", "3"]);
    let (sql, _) = query("DELETE", "/todos?id=eq.1", &["accept: application/vnd.pgrst.object+json"], "");
    assert!(sql.starts_with(r#"with rowhouse_source as (delete from "public"."todos" where "public"."todos"."id" = $1 returning 1)"#));
    assert!(sql.contains("rowhouse.require_rows(count(*), $2::bigint, $3::bigint)::text"), "{sql}");
}

#[test]
fn empty_update_touches_nothing() {
    let (sql, _) = query("PATCH", "/todos?id=eq.1", &[], "{}");
    assert!(
        sql.starts_with(r#"with rowhouse_source as (select 1 from "public"."todos" where false) select"#),
        "{sql}"
    );
}

#[test]
fn put_must_match_its_key() {
    let (sql, _) = query("PUT", "/todos?id=eq.1", &[], r#"{"id":1}"#);
    assert!(sql.contains(r#"<> '0' and rowhouse_body."id" = $2 on conflict ("id") do update"#), "{sql}");
}

#[test]
fn headers_only_returns_the_key() {
    let (sql, _) =
        query("POST", "/todo_labels", &["prefer: return=headers-only"], r#"{"todo_id":1,"label_id":2}"#);
    assert!(sql.contains(r#"case when count(*) = 1 then (select json_build_array("todo_id"::text, "label_id"::text) from rowhouse_source limit 1)::text end"#), "{sql}");
}

#[test]
fn scalar_call_takes_typed_arguments() {
    let (sql, params) = query("GET", "/rpc/add?a=1&b=2", &[], "");
    assert_eq!(
        sql,
        r#"with rowhouse_source as (select "public"."add"("a" := $1::integer, "b" := $2::integer) as rowhouse_scalar) select null::text, '1', GUC, null::text, null::text, null::text, coalesce(json_agg(rowhouse_row.rowhouse_scalar)->0, 'null')::text from (select "add".* from rowhouse_source as "add") rowhouse_row"#
    );
    assert_eq!(params, ["1", "2"]);
    assert_eq!(query("GET", "/rpc/sum?numbers=1&numbers=2", &[], "").1, [r#"{"1","2"}"#]);
}

#[test]
fn table_call_expands_its_body_and_filters_its_result() {
    let (sql, _) = query("POST", "/rpc/search?select=id&done=is.true", &[], r#"{"query":"x"}"#);
    assert_eq!(
        sql,
        r#"with rowhouse_source as (select rowhouse_call."done", rowhouse_call."id" from json_to_record($1::json) as rowhouse_body("query" text), lateral "public"."search"("query" := rowhouse_body."query") as rowhouse_call) select null::text, count(*)::text, GUC, null::text, null::text, null::text, coalesce(json_agg(rowhouse_row.*), '[]')::text from (select "todos"."id" from rowhouse_source as "todos" where "todos"."done" is true) rowhouse_row"#
    );
}

#[test]
fn single_unnamed_argument_takes_the_whole_body() {
    assert!(query("POST", "/rpc/whole", &[], r#"{"any":1}"#).0.contains(r#""public"."whole"($1::json)"#));
    let (sql, params) = query("POST", "/rpc/blob", &["content-type: application/octet-stream"], "\u{1}a");
    assert!(sql.contains(r#""public"."blob"($1::bytea)"#));
    assert_eq!(params, ["\\x0161"]);
}

#[test]
fn embeds_are_lateral_joins() {
    let (sql, _) = read("/todos?select=id,lists(name)&lists.name=eq.x");
    assert_eq!(
        sql,
        r#"select "public"."todos"."id", row_to_json(rowhouse_1_0.*) as "lists" from "public"."todos" left join lateral (select rowhouse_t1."name" from "public"."lists" as rowhouse_t1 where rowhouse_t1."id" = "public"."todos"."list_id" and rowhouse_t1."name" = $1) as rowhouse_1_0 on true"#
    );
    let (sql, _) = read("/lists?select=id,todos!inner(id)");
    assert!(sql.contains(r#"inner join lateral (select json_agg(rowhouse_1_0.*) as rowhouse_1_0 from (select rowhouse_t1."id" from "public"."todos" as rowhouse_t1 where rowhouse_t1."list_id" = "public"."lists"."id") as rowhouse_1_0) as rowhouse_1_0 on rowhouse_1_0.rowhouse_1_0 is not null"#), "{sql}");
    let (sql, _) = read("/todos?select=labels(name)");
    assert!(sql.contains(r#"from "public"."labels" as rowhouse_t1 cross join "public"."todo_labels" as rowhouse_junction where rowhouse_junction."todo_id" = "public"."todos"."id" and rowhouse_t1."id" = rowhouse_junction."label_id""#), "{sql}");
}

/// Every `'…'` outside quoted identifiers.
fn literals(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = sql;
    while let Some(at) = rest.find(['"', '\'']) {
        let quote = &rest[at..=at];
        let end = rest[at + 1..].find(quote).unwrap_or_else(|| panic!("unbalanced: {sql}"));
        if quote == "'" {
            found.push(rest[at + 1..at + 1 + end].to_owned());
        }
        rest = &rest[at + end + 2..];
    }
    found
}

const OURS: [&str; 10] = [
    "",
    "[]",
    "null",
    "1",
    "0",
    "-1",
    "response.headers",
    "response.status",
    "rowhouse.inserted",
    "public.todos_id_seq",
];

fn value() -> impl Strategy<Value = String> {
    r#"[a-z'"\\;$0-9 é%-]{1,12}"#.prop_map(|text| {
        percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string()
    })
}

/// The columns that the root of a request names.
fn named(request: &ApiRequest) -> Vec<&str> {
    let selected = request.select.iter().filter_map(|item| match item {
        SelectItem::Column(column) => Some(&column.field),
        SelectItem::Embed(_) => None,
    });
    let filtered = request.filters.iter().map(|(_, filter)| &filter.field);
    let ordered = request.order.iter().flat_map(|(_, terms)| terms).map(|term| &term.field);
    let mut names: Vec<&str> =
        selected.chain(filtered).chain(ordered).map(|field| field.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| *name != "*" && schema().table("public", "todos").unwrap().column(name).is_none());
    names
}

proptest! {
    #[test]
    fn sql_text_depends_on_the_shape_of_the_request_only(a in value(), b in value(), operator in "(eq|gt|like|cs|match|isdistinct|fts|in)", limit in 1..99_u32) {
        let target = |value: &str, limit: u32| match operator.as_str() {
            "in" => format!("/todos?select=id,data->>k&title=in.({value})&limit={limit}"),
            _ => format!("/todos?select=id&title={operator}.{value}&or=(id.eq.{},done.is.true)&limit={limit}", "1"),
        };
        let one = try_request("GET", &target(&a, limit), &[], "");
        let two = try_request("GET", &target(&b, limit + 1), &[], "");
        if let (Ok(one), Ok(two)) = (one, two) {
            let schema = schema();
            let settings = RestSettings::default();
            let text = |request| super::main(&plan(request, &schema, &settings).unwrap()).unwrap().sql;
            prop_assert_eq!(text(&one), text(&two));
        }
    }

    #[test]
    fn statements_contain_only_constant_literals(column in value(), quoted in any::<bool>(), input in value(), method in "(GET|PATCH|DELETE|HEAD)", alias in value()) {
        let column = if quoted { format!("%22{}%22", column.replace("%22", "").replace("%5C", "")) } else { column };
        let target = format!("/todos?select=id,{alias}:{column},{column}->{alias}&{column}=eq.{input}&order={column}.desc");
        if let Ok(request) = try_request(&method, &target, &["prefer: return=representation"], r#"{"title":"x'y"}"#) {
            // Makes the request's names known columns, since unknown ones never get into a statement.
            let schema = schema_with(&named(&request));
            let plan = plan(&request, &schema, &RestSettings::default());
            prop_assert!(plan.is_ok(), "{:?}", plan);
            let Ok(plan) = plan else { return Ok(()) };
            let query = super::main(&plan).unwrap();
            for literal in literals(&query.sql) {
                prop_assert!(OURS.contains(&literal.as_str()), "{} in {}", literal, query.sql);
            }
            let highest = query.params.len();
            let over = format!("${}", highest + 1);
            prop_assert!(!query.sql.contains(&over) || target.contains("%24"), "{}", query.sql);
        }
    }
}
