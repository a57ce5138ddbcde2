use super::dollar_quoted;

#[test]
fn tag_does_not_occur_in_the_text() {
    assert_eq!(dollar_quoted("select 1"), "$$ select 1 $$");
    assert_eq!(dollar_quoted("select \"a$$b\""), "$q1$ select \"a$$b\" $q1$");
    assert_eq!(dollar_quoted("$$ $q1$"), "$q2$ $$ $q1$ $q2$");
}
