use proptest::prelude::*;

use super::{RangeProblem, RequestError};
use crate::plan::tests::{request, try_request};
use crate::request::*;

mod query_method;

fn filter(target: &str) -> Filter {
    request("GET", target, &[], "").filters.remove(0).1
}

fn query_error(target: &str) -> (String, String) {
    match try_request("GET", target, &[], "").unwrap_err() {
        RequestError::Query(error) => (error.message, error.details),
        other => panic!("{other:?}"),
    }
}

fn compare(operator: Compare, value: &str) -> Operation {
    Operation::Compare { operator, quantifier: None, value: value.to_owned() }
}

#[test]
fn every_comparison_operator_is_known() {
    use Compare::*;
    let words = [
        ("eq", Eq),
        ("gte", Gte),
        ("gt", Gt),
        ("lte", Lte),
        ("lt", Lt),
        ("like", Like),
        ("ilike", Ilike),
        ("match", Match),
        ("imatch", Imatch),
        ("neq", Neq),
        ("cs", Contains),
        ("cd", Contained),
        ("ov", Overlaps),
        ("sl", StrictlyLeft),
        ("sr", StrictlyRight),
        ("nxr", NotExtendsRight),
        ("nxl", NotExtendsLeft),
        ("adj", Adjacent),
    ];
    for (word, operator) in words {
        assert_eq!(filter(&format!("/t?a={word}.x.y,(z)")).operation, compare(operator, "x.y,(z)"), "{word}");
        assert!(filter(&format!("/t?a=not.{word}.x")).negated);
    }
}

#[test]
fn quantifiers_belong_to_some_operators() {
    let Operation::Compare { quantifier, value, .. } = filter("/t?a=like(any).{x*,y*}").operation else {
        panic!()
    };
    assert_eq!((quantifier, value.as_str()), (Some(Quantifier::Any), "{x*,y*}"));
    for target in
        ["/t?a=neq(any).1", "/t?a=eq(some).1", "/t?a=is(any).null", "/t?a=in(any).(1)", "/t?a=eq().1"]
    {
        query_error(target);
    }
}

#[test]
fn is_takes_five_words_in_any_case() {
    let words = [
        ("null", IsValue::Null),
        ("NOT_NULL", IsValue::NotNull),
        ("True", IsValue::True),
        ("false", IsValue::False),
        ("unknown", IsValue::Unknown),
    ];
    for (word, value) in words {
        assert_eq!(filter(&format!("/t?a=is.{word}")).operation, Operation::Is(value));
    }
    query_error("/t?a=is.nil");
    query_error("/t?a=is.nullx");
}

