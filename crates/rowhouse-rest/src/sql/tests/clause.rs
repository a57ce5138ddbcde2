use proptest::prelude::*;

use super::{OURS, literals, query_with, read, value};
use crate::plan::tests::{request, schema, try_request};
use crate::plan::{PlanError, plan};
use crate::settings::RestSettings;

fn grouped(target: &str) -> (String, Vec<String>) {
    let (sql, params) = query_with(&aggregating(), "GET", target, &[]);
    let sql = sql.split_once("'[]')::text from (").unwrap().1.to_owned();
    (sql.strip_suffix(") rowhouse_row").unwrap().to_owned(), params)
}

fn aggregating() -> RestSettings {
    RestSettings { aggregates: true, ..RestSettings::default() }
}

fn refused(method: &str, target: &str, body: &str) -> String {
    let schema = schema();
    match plan(&request(method, target, &[], body), &schema, &aggregating()) {
        Err(PlanError::Clause(message)) => message,
        other => panic!("{target}: {other:?}"),
    }
}

#[test]
fn distinct_on_puts_its_columns_in_front_of_the_order() {
    let head =
        r#"select distinct on ("public"."todos"."list_id") "public"."todos"."title" from "public"."todos""#;
    for (order, written) in [
        ("", r#""public"."todos"."list_id""#),
        ("&order=id.desc", r#""public"."todos"."list_id", "public"."todos"."id" desc"#),
        ("&order=id.desc,list_id.desc", r#""public"."todos"."list_id" desc, "public"."todos"."id" desc"#),
        (
            "&order=list_id.asc.nullsfirst,id",
            r#""public"."todos"."list_id" asc nulls first, "public"."todos"."id""#,
        ),
    ] {
        let (sql, params) = read(&format!("/todos?select=title&distinct=(list_id){order}&limit=5"));
        assert_eq!(sql, format!("{head} order by {written} limit $1"));
        assert_eq!(params, ["5"]);
    }
}

#[test]
fn distinct_on_several_keeps_the_clients_order_among_them() {
    let (sql, _) = read("/todos?select=id&distinct=(list_id,done)&order=done.desc");
    assert!(
        sql.starts_with(
            r#"select distinct on ("public"."todos"."list_id", "public"."todos"."done") "public""#
        ),
        "{sql}"
    );
    assert!(sql.ends_with(r#"order by "public"."todos"."done" desc, "public"."todos"."list_id""#), "{sql}");
}

#[test]
fn json_paths_are_repeated_by_position() {
    let (sql, params) =
        read("/todos?select=id,kind:data->>kind&distinct=(data->>kind)&order=data->>kind.desc,id");
    assert_eq!(
        sql,
        r#"select distinct on (2) "public"."todos"."id", "public"."todos"."data"->>$1 as "kind" from "public"."todos" order by 2 desc, "public"."todos"."id""#
    );
    assert_eq!(params, ["kind"]);
    let (sql, _) = read("/todos?select=*,kind:data->>kind&distinct=(data->>kind)");
    assert!(sql.starts_with("select distinct on (7) ") && sql.ends_with(" order by 7"), "{sql}");
}

#[test]
fn distinct_rows_are_ordered_by_selected_columns() {
    let (sql, _) = read("/todos?select=title,done&distinct=()&order=done.desc");
    assert_eq!(
        sql,
        r#"select distinct "public"."todos"."title", "public"."todos"."done" from "public"."todos" order by 2 desc"#
    );
    let (sql, _) = read("/todos?select=done,...lists(name)&distinct=()&order=lists(name)");
    assert!(sql.ends_with(r#"order by rowhouse_1_0."name""#), "{sql}");
    let message = "distinct rows can only be ordered by columns that are selected";
    for order in ["id", "lists(name)", "count()", "title"] {
        assert_eq!(
            refused(
                "GET",
                &format!("/todos?select=done,title::varchar,lists(id)&distinct=()&order={order}"),
                ""
            ),
            message
        );
    }
}

#[test]
fn total_counts_distinct_rows_and_groups() {
    let total = |target: &str| {
        let (sql, params) = query_with(&aggregating(), "GET", target, &["prefer: count=exact"]);
        let sql = sql.strip_prefix("select (select count(*) from (").unwrap().to_owned();
        (sql.split_once(") rowhouse_count").unwrap().0.to_owned(), params)
    };
    let (sql, params) = total("/todos?select=done&distinct=()&id=gt.1&order=done&limit=2");
    assert_eq!(
        sql,
        r#"select distinct "public"."todos"."done" from "public"."todos" where "public"."todos"."id" > $1"#
    );
    assert_eq!(params, ["1", "1", "2"]);
    let (sql, _) = total("/todos?select=done&having=(count().gt.1)&limit=2");
    assert_eq!(
        sql,
        r#"select "public"."todos"."done" from "public"."todos" group by 1 having (count(*) > $1)"#
    );
    let (sql, _) = total("/lists?select=id,todos!inner()&todos.having=(count().gt.1)&limit=2");
    assert_eq!(
        sql,
        r#"select 1 from "public"."lists" where exists (select 1 as rowhouse_one from "public"."todos" as rowhouse_t1 where rowhouse_t1."list_id" = "public"."lists"."id" having (count(*) > $1) and count(*) > 0)"#
    );
}

#[test]
fn having_filters_groups_and_aggregates_order_them() {
    let (sql, params) = grouped(
        "/todos?select=list_id,id.sum()&done=is.true&having=(id.sum().gt.100,not.or(count().lt.2,data->>n::int.max().is.null))&order=id.sum().desc,count(),list_id",
    );
    assert_eq!(
        sql,
        r#"select "public"."todos"."list_id", sum("public"."todos"."id") from "public"."todos" where "public"."todos"."done" is true group by 1 having (sum("public"."todos"."id") > $1 and not (count(*) < $2 or max(cast("public"."todos"."data"->>$3 as int)) is null)) order by sum("public"."todos"."id") desc, count(*), 1"#
    );
    assert_eq!(params, ["100", "2", "n"]);
}

#[test]
fn groups_need_no_selected_aggregate() {
    let (sql, _) = grouped("/todos?select=list_id&having=(count().gte.2)");
    assert_eq!(
        sql,
        r#"select "public"."todos"."list_id" from "public"."todos" group by 1 having (count(*) >= $1)"#
    );
    let (sql, _) = grouped("/todos?select=list_id&order=count().desc");
    assert!(sql.ends_with(r#" group by 1 order by count(*) desc"#), "{sql}");
    let (sql, _) = grouped("/todos?select=id.sum()&having=(count().gt.1)");
    assert!(sql.ends_with(r#"from "public"."todos" having (count(*) > $1)"#), "{sql}");
    let (sql, _) = grouped("/todos?select=count(),kind:data->>kind&having=(count().gt.1)&order=data->>kind");
    assert!(sql.ends_with(r#" group by 2 having (count(*) > $2) order by 2"#), "{sql}");
    let (sql, _) = grouped("/todos?select=done,count()&distinct=()&order=count().desc");
    assert!(sql.starts_with("select distinct ") && sql.ends_with(" group by 1 order by 2 desc"), "{sql}");
}

#[test]
fn embeds_have_clauses_of_their_own() {
    let (sql, params) =
        grouped("/lists?select=name,todos(title)&todos.distinct=(title)&todos.order=id.desc&todos.limit=3");
    assert!(
        sql.contains(r#"(select distinct on (rowhouse_t1."title") rowhouse_t1."title" from "public"."todos" as rowhouse_t1 where rowhouse_t1."list_id" = "public"."lists"."id" order by rowhouse_t1."title", rowhouse_t1."id" desc limit $1)"#),
        "{sql}"
    );
    assert_eq!(params, ["3"]);
    let (sql, _) =
        grouped("/lists?select=name,todos(done,count())&todos.having=(count().gt.1)&todos.order=count()");
    assert!(sql.contains(r#"group by 1 having (count(*) > $1) order by count(*)) as rowhouse_1_0"#), "{sql}");
}

#[test]
fn clauses_work_on_the_rows_of_a_function() {
    let target = "/rpc/search?query=x&select=done&distinct=(list_id)&order=id";
    let (sql, _) = query_with(&aggregating(), "GET", target, &[]);
    assert!(sql.contains(r#"select distinct on ("todos"."list_id") "todos"."done" from rowhouse_source as "todos" order by "todos"."list_id", "todos"."id""#), "{sql}");
    let (sql, _) =
        query_with(&aggregating(), "GET", "/rpc/search?query=x&select=done&having=(id.max().gt.1)", &[]);
    assert!(
        sql.starts_with(r#"with rowhouse_source as (select rowhouse_call."done", rowhouse_call."id" from"#),
        "{sql}"
    );
}

#[test]
fn invalid_clauses_are_refused_with_a_clear_error() {
    let names = "having and order by aggregate need a select that names the columns to group by";
    for target in [
        "/todos?having=(count().gt.1)",
        "/todos?select=*&order=count()",
        "/todos?select=&having=(count().gt.1)",
    ] {
        assert_eq!(refused("GET", target, ""), names);
    }
    assert_eq!(
        refused("GET", "/todos?select=id,...lists(name)&lists.having=(count().gt.1)", ""),
        "having and order by aggregate cannot stand in a spread embed"
    );
    assert_eq!(
        refused("GET", "/todos?select=done,count()&distinct=(id)", ""),
        "distinct columns of groups have to be selected"
    );
    assert_eq!(
        refused("GET", "/todos?select=id&distinct=(data->>kind)", ""),
        "JSON paths in distinct have to be selected"
    );
    for (method, target) in [("PATCH", "/todos?distinct=(id)"), ("POST", "/todos?having=(count().gt.1)")] {
        assert_eq!(refused(method, target, r#"{"title":"x"}"#), "distinct and having are for reads");
    }
}

#[test]
fn having_requires_the_aggregates_setting() {
    let schema = schema();
    for target in ["/todos?select=id&having=(count().gt.1)", "/todos?select=id&order=count()"] {
        let request = request("GET", target, &[], "");
        let found = plan(&request, &schema, &RestSettings::default()).map(|plan| format!("{plan:?}"));
        assert_eq!(found, Err(PlanError::Aggregates));
    }
}

#[test]
fn clause_for_a_resource_that_is_not_embedded_is_refused() {
    let schema = schema();
    for target in ["/todos?select=id&lists.distinct=(id)", "/todos?select=id&lists.having=(count().gt.1)"] {
        let request = request("GET", target, &[], "");
        let found = plan(&request, &schema, &aggregating()).map(|plan| format!("{plan:?}"));
        assert_eq!(found, Err(PlanError::NotEmbedded { target: "lists".to_owned(), alias: None }));
    }
}

proptest! {
    #[test]
    fn clauses_add_only_constant_literals(column in value(), input in value(), cast in value()) {
        let target = format!(
            "/todos?select=id,{column}&having=({column}.max().eq.{input},{column}::{cast}.min().in.({input}))&order={column}.sum()&distinct=({column})"
        );
        let Ok(request) = try_request("GET", &target, &[], "") else { return Ok(()) };
        let (schema, settings) = (schema(), aggregating());
        let Ok(plan) = plan(&request, &schema, &settings) else { return Ok(()) };
        let query = crate::sql::main(&plan).unwrap();
        for literal in literals(&query.sql) {
            prop_assert!(OURS.contains(&literal.as_str()), "{} in {}", literal, query.sql);
        }
    }
}
