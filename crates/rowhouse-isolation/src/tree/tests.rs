use super::Node;

#[test]
fn stored_expression_is_read_with_lists_constants_and_escapes() {
    let text = r"{OPEXPR :opno 98 :args ({VAR :varno 1 :varattno -2 :varlevelsup 0 :location 5} {CONST :constvalue 5 [ 20 0 0 0 -61 ] :location 9}) :names (\:a b\ c) :none <>}";
    let node = Node::parse(text).unwrap();
    let record = node.record().unwrap();
    assert_eq!((record.name.as_str(), record.number("opno")), ("OPEXPR", Some(98)));
    let args = record.list("args");
    assert_eq!(args.len(), 2);
    assert_eq!(args[0].record().unwrap().number("varattno"), Some(-2));
    assert_eq!(args[1].record().unwrap().bytes("constvalue"), [20, 0, 0, 0, 0xc3]);
    assert_eq!(record.list("names"), [Node::Word(":a".to_owned()), Node::Word("b c".to_owned())]);
    assert!(record.list("none").is_empty());
}

#[test]
fn expressions_that_differ_in_position_only_are_equal() {
    let at = |place: u8| Node::parse(&format!("{{VAR :varattno 1 :location {place}}}")).unwrap();
    assert_eq!(at(3), at(40));
}

#[test]
fn what_has_another_form_is_refused() {
    for text in ["", "{VAR", "{VAR :a}", "(1 2", "{VAR :a 1} x", "}", &"(".repeat(5000)] {
        assert_eq!(Node::parse(text), None, "{text:.20}");
    }
}
