use serde_json::{Value, json};

use crate::explain::{ExplainReport, Facts, Hint, Tree, analyse};

/// A recorded plan of a filtered read of 10,000 rows below a tenant policy, with another filter.
fn plan(filter: &str) -> Value {
    json!([{ "Plan": {
        "Node Type": "Aggregate", "Strategy": "Plain", "Startup Cost": 249.01, "Total Cost": 249.02, "Plan Rows": 1,
        "Plan Width": 64, "Output": ["count(*)"],
        "Plans": [
            { "Node Type": "Result", "Parent Relationship": "InitPlan", "Subplan Name": "InitPlan 1 (returns $0)",
              "Startup Cost": 0.0, "Total Cost": 0.03, "Plan Rows": 1, "Output": ["(current_setting('x'::text))::uuid"] },
            { "Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "notes", "Schema": "public",
              "Alias": "notes", "Startup Cost": 0.0, "Total Cost": 249.0, "Plan Rows": 2, "Output": ["notes.id"],
              "Filter": filter }
        ]
    }}])
}

fn facts(indexes: &[&[&str]], using: &str) -> Facts {
    let indexes: Vec<Value> = indexes
        .iter()
        .enumerate()
        .map(|(n, columns)| json!({ "name": format!("i{n}"), "method": "btree", "partial": false, "columns": columns }))
        .collect();
    let column = |name: &str, type_name: &str, leakproof: bool| json!({ "name": name, "quoted": name, "type": type_name, "leakproof": leakproof });
    let policy = |name: &str, command: &str| json!({ "name": name, "quoted": name, "command": command, "permissive": true, "roles": ["authenticated"], "using": using, "check": null });
    serde_json::from_value(json!([{
        "schema": "public", "name": "notes", "quoted": "public.notes", "role": "authenticated", "rows": 10000,
        "row_security": true, "bypassed": false, "indexes": indexes,
        "columns": [column("id", "bigint", true), column("tenant_id", "uuid", true), column("rank", "integer", true),
            column("title", "text", true), column("price", "numeric", false), column("code", "character varying", true)],
        "policies": [policy("mine", "select"), policy("change", "update")],
    }]))
    .unwrap()
}

const WRAPPED: &str = "(tenant_id = ( SELECT auth.tenant_id() AS tenant_id))";
const BARE: &str = "(tenant_id = auth.tenant_id())";

fn report(filter: &str, facts: &Facts) -> ExplainReport {
    analyse(Tree::read(&plan(filter)).unwrap(), facts)
}

fn kinds(hints: &[Hint]) -> Vec<(&str, Option<&str>)> {
    hints.iter().map(|hint| (hint.kind, hint.statement.as_deref())).collect()
}

#[test]
fn filter_without_index_suggests_one_that_begins_with_the_tenant() {
    let filter = "((notes.tenant_id = $0) AND (notes.rank = 5))";
    let found = report(filter, &facts(&[&["id"], &["tenant_id"]], WRAPPED)).hints;
    let expected = [("missing_index", Some("create index on public.notes (tenant_id, rank);"))];
    assert_eq!(kinds(&found), expected);
    assert_eq!(found[0].message, "about 10000 rows of public.notes are read to find those by rank");
}

#[test]
fn usable_index_removes_the_hint() {
    let filter = "((notes.tenant_id = $0) AND (notes.rank > 5))";
    for serving in [&["tenant_id", "rank"][..], &["rank"]] {
        let found = report(filter, &facts(&[&["tenant_id"], serving], WRAPPED)).hints;
        assert_eq!(kinds(&found), [], "{serving:?}");
    }
    let found = report(filter, &facts(&[&["tenant_id"], &["title", "rank"]], WRAPPED)).hints;
    assert_eq!(found.len(), 1, "an index that begins with another column does not serve");
}

#[test]
fn small_tables_may_be_read_whole() {
    let mut small = facts(&[&["tenant_id"]], WRAPPED);
    small[0].rows = 300.0;
    assert_eq!(kinds(&report("((notes.tenant_id = $0) AND (notes.rank = 5))", &small).hints), []);
}

#[test]
fn table_without_tenant_index_is_reported_even_while_small() {
    let mut small = facts(&[&["id"]], WRAPPED);
    small[0].rows = 3.0;
    let found = report("(notes.tenant_id = $0)", &small).hints;
    assert_eq!(kinds(&found), [("tenant_index", Some("create index on public.notes (tenant_id);"))]);
}

#[test]
fn bare_call_in_a_policy_is_wrapped_by_the_hint() {
    let filter = "(notes.tenant_id = ((current_setting('request.jwt.claims'::text, true))::jsonb ->> 'tenant_id'::text)::uuid)";
    let found = report(filter, &facts(&[&["tenant_id"]], BARE)).hints;
    let statement = "alter policy mine on public.notes using ((tenant_id = (select auth.tenant_id())));";
    assert_eq!(kinds(&found), [("initplan", Some(statement))]);
    assert!(found[0].message.ends_with("and the plan's filter shows the call"), "{}", found[0].message);
    assert_eq!(kinds(&report("(notes.tenant_id = $0)", &facts(&[&["tenant_id"]], WRAPPED)).hints), []);
}

#[test]
fn conditions_that_no_index_serves_are_named() {
    let facts = facts(&[&["tenant_id"], &["rank"], &["price"], &["code"]], WRAPPED);
    let kind = |filter: &str| report(filter, &facts).hints.iter().map(|hint| hint.kind).collect::<Vec<_>>();
    assert_eq!(kind("((notes.rank)::text = '5'::text)"), ["cast"]);
    assert_eq!(kind("(notes.title ~~* '%milk%'::text)"), ["leading_wildcard"]);
    assert_eq!(kind("(notes.title ~~ 'milk%'::text)"), [""; 0]);
    assert_eq!(kind("(notes.price = '5'::numeric)"), ["not_leakproof"]);
    assert_eq!(kind("((notes.code)::text = 'x'::text)"), [""; 0], "varchar is text to an index");
}

#[test]
fn only_policies_of_the_command_apply() {
    let report = report("(notes.tenant_id = $0)", &facts(&[&["tenant_id"]], WRAPPED));
    let names: Vec<&str> = report.relations[0].policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["mine"]);
    assert_eq!(report.sequential.len(), 1);
}

#[test]
fn report_reads_as_a_tree_with_its_numbers_in_columns() {
    let report = report("((notes.tenant_id = $0) AND (notes.rank = 5))", &facts(&[&["tenant_id"]], WRAPPED));
    let expected = "\
Plan                                                                          cost      rows
  Aggregate                                                         249.01..249.02         1
  ├─ InitPlan 1 (returns $0): Result                                    0.00..0.03         1
  └─ Seq Scan on public.notes                                         0.00..249.00         2
         Filter: ((notes.tenant_id = $0) AND (notes.rank = 5))

Policies
  public.notes as authenticated
    mine (permissive, for select, to authenticated)
      using (tenant_id = ( SELECT auth.tenant_id() AS tenant_id))

Indexes used
  none

Read sequentially
  public.notes (Seq Scan: 2 rows expected)

Hints
  1. about 10000 rows of public.notes are read to find those by rank
     create index on public.notes (tenant_id, rank);
";
    assert_eq!(report.to_string(), expected);
}

#[test]
fn document_that_is_not_a_plan_is_none() {
    assert!(Tree::read(&json!({ "Plan": 1 })).is_none() && Tree::read(&json!([])).is_none());
}
