use crate::check::Severity;
use crate::report::{Finding, Report};

use super::report;

fn finding(severity: Severity, id: &'static str, relation: &str) -> Finding {
    Finding {
        severity,
        id,
        title: "What it is",
        relation: relation.to_owned(),
        object: (severity == Severity::Warning).then(|| "a\u{1b}[31mpolicy".to_owned()),
        detail: "what is wrong".to_owned(),
        fix: (severity == Severity::Error).then(|| "select 1;".to_owned()),
    }
}

#[test]
fn findings_stand_below_their_relation_and_cannot_steer_the_terminal() {
    let findings = vec![
        finding(Severity::Error, "coverage.rls_disabled", "public.b"),
        finding(Severity::Warning, "hygiene.no_primary_key", "public.a"),
        finding(Severity::Warning, "hygiene.no_primary_key", "public.b"),
    ];
    let shown = report(&Report {
        schemas: vec!["public".to_owned()],
        relations: 3,
        policies: 2,
        findings,
        waived: Vec::new(),
        unused_waivers: vec!["old".to_owned()],
        of_platform: Vec::new(),
    });
    let expected = "\
public.b
  error    coverage.rls_disabled            What it is
           what is wrong
           fix: select 1;
  warning  hygiene.no_primary_key           What it is
           a\u{fffd}[31mpolicy: what is wrong

public.a
  warning  hygiene.no_primary_key           What it is
           a\u{fffd}[31mpolicy: what is wrong

rls.waive.old covers nothing; take it out
1 error, 2 warnings, 0 notes in 3 relations, 2 policies and 1 schema";
    assert_eq!(shown, expected);
}
