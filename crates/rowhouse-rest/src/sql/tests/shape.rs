use super::{query, read};
use crate::plan::plan;
use crate::plan::tests::{request, schema};
use crate::settings::RestSettings;

fn aggregate(target: &str) -> String {
    let schema = schema();
    let request = request("GET", target, &[], "");
    let settings = RestSettings { aggregates: true, ..RestSettings::default() };
    let sql = crate::sql::main(&plan(&request, &schema, &settings).unwrap()).unwrap().sql;
    sql.split_once(" from (").unwrap().1.strip_suffix(") rowhouse_row").unwrap().to_owned()
}

#[test]
fn aggregates_group_by_everything_else() {
    assert_eq!(
        aggregate("/todos?select=done,n:count(),id.max()::text&order=done"),
        r#"select "public"."todos"."done", count(*) as "n", cast(max("public"."todos"."id") as text) from "public"."todos" group by 1 order by 1"#
    );
}

#[test]
fn to_one_spread_lifts_columns_and_their_aggregates() {
    assert_eq!(
        aggregate("/todos?select=done,...lists(name,id.sum(),count())"),
        r#"select "public"."todos"."done", "rowhouse_1_0"."name" as "name", sum("rowhouse_1_0"."sum") as "sum", count("rowhouse_1_0"."count") as "count" from "public"."todos" left join lateral (select rowhouse_t1."name", rowhouse_t1."id" as "sum", 1 as "count" from "public"."lists" as rowhouse_t1 where rowhouse_t1."id" = "public"."todos"."list_id") as rowhouse_1_0 on true group by 1, 2"#
            .replace("\"rowhouse_1_0\"", "rowhouse_1_0")
    );
}

#[test]
fn to_many_spread_lifts_one_array_for_each_column() {
    assert_eq!(
        read("/lists?select=id,...todos(title)&todos.order=id").0,
        r#"select "public"."lists"."id", rowhouse_1_0."title" as "title" from "public"."lists" left join lateral (select nullif(count(*), 0) as rowhouse_1_0, coalesce(json_agg(rowhouse_1_0."title"), '[]') as "title" from (select rowhouse_t1."title" from "public"."todos" as rowhouse_t1 where rowhouse_t1."list_id" = "public"."lists"."id" order by rowhouse_t1."id") as rowhouse_1_0) as rowhouse_1_0 on true"#
    );
}

#[test]
fn csv_is_a_line_of_names_and_the_rows_text_forms() {
    let (sql, params) = query("GET", "/todos?select=id", &["accept: text/csv"], "");
    let body = r#"$1::text || coalesce(string_agg(case when rowhouse_row."id" is not distinct from null then 'NULL' when concat(rowhouse_row."id") ~ '[\s"(),\\]|^$|^NULL$' then '"' || replace(concat(rowhouse_row."id"), '"', '""') || '"' else concat(rowhouse_row."id") end, e'\n'), '')"#;
    assert_eq!(
        sql,
        format!(
            r#"select null::text, count(*)::text, GUC, {body} from (select "public"."todos"."id" from "public"."todos") rowhouse_row"#
        )
    );
    assert_eq!(params, ["id\n"]);
}

