use std::collections::HashMap;

use super::{Facts, Function, Names, Operator, Scene};
use crate::tree::Node;

/// `=` and `<>` of `uuid`, `<` of `int4`; `auth.uid()`, and two functions of PostgreSQL.
const EQUAL: &str = "{OPEXPR :opno 2972 :opfuncid 2956 :args";
const UNEQUAL: &str = "{OPEXPR :opno 2973 :opfuncid 2957 :args";
const UID: &str = "{FUNCEXPR :funcid 20001 :args <>}";
const TENANT: &str = "{VAR :varno 1 :varattno 2 :vartype 2950 :varlevelsup 0}";
const OWNER: &str = "{VAR :varno 1 :varattno 3 :vartype 2950 :varlevelsup 0}";
const TRUE: &str = "{CONST :consttype 16 :constisnull false :constvalue 1 [ 1 0 0 0 0 0 0 0 ]}";
const FALSE: &str = "{CONST :consttype 16 :constisnull false :constvalue 1 [ 0 0 0 0 0 0 0 0 ]}";
const ID: &str = "{CONST :consttype 2950 :constisnull false :constvalue 16 [ 1 2 ]}";

fn names() -> Names {
    let function = |oid, schema, name, volatility| (oid, Function::new(oid, schema, name, volatility));
    let operator = |oid, name: &str, function| (oid, Operator { name: name.to_owned(), function });
    let functions = [
        function(2956, "pg_catalog", "uuid_eq", 'i'),
        function(2957, "pg_catalog", "uuid_ne", 'i'),
        function(66, "pg_catalog", "int4lt", 'i'),
        function(2077, "pg_catalog", "current_setting", 's'),
        function(1317, "pg_catalog", "length", 'i'),
        function(20001, "auth", "uid", 's'),
    ];
    let operators = [operator(2972, "=", 2956), operator(2973, "<>", 2957), operator(97, "<", 66)];
    Names::new(HashMap::from(functions), HashMap::from(operators))
}

fn judge(expression: &str) -> Facts {
    let names = names();
    let scene = Scene { names: &names, tenant: &[2], not_null: &[1, 2] };
    scene.judge(&Node::parse(expression).unwrap_or_else(|| panic!("{expression}")))
}

fn either(arms: &[&str]) -> String {
    format!("{{BOOLEXPR :boolop or :args ({})}}", arms.join(" "))
}

fn both(parts: &[&str]) -> String {
    format!("{{BOOLEXPR :boolop and :args ({})}}", parts.join(" "))
}

fn equal(left: &str, right: &str) -> String {
    format!("{EQUAL} ({left} {right})}}")
}

fn subquery(expression: &str) -> String {
    format!(
        "{{SUBLINK :subLinkType 4 :testexpr <> :subselect {{QUERY :rtable <> :targetList ({{TARGETENTRY :expr {expression}}})}}}}"
    )
}

#[test]
fn comparison_with_the_caller_binds_the_tenant() {
    let facts = judge(&equal(TENANT, &subquery(UID)));
    assert!(facts.names_row && facts.row_bound && facts.tenant_bound && facts.asks_caller);
    assert_eq!((facts.constant, facts.per_row.len(), facts.fixed_id), (None, 0, false));
}

#[test]
fn bare_call_runs_for_each_row() {
    let facts = judge(&equal(TENANT, UID));
    assert!(facts.tenant_bound);
    assert_eq!(facts.per_row.into_iter().collect::<Vec<_>>(), ["auth.uid"]);
}

#[test]
fn constants_are_folded() {
    let number =
        |n: u8| format!("{{CONST :consttype 23 :constisnull false :constvalue 4 [ {n} 0 0 0 0 0 0 0 ]}}");
    let less = |a, b| format!("{{OPEXPR :opno 97 :args ({} {})}}", number(a), number(b));
    let not_null = "{NULLTEST :nulltesttype 1 :arg {VAR :varattno 2 :varlevelsup 0}}";
    let bound = equal(TENANT, &subquery(UID));
    let length =
        "{FUNCEXPR :funcid 1317 :args ({CONST :consttype 25 :constisnull false :constvalue 1 [ 1 ]})}";
    for (expression, constant) in [
        (TRUE.to_owned(), Some(true)),
        (FALSE.to_owned(), Some(false)),
        (less(1, 2), Some(true)),
        (less(2, 1), Some(false)),
        (subquery(TRUE), Some(true)),
        (equal(TENANT, TENANT), Some(true)),
        (not_null.to_owned(), Some(true)),
        (either(&[&bound, TRUE]), Some(true)),
        (either(&[&bound, length]), Some(true)),
        (both(&[&bound, TRUE]), None),
        (both(&[&bound, FALSE]), Some(false)),
        (format!("{{BOOLEXPR :boolop not :args ({FALSE})}}"), Some(true)),
        (bound, None),
    ] {
        assert_eq!(judge(&expression).constant, constant, "{expression}");
    }
}

