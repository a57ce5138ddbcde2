use super::split;

fn texts(sql: &str) -> Vec<(&str, usize)> {
    split(sql).into_iter().map(|command| (command.text, command.line)).collect()
}

#[test]
fn statements_end_at_semicolons_and_know_their_line() {
    let sql = "-- first\ncreate table a (n int);\n\n/* x; /* y; */ z; */ select 1 ; ;\nselect 2";
    assert_eq!(texts(sql), [("create table a (n int)", 2), ("select 1", 4), ("select 2", 5)]);
}

#[test]
fn semicolons_in_quotes_dollars_and_parentheses_do_not_end_a_statement() {
    for sql in [
        "select 'a;''b;'",
        r"select e'it\'s;'",
        "select \"a;b\"",
        "select $$a;b$$, $x$ $$ ; $x$",
        "create rule r as on insert to a do (select 1; select 2)",
        "create function f() returns int begin atomic select case when true then 1 end; select 2; end",
        "create or replace procedure p(a int) language sql begin atomic insert into t values (a); end",
    ] {
        assert_eq!(texts(sql), [(sql, 1)]);
        assert_eq!(texts(&format!("{sql};select 1")), [(sql, 1), ("select 1", 1)]);
    }
}

#[test]
fn unclosed_quotes_and_comments_reach_to_the_end() {
    for sql in ["select 'a; b", "select $$ a; b", "select (1; 2", "select 1 /* a; b", "select $1; "] {
        assert!(split(sql).len() == 1, "{sql}");
    }
}

#[test]
fn transaction_control_psql_commands_and_copied_rows_are_refused() {
    let refused = [
        "BEGIN",
        "start transaction read only",
        "commit and chain",
        "end",
        "Abort",
        "rollback",
        "rollback work",
        "rollback /* x */ transaction and chain",
        "prepare transaction 'x'",
        "\\connect app",
        "copy a (b) from stdin",
    ];
    let taken = [
        "savepoint a",
        "rollback to a",
        "rollback to savepoint a",
        "rollback work to savepoint a",
        "prepare q as select 1",
        "do $$ begin perform 1; end $$",
        "select 'commit'",
        "copy a from program 'x'",
    ];
    assert!(refused.iter().all(|sql| split(sql)[0].objection().is_some()), "{refused:?}");
    assert!(taken.iter().all(|sql| split(sql)[0].objection().is_none()), "{taken:?}");
}