#[test]
fn csv_body_is_expanded_like_json() {
    let (sql, params) =
        query("POST", "/todos", &["content-type: text/csv"], "title,id\na,1\n\"b \"\"c\"\"\",NULL\n");
    assert!(
        sql.contains(r#"json_to_recordset($1::json) as rowhouse_body("id" bigint, "title" text)"#),
        "{sql}"
    );
    assert_eq!(params, [r#"[{"title":"a","id":"1"},{"title":"b \"c\"","id":null}]"#]);
}

#[test]
fn project_s_handlers_come_first_and_the_table_s_before_generic_ones() {
    use rowhouse_db::catalog::{HandlerSource, MediaHandler, QualifiedName};
    let maker = |name: &str, source, media: &str| MediaHandler {
        function: QualifiedName::new("public", name),
        source,
        media: media.to_owned(),
        is_bytes: false,
    };
    let todos = || HandlerSource::Table(QualifiedName::new("public", "todos"));
    let schema = schema().with_handlers(vec![
        maker("any_ical", HandlerSource::AnyRows, "text/calendar"),
        maker("todos_ical", todos(), "text/calendar"),
    ]);
    let sql = |target: &str| {
        let request = request("GET", target, &["accept: text/calendar"], "");
        crate::sql::main(&plan(&request, &schema, &RestSettings::default()).unwrap()).unwrap().sql
    };
    assert!(sql("/todos").contains(r#""public"."todos_ical"((rowhouse_row.*)::"public"."todos")"#));
    assert!(sql("/todos?select=id").contains(r#""public"."any_ical"(rowhouse_row.*)"#));
    assert!(sql("/lists").contains(r#""public"."any_ical"(rowhouse_row.*)"#));
}

#[test]
fn rows_become_features_where_the_database_can_make_them() {
    let request = request("GET", "/todos?select=id", &["accept: application/geo+json"], "");
    let mut schema = schema();
    assert!(plan(&request, &schema, &RestSettings::default()).is_err());
    schema.make_features_with(rowhouse_db::catalog::QualifiedName::new("gis", "st_asgeojson"));
    let sql = crate::sql::main(&plan(&request, &schema, &RestSettings::default()).unwrap()).unwrap().sql;
    let features = r#"json_build_object('type', 'FeatureCollection', 'features', coalesce(json_agg("gis"."st_asgeojson"(rowhouse_row.*)::json), '[]'))::text"#;
    assert!(sql.contains(features), "{sql}");
}

#[test]
fn plans_require_the_plan_enabled_setting() {
    let schema = schema();
    let accept = "accept: application/vnd.pgrst.plan+json; for=\"text/csv\"; options=buffers|analyze|x";
    let request = request("GET", "/todos?select=id", &[accept], "");
    let allowed = RestSettings { plan_enabled: true, ..RestSettings::default() };
    let sql = crate::sql::main(&plan(&request, &schema, &allowed).unwrap()).unwrap().sql;
    assert!(sql.starts_with("explain (format json, analyze, buffers) select "), "{sql}");
    assert!(plan(&request, &schema, &RestSettings::default()).is_err());
}

/// The tests' schema with a domain over `todos.title` that is shown and read by functions of its own.
fn represented() -> rowhouse_db::catalog::Snapshot {
    use rowhouse_db::catalog::{Column, QualifiedName, Representation, Snapshot, Table};
    let mut title = Column::new("title", "public.shout");
    title.representation = Representation {
        to_json: Some("public.show".to_owned()),
        from_json: Some("public.read_json".to_owned()),
        from_text: Some("public.read_text".to_owned()),
    };
    let table = Table {
        name: QualifiedName::new("public", "todos"),
        columns: vec![Column::new("id", "bigint"), title],
        primary_key: vec!["id".to_owned()],
        insertable: true,
        ..Table::default()
    };
    Snapshot::new(&["public".to_owned()], vec![table], vec![], &[])
}

#[test]
fn domains_with_representations_are_shown_and_read_by_them() {
    let schema = represented();
    let sql = |method: &str, target: &str, body: &str| {
        let request = request(method, target, &["prefer: return=representation"], body);
        crate::sql::main(&plan(&request, &schema, &RestSettings::default()).unwrap()).unwrap().sql
    };
    let read = sql("GET", "/todos?title=eq.A&or=(title.in.(B,C),id.eq.1)", "");
    for part in [
        r#"select "public"."todos"."id", public.show("public"."todos"."title") as "title" from"#,
        r#""public"."todos"."title" = public.read_text($"#,
        r#""public"."todos"."title" = any ((select public.read_text(unnest($"#,
    ] {
        assert!(read.contains(part), "{part} in {read}");
    }
    let write = sql("POST", "/todos", r#"{"title":"A"}"#);
    for part in [
        r#"select public.read_json(rowhouse_body."title") from json_to_record($1::json) as rowhouse_body("title" json)"#,
        r#"public.show("todos"."title") as "title""#,
    ] {
        assert!(write.contains(part), "{part} in {write}");
    }
}

#[test]
fn settings_of_role_and_function_come_before_the_project_s_function() {
    let settings = [("statement_timeout", "3s"), ("app.plan", "free")];
    let query = crate::sql::before(settings, Some("api.check")).unwrap();
    assert_eq!(&*query.sql, r#"select set_config($1, $2, true), set_config($3, $4, true), "api"."check"()"#);
    assert_eq!(query.params.len(), 4);
    assert!(crate::sql::before([], None).is_none());
}
