//! Values out of the request's body.

use rowhouse_db::catalog::Column;

use super::builder::Sql;

/// A column's value out of the body.
pub(super) fn read(sql: &mut Sql, column: &Column, is_text: bool) {
    let reader = column.representation.from_json.as_deref();
    if let Some(reader) = reader {
        sql.push(reader).push("(");
    }
    sql.push("rowhouse_body.").ident(&column.name);
    match reader {
        Some(_) => {
            sql.push(")");
        }
        None if is_text && is_document(column) => {
            sql.push("::").push(&column.type_name);
        }
        None => {}
    }
}

/// Documents of JSON.
pub(super) fn is_document(column: &Column) -> bool {
    matches!(column.base_type.as_str(), "json" | "jsonb")
}
