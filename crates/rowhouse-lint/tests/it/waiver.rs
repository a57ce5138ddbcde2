//! Waivers: one rule, one statement, one reason.

use crate::support::{last, lines};

const DROP: &str = "alter table public.notes drop column body;";

#[test]
fn waiver_with_a_reason_covers_its_rule_in_the_statement_below_it() {
    let report = last(&[&format!("-- rowhouse: allow ban-drop-column: nobody reads it\n{DROP}")]);
    assert_eq!(report.findings, []);
    assert_eq!(report.waived.len(), 1);
    assert_eq!(report.waived[0].reason, "nobody reads it");
    let other = last(&[&format!("-- rowhouse: allow ban-drop-column: nobody reads it\n{DROP}\n{DROP}")]);
    assert_eq!(lines(&other.findings), ["3:26 error ban-drop-column"]);
}

#[test]
fn waiver_without_a_reason_and_one_that_covers_nothing_are_findings() {
    for comment in [
        "-- rowhouse: allow ban-drop-column",
        "-- rowhouse: allow ban-drop-column:",
        "-- rowhouse: allow ban-drop-column:  ",
    ] {
        let report = last(&[&format!("{comment}\n{DROP}")]);
        assert_eq!(lines(&report.findings), ["1:1 error waiver", "2:26 error ban-drop-column"], "{comment}");
    }
    let unused = last(&["-- rowhouse: allow ban-drop-column: old\nselect 1;"]);
    assert_eq!(lines(&unused.findings), ["1:1 error waiver"]);
    let last_line = last(&[&format!("{DROP}\n-- rowhouse: allow ban-drop-column: late")]);
    assert_eq!(lines(&last_line.findings), ["1:26 error ban-drop-column", "2:1 error waiver"]);
}

#[test]
fn comments_for_another_linter_waive_nothing() {
    let report = last(&[&format!("-- squawk-ignore ban-drop-column\n{DROP}")]);
    assert_eq!(lines(&report.findings), ["2:26 error ban-drop-column"]);
    let text =
        last(&["-- rowhouse: allow x: y\n-- in a string\nselect '-- rowhouse: allow ban-drop-column: no';"]);
    assert_eq!(lines(&text.findings), ["1:1 error waiver"]);
}