#[test]
fn every_arm_has_to_compare_the_tenant() {
    let tenant = equal(TENANT, &subquery(UID));
    let owner = equal(OWNER, &subquery(UID));
    let asks = "{FUNCEXPR :funcid 20001 :args <>}".to_owned();
    let role = "{SQLVALUEFUNCTION :op 10}";
    // expression, row, row but for callers, tenant, tenant but for callers, owner
    for (expression, expected) in [
        (either(&[&tenant, &owner]), [true, true, false, false, false]),
        (either(&[&tenant, &asks]), [false, true, false, true, false]),
        (either(&[&tenant, role]), [false, true, false, true, true]),
        (both(&[&owner, &asks]), [true, true, false, false, false]),
        (both(&[&owner, &tenant]), [true; 5]),
        (asks.clone(), [false; 5]),
        (format!("{UNEQUAL} ({TENANT} {})}}", subquery(UID)), [false; 5]),
        (equal(TENANT, OWNER), [false; 5]),
        (
            format!("{{BOOLEXPR :boolop not :args ({{DISTINCTEXPR :opno 2972 :args ({TENANT} {UID})}})}}"),
            [true; 5],
        ),
        (format!("{{DISTINCTEXPR :opno 2972 :args ({TENANT} {UID})}}"), [false; 5]),
        (format!("{{SCALARARRAYOPEXPR :opno 2972 :args ({TENANT} {UID})}}"), [true; 5]),
        (format!("{{SCALARARRAYOPEXPR :opno 2973 :args ({TENANT} {UID})}}"), [false; 5]),
        (format!("{{BOOLEANTEST :booltesttype 0 :arg {tenant}}}"), [true; 5]),
        (format!("{{BOOLEANTEST :booltesttype 1 :arg {tenant}}}"), [false; 5]),
        (either(&[FALSE, &asks]), [false; 5]),
        (either(&[FALSE, &tenant]), [true; 5]),
        (format!("{{NULLTEST :nulltesttype 0 :arg {OWNER}}}"), [false; 5]),
        (
            format!("{{CASEEXPR :args ({{CASEWHEN :expr {asks} :result {TRUE}}}) :defresult {tenant}}}"),
            [false, true, false, true, false],
        ),
    ] {
        let facts = judge(&expression);
        let found =
            [facts.row_bound, facts.row_lenient, facts.tenant_bound, facts.tenant_lenient, facts.owner_bound];
        assert_eq!(found, expected, "{expression}");
    }
}

#[test]
fn columns_of_a_subquery_are_not_the_rows() {
    let inner = "{VAR :varno 1 :varattno 2 :varlevelsup 0}";
    let outer = "{VAR :varno 1 :varattno 2 :varlevelsup 1}";
    let exists = |quals: &str| {
        format!(
            "{{SUBLINK :subLinkType 0 :testexpr <> :subselect {{QUERY :rtable ({{RANGETBLENTRY :rtekind 0 :relid 20002}}) :jointree {{FROMEXPR :quals {quals}}}}}}}"
        )
    };
    let unbound = judge(&exists(&equal(inner, UID)));
    assert!(!unbound.names_row && !unbound.row_bound && unbound.asks_caller);
    assert_eq!(unbound.reads.into_iter().collect::<Vec<_>>(), [20002]);
    let bound = judge(&exists(&equal(inner, outer)));
    assert!(bound.tenant_bound && !bound.asks_caller);
}

#[test]
fn settings_ids_and_claims_are_seen() {
    let setting = "{FUNCEXPR :funcid 2077 :args ({CONST :consttype 25})}";
    let cast = format!("{{COERCEVIAIO :resulttype 2950 :arg {setting}}}");
    let facts = judge(&equal(TENANT, &cast));
    assert!(facts.strict_setting && facts.bare_cast && facts.asks_caller);
    assert!(judge(&equal(TENANT, ID)).fixed_id);
    let bytes = b"user_metadata".map(|byte| byte.to_string()).join(" ");
    let claim = format!("{{CONST :consttype 25 :constisnull false :constvalue 17 [ 68 0 0 0 {bytes} ]}}");
    assert!(judge(&equal(TENANT, &claim)).editable_claims);
}
