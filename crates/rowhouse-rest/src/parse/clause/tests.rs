use crate::parse::RequestError;
use crate::plan::tests::{request, try_request};
use crate::request::*;

fn details(query: &str) -> (String, String) {
    match try_request("GET", &format!("/t?{query}"), &[], "").unwrap_err() {
        RequestError::Query(error) => (error.message, error.details),
        other => panic!("{other:?}"),
    }
}

#[test]
fn distinct_names_columns_and_paths() {
    let found = request("GET", "/t?distinct=(a,b->>c,%22x,y%22)&e.f.distinct=()", &[], "").distinct;
    let [(root, fields), (embed, none)] = found.as_slice() else { panic!("{found:?}") };
    assert!(root.is_empty() && none.is_empty());
    assert_eq!(fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["a", "b", "x,y"]);
    assert_eq!(fields[1].path, [JsonStep { as_text: true, key: JsonKey::Name("c".to_owned()) }]);
    assert_eq!(embed, &["e", "f"]);
}

#[test]
fn columns_named_like_the_clauses_can_be_filtered() {
    let found = request(
        "GET",
        "/t?distinct=eq.(a)&having=in.(1)&e.having=is.null&or=(having.eq.1,distinct.gt.2)",
        &[],
        "",
    );
    assert_eq!((found.distinct.len(), found.having.len()), (0, 0));
    let names: Vec<&str> = found.filters.iter().map(|(_, filter)| filter.field.name.as_str()).collect();
    assert_eq!(names, ["distinct", "having", "having"]);
    let quoted = request("GET", "/t?%22having%22=eq.1&having->a=eq.2", &[], "");
    assert_eq!(quoted.filters.len(), 2);
}

#[test]
fn having_is_a_tree_over_aggregates() {
    let target = "/t?having=(a.sum().gt.100,not.or(count().in.(1,2),b->>c::int.max().not.is.null))";
    let found = request("GET", target, &[], "").having;
    let [(path, Logic::Group { negated: false, connective: Connective::And, items })] = found.as_slice()
    else {
        panic!("{found:?}")
    };
    assert!(path.is_empty());
    let [Logic::Filter(sum), Logic::Group { negated: true, connective: Connective::Or, items }] =
        items.as_slice()
    else {
        panic!("{items:?}")
    };
    assert_eq!((sum.field.name.as_str(), sum.applied.function), ("a", Aggregate::Sum));
    let [Logic::Filter(count), Logic::Filter(most)] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((count.field.name.as_str(), count.applied.function), ("*", Aggregate::Count));
    assert_eq!(most.applied, Applied { function: Aggregate::Max, cast: Some("int".to_owned()) });
    assert!(most.negated);
}

#[test]
fn order_can_be_by_aggregate() {
    let found =
        request("GET", "/t?order=a.sum().desc.nullslast,count(),b::int.avg().asc,a.desc", &[], "").order;
    let shown: Vec<_> =
        found[0].1.iter().map(|t| (t.field.name.as_str(), t.applied.is_some(), t.direction)).collect();
    let (asc, desc) = (Some(Direction::Asc), Some(Direction::Desc));
    assert_eq!(shown, [("a", true, desc), ("*", true, None), ("b", true, asc), ("a", false, desc)]);
}

#[test]
fn malformed_clauses_report_their_position() {
    assert_eq!(
        details("distinct=(a"),
        (
            "\"failed to parse distinct ((a)\" (line 1, column 3)".to_owned(),
            "unexpected end of input expecting \",\" or \")\"".to_owned()
        )
    );
    for query in
        ["distinct=(", "distinct=(a,)", "distinct=(,a)", "distinct=(a)b", "distinct=(a.b)", "distinct=((a))"]
    {
        assert!(details(query).0.contains("distinct"), "{query}");
    }
    for query in ["having=(", "having=()", "having=(a.gt.1)", "having=(a.sum())", "having=(a.sum().gt)"] {
        assert!(details(query).0.contains("having"), "{query}");
    }
    assert!(details("having=(a.gt.1)").1.contains("aggregate (count(), column.sum(), ...)"));
    assert!(details("having=(a.max().fts.x)").1.contains("other than text search"));
    for query in
        ["order=a.sum(", "order=a.sum()desc", "order=count()count()", "order=a::int", "order=count(*)"]
    {
        assert!(details(query).0.contains("order"), "{query}");
    }
    let deep = format!("having={}count().gt.1{}", "(and".repeat(70), ")".repeat(70));
    assert!(details(&deep).1.contains("64 levels"));
}
