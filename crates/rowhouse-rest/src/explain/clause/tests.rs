use super::{Clause, clauses, sort_column};

fn of(column: &str, cast: Option<&str>, operator: &str, value: &str) -> Clause {
    let cast = cast.map(str::to_owned);
    Clause { column: column.to_owned(), cast, operator: operator.to_owned(), value: value.to_owned() }
}

#[test]
fn comparisons_are_found_within_conjunctions() {
    let text = "((todos.rank = 1) AND (todos.tenant_id = $0) AND ((todos.title)::text ~~ '% AND (x%'::text))";
    let expected = [
        of("rank", None, "=", "1"),
        of("tenant_id", None, "=", "$0"),
        of("title", Some("text"), "~~", "'% AND (x%'::text"),
    ];
    assert_eq!(clauses(text, "todos"), expected);
}

#[test]
fn quoted_names_lists_and_swapped_operands_are_parsed() {
    assert_eq!(clauses(r#"("To do"."a""b" >= 3)"#, "To do"), [of("a\"b", None, ">=", "3")]);
    assert_eq!(
        clauses("(t.rank = ANY ('{1,2}'::integer[]))", "t"),
        [of("rank", None, "= ANY", "('{1,2}'::integer[])")]
    );
    assert_eq!(clauses("(lists.id < t.list_id)", "t"), [of("list_id", None, ">", "lists.id")]);
}

#[test]
fn conditions_that_no_index_can_serve_are_skipped() {
    for text in [
        "((t.a = 1) OR (t.b = 2))",
        "(t.done IS FALSE)",
        "(NOT t.done)",
        "((t.details ->> 'shop'::text) = 'x'::text)",
        "(other.a = 1)",
        "(lower(t.a) = 'x'::text)",
    ] {
        assert_eq!(clauses(text, "t"), [], "{text}");
    }
}

#[test]
fn sort_keys_lose_their_direction() {
    assert_eq!(sort_column("todos.rank DESC NULLS LAST", "todos").as_deref(), Some("rank"));
    assert_eq!(sort_column("todos.id", "todos").as_deref(), Some("id"));
    assert_eq!(sort_column("(lower(todos.title))", "todos"), None);
}