#[test]
fn list_elements_may_be_quoted() {
    let list = |target| match filter(target).operation {
        Operation::In(values) => values,
        other => panic!("{other:?}"),
    };
    assert_eq!(list("/t?a=in.(1,2)"), ["1", "2"]);
    assert_eq!(list(r#"/t?a=in.("a,b","c\"d\\",e f)"#), ["a,b", "c\"d\\", "e f"]);
    assert!(list("/t?a=in.()").is_empty());
    assert_eq!(list(r#"/t?a=in.("")"#), [""]);
    assert_eq!(list(r#"/t?a=in.("x"y,z)"#), ["\"x\"y", "z"]);
    query_error("/t?a=in.1,2");
    query_error("/t?a=in.(1,2");
}

#[test]
fn text_search_takes_a_configuration() {
    let search = |kind, config: Option<&str>| Operation::Search {
        kind,
        config: config.map(str::to_owned),
        value: "cat".to_owned(),
    };
    assert_eq!(filter("/t?a=fts.cat").operation, search(Search::Raw, None));
    assert_eq!(filter("/t?a=plfts(english).cat").operation, search(Search::Plain, Some("english")));
    assert_eq!(filter("/t?a=phfts.cat").operation, search(Search::Phrase, None));
    assert_eq!(filter("/t?a=wfts(simple).cat").operation, search(Search::Web, Some("simple")));
}

#[test]
fn json_paths_know_keys_and_indexes() {
    let field = filter("/t?data->a->>-1=eq.x").field;
    assert_eq!(field.name, "data");
    let path = [
        JsonStep { as_text: false, key: JsonKey::Name("a".into()) },
        JsonStep { as_text: true, key: JsonKey::Index("-1".into()) },
    ];
    assert_eq!(field.path, path);
    assert_eq!(filter("/t?data->>1a=eq.x").field.path[0].key, JsonKey::Name("1a".into()));
    assert_eq!(filter("/t?data->>a-b=eq.x").field.path[0].key, JsonKey::Name("a-b".into()));
}

#[test]
fn select_knows_aliases_casts_paths_and_embeds() {
    let items =
        request("GET", "/t?select=a, b:c->d::text ,*,x:rel!hint!inner(id,deep(*)),...spread(y)", &[], "")
            .select;
    assert_eq!(items.len(), 5);
    let SelectItem::Column(second) = &items[1] else { panic!() };
    assert_eq!(
        (second.alias.as_deref(), second.field.name.as_str(), second.cast.as_deref()),
        (Some("b"), "c", Some("text"))
    );
    let SelectItem::Embed(embed) = &items[3] else { panic!() };
    assert_eq!(
        (embed.output_name(), embed.relation.as_str(), embed.hint.as_deref()),
        ("x", "rel", Some("hint"))
    );
    assert_eq!(embed.join, JoinType::Inner);
    assert_eq!(embed.items.len(), 2);
    let SelectItem::Embed(spread) = &items[4] else { panic!() };
    assert!(spread.spread);
}

#[test]
fn select_knows_aggregates() {
    let items = request("GET", "/t?select=count(),n:id.max()::text", &[], "").select;
    let SelectItem::Column(column) = &items[1] else { panic!() };
    assert_eq!((column.aggregate, column.aggregate_cast.as_deref()), (Some(Aggregate::Max), Some("text")));
    let SelectItem::Column(column) = &items[0] else { panic!() };
    assert_eq!(column.aggregate, Some(Aggregate::Count));
}

#[test]
fn names_may_be_quoted_dashed_and_unicode() {
    assert_eq!(filter("/t?%22a.b%22=eq.1").field.name, "a.b");
    assert_eq!(filter("/t?a-b%20c=eq.1").field.name, "a-b c");
    assert_eq!(filter("/t?%D9%85%D9%88%D8%A7%D8%B1%D8%AF=eq.1").field.name, "موارد");
}

#[test]
fn aliases_that_postgresql_would_cut_are_refused() {
    let (fits, long) = ("a".repeat(63), "a".repeat(64));
    for alias in [
        format!("{fits}:id"),
        format!("{fits}:lists(id)"),
        format!("data->>{fits}"),
        format!("b:data->>{long}"),
    ] {
        request("GET", &format!("/t?select={alias}"), &[], "");
    }
    for alias in [
        format!("{long}:id"),
        format!("lists({long}:id.sum())"),
        format!("id,{long}:lists(id)"),
        format!("data->>{long}"),
    ] {
        let (_, details) = query_error(&format!("/t?select={alias}"));
        assert!(details.ends_with("expecting an alias of at most 63 bytes"), "{alias}: {details}");
    }
}

#[test]
fn order_knows_direction_nulls_and_relations() {
    let terms =
        request("GET", "/t?order=a.desc.nullslast,b->>c,rel(d).asc,e.nullsfirst", &[], "").order.remove(0).1;
    assert_eq!((terms[0].direction, terms[0].nulls), (Some(Direction::Desc), Some(Nulls::Last)));
    assert_eq!(terms[2].relation.as_deref(), Some("rel"));
    assert_eq!((terms[3].direction, terms[3].nulls), (None, Some(Nulls::First)));
}

#[test]
fn order_mistakes_are_worded_as_postgrest_words_them() {
    assert_eq!(
        query_error("/t?order=id.descc"),
        (
            "\"failed to parse order (id.descc)\" (line 1, column 8)".into(),
            "unexpected 'c' expecting delimiter (.), \",\" or end of input".into()
        )
    );
    assert_eq!(
        query_error("/t?order=id.smth").1,
        "unexpected \"s\" expecting \"asc\", \"desc\", \"nullsfirst\" or \"nullslast\""
    );
    assert_eq!(
        query_error("/t?order=id.asc.x").1,
        "unexpected \"x\" expecting \"nullsfirst\" or \"nullslast\""
    );
}

#[test]
fn filter_without_operator_is_refused() {
    assert_eq!(
        query_error("/t?id=val"),
        (
            "\"failed to parse filter (val)\" (line 1, column 1)".into(),
            "unexpected \"v\" expecting \"not\" or operator (eq, gt, ...)".into()
        )
    );
}

#[test]
fn logic_trees_nest() {
    let (path, tree) =
        request("GET", "/t?not.or=(a.eq.1,and(b.not.is.null,c.in.(1,2)),d.eq.%22x,)%22,e.cs.{1,2})", &[], "")
            .logic
            .remove(0);
    assert!(path.is_empty());
    let Logic::Group { negated: true, connective: Connective::Or, items } = tree else { panic!("{tree:?}") };
    assert_eq!(items.len(), 4);
    let Logic::Filter(quoted) = &items[2] else { panic!() };
    assert_eq!(quoted.operation, compare(Compare::Eq, "x,)"));
    let Logic::Filter(array) = &items[3] else { panic!() };
    assert_eq!(array.operation, compare(Compare::Contains, "{1,2}"));
    assert_eq!(request("GET", "/t?select=*,rel(*)&rel.or=(a.eq.1)", &[], "").logic[0].0, ["rel"]);
}

#[test]
fn columns_named_like_operators_can_be_filtered_in_trees() {
    let (_, tree) = request("GET", "/t?and=(order.eq.1,android.eq.2,not.eq.3)", &[], "").logic.remove(0);
    let Logic::Group { items, .. } = tree else { panic!() };
    assert_eq!(items.len(), 3);
}

#[test]
fn deep_nesting_is_a_mistake_and_not_a_crash() {
    for (open, close) in [("and(", ")"), ("not.or(", ")"), ("(", ")")] {
        let tree = format!("/t?or=({}a.eq.1{})", open.repeat(20_000), close.repeat(20_000));
        query_error(&tree);
    }
    query_error(&format!("/t?select={}id{}", "r(".repeat(20_000), ")".repeat(20_000)));
    let fits = format!("/t?or=({}a.eq.1{})", "and(".repeat(60), ")".repeat(60));
    assert!(try_request("GET", &fits, &[], "").is_ok());
}

#[test]
fn undecodable_text_is_refused() {
    for target in ["/t?a=eq.%00", "/t?a=eq.%ff", "/t?%00=eq.1", "/%ff", "/%00", "/rpc/f?a=%c3%28"] {
        query_error(target);
    }
}

#[test]
fn arguments_are_distinguished_from_filters() {
    let request = request("GET", "/rpc/f?a=1&b=eq.2&c=isabel&d=in&select=x", &[], "");
    assert_eq!(
        request.arguments,
        [("a".into(), "1".into()), ("c".into(), "isabel".into()), ("d".into(), "in".into())]
    );
    assert_eq!(request.filters.len(), 1);
}

#[test]
fn ranges_come_from_limit_offset_and_header() {
    let range = |target, header: &[&str]| request("GET", target, header, "").range;
    assert_eq!(range("/t?limit=10&offset=5", &[]), RowRange { lower: 5, upper: Some(14) });
    assert_eq!(range("/t", &["range: 2-3"]), RowRange { lower: 2, upper: Some(3) });
    assert_eq!(range("/t?limit=2", &["range: 1-"]), RowRange { lower: 1, upper: Some(1) });
    assert_eq!(range("/t?limit=0", &[]), RowRange::NONE);
    assert_eq!(range("/t?limit=many&offset=-3", &[]), RowRange::ALL);
    assert_eq!(range("/t?limit=99999999999999999999", &[]).limit(), Some(i64::MAX));
    assert_eq!(request("DELETE", "/t", &["range: 2-3"], "").range, RowRange::ALL);
}

#[test]
fn impossible_ranges_are_refused() {
    let problem = |target, headers: &[&str]| try_request("GET", target, headers, "").unwrap_err();
    assert_eq!(problem("/t?limit=-1", &[]), RequestError::Range(RangeProblem::NegativeLimit));
    assert_eq!(problem("/t", &["range: 5-2"]), RequestError::Range(RangeProblem::UpsideDown));
    assert_eq!(try_request("PUT", "/t?id=eq.1&limit=1", &[], "{}").unwrap_err(), RequestError::PutRange);
}

#[test]
fn first_mention_of_a_preference_counts() {
    let headers =
        ["prefer: return=minimal, count=exact,max-affected=3", "prefer: return=representation , odd"];
    let prefer = request("GET", "/t", &headers, "").prefer;
    assert_eq!(prefer.representation, Some(Representation::Minimal));
    assert_eq!((prefer.count, prefer.max_affected), (Some(Count::Exact), Some(3)));
    assert_eq!(prefer.unknown, ["odd"]);
    assert_eq!(prefer.strict_max_affected(), None);
}

#[test]
fn accepted_types_are_ordered_by_weight() {
    let accept = request(
        "GET",
        "/t",
        &["accept: text/csv;q=0.5, application/vnd.pgrst.object+json;nulls=stripped;q=0.9, */*;q=0.1"],
        "",
    )
    .accept;
    assert_eq!(accept, [Media::Object { strip: true }, Media::Csv, Media::Any]);
}

#[test]
fn body_errors_are_reported() {
    let body = |body: &str| match try_request("POST", "/t", &[], body).unwrap_err() {
        RequestError::Body(message) => message.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(body(""), "Empty or invalid json");
    assert_eq!(body("{"), "Empty or invalid json");
    assert_eq!(body(r#"[{"a":1},{"b":2}]"#), "All object keys must match");
    assert_eq!(body(&"[".repeat(20_000)), "JSON is nested too deeply");
    let error = try_request("POST", "/t", &["content-type: image/png"], "x").unwrap_err();
    assert_eq!(error, RequestError::Body("Content-Type not acceptable: image/png".into()));
}

#[test]
fn columns_replace_the_keys_of_the_body() {
    let request = request("POST", "/t?columns=%22b%22,a", &[], r#"[{"a":1},{"c":2}]"#);
    let Some(Payload::Json { keys, shape, .. }) = request.payload else { panic!() };
    assert_eq!((keys, shape), (vec!["a".to_owned(), "b".to_owned()], Shape::Array));
}

#[test]
fn schema_is_chosen_by_profile() {
    assert_eq!(request("GET", "/t", &[], "").schema, "public");
    assert!(try_request("GET", "/t", &["accept-profile: auth"], "").is_err());
    assert!(!request("GET", "/t", &[], "").names_schema);
    assert!(request("POST", "/t", &["content-profile: public"], "{}").names_schema);
}

#[test]
fn paths_and_methods_are_checked() {
    let error = |method, target| try_request(method, target, &[], "").unwrap_err();
    assert_eq!(error("GET", "/a/b"), RequestError::Path);
    assert_eq!(error("GET", "/a/"), RequestError::Path);
    assert_eq!(error("TRACE", "/a"), RequestError::Method("TRACE".into()));
    assert_eq!(error("DELETE", "/rpc/f"), RequestError::CallMethod("DELETE".into()));
    assert_eq!(
        request("GET", "/a%20b", &[], "").action,
        Action::Read { table: "a b".into(), headers_only: false }
    );
}

#[test]
fn canonical_query_is_sorted_and_encoded() {
    assert_eq!(
        request("GET", "/t?b=eq.x%20y&a=eq.é&select=*", &[], "").canonical,
        Some("a=eq.%C3%A9&b=eq.x+y&select=%2A".to_owned())
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn parse_never_panics(method in "GET|QUERY|POST|PUT|PATCH|DELETE|HEAD", path in "/(rpc/)?[a-z%0-9]{0,8}", query in r#"[ -~é]{0,64}"#, body in r#"[\[\]{}",:a1\\]{0,24}"#, prefer in "[ -~]{0,32}") {
        let prefer = format!("prefer: {prefer}");
        let _ = try_request(&method, &format!("{path}?{query}"), &[&prefer, &prefer], &body);
    }

    #[test]
    fn grammar_never_panics(key in "(select|order|or|and|not\\.or|a|a->b|columns|limit|rel\\.offset|distinct|having|rel\\.having)", value in r#"(not|eq|in|is|fts|or|and|any|count\(\)|\.sum\(\)|a|b|\(|\)|,|\.|->|>>|::|:|"|\\|\{|\}|!|\*|[0-9]| ){0,24}"#) {
        let _ = try_request("GET", &format!("/t?{key}={value}"), &[], "");
        let _ = try_request("GET", &format!("/rpc/f?{key}={value}"), &[], "");
    }
}
