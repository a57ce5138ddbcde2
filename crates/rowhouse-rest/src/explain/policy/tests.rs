use super::{calls_per_row, wrapped};

#[test]
fn bare_calls_are_wrapped() {
    let (text, calls) = wrapped("((user_id = auth.uid()) OR (tenant_id = auth.tenant_id()))").unwrap();
    assert_eq!(text, "((user_id = (select auth.uid())) OR (tenant_id = (select auth.tenant_id())))");
    assert_eq!(calls, ["auth.uid()", "auth.tenant_id()"]);
    let (text, _) = wrapped("(owner = (current_setting('app.user'::text, true))::uuid)").unwrap();
    assert_eq!(text, "(owner = ((select current_setting('app.user'::text, true)))::uuid)");
    let (text, _) = wrapped("(((auth.jwt() ->> 'email'::text)) = email)").unwrap();
    assert_eq!(text, "((((select auth.jwt()) ->> 'email'::text)) = email)");
}

#[test]
fn wrapped_calls_are_left_alone() {
    for text in [
        "(tenant_id = ( SELECT auth.tenant_id() AS tenant_id))",
        "(a = ( SELECT ((auth.jwt() ->> 'a'::text))::uuid AS uuid))",
        "(name = 'auth.uid()'::text)",
        "(CURRENT_USER = 'x'::name)",
    ] {
        assert_eq!(wrapped(text), None, "{text}");
    }
}

#[test]
fn call_within_a_query_over_a_table_is_made_per_row_of_it() {
    let text = "(EXISTS ( SELECT 1 FROM members m WHERE ((m.user_id = auth.uid()) AND (m.team = team))))";
    let (text, _) = wrapped(text).unwrap();
    assert!(text.contains("m.user_id = (select auth.uid())"), "{text}");
}

#[test]
fn call_that_takes_a_column_cannot_be_wrapped() {
    assert_eq!(wrapped("tenancy.has_role(tenant_id, 'admin'::text)"), None);
    assert!(wrapped("tenancy.has_role('admin'::text)").is_some());
    assert_eq!(wrapped("auth.may(\"Id\")"), None);
}

#[test]
fn inlined_function_is_seen_in_a_plan() {
    assert!(calls_per_row(
        "(n.tenant_id = (((NULLIF(current_setting('request.jwt.claims'::text, true), ''::text))::jsonb ->> 'tenant_id'::text))::uuid)"
    ));
    assert!(!calls_per_row("(n.tenant_id = $0)"));
}
