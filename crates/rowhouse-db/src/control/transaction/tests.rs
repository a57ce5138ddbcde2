use std::sync::Arc;

use rowhouse_kernel::Operation;

use super::begin_sql;

#[test]
fn value_cannot_end_its_literal() {
    let mut operation = Operation::system("test.quote");
    operation.origin.request_id = Some(Arc::from("a'b\\c\0d"));
    let sql = begin_sql(&operation);
    assert!(sql.contains(r"pg_catalog.set_config('rowhouse.request_id',  E'a''b\\cd', true)"), "{sql}");
    assert!(
        sql.starts_with("begin; select pg_catalog.set_config('rowhouse.operation', 'test.quote', true)"),
        "{sql}"
    );
}
