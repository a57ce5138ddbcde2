//! `text/csv` (RFC 4180): a line of names, then a line for each row.
//!
//! Values are quoted as PostgreSQL quotes them in a row, except that backslashes are not doubled, and a string that
//! would be read back as null is quoted.

use super::builder::Sql;

/// Fields that are quoted. The first part is what PostgreSQL quotes in a row.
const QUOTED: &str = r#"'[\s"(),\\]|^$|^NULL$'"#;

/// The body. `columns` are the names of the rows' columns, if they are known and unique.
pub(super) fn rows(sql: &mut Sql, columns: Option<&[String]>) {
    let Some(columns) = columns else { return unnamed(sql) };
    sql.param(head(columns)).push("::text || coalesce(string_agg(");
    let null = if columns.len() == 1 { "'NULL'" } else { "''" };
    sql.list(columns, " || ',' || ", |sql, column| field(sql, column, null));
    sql.push(", e'\\n'), '')");
}

/// A line of names.
fn head(columns: &[String]) -> String {
    let is_quoted = |name: &str| name.contains(['"', ',', '\r', '\n']);
    let quoted = |name: &String| {
        if is_quoted(name) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.clone() }
    };
    let names: Vec<String> = columns.iter().map(quoted).collect();
    names.join(",") + "\n"
}

/// One value. A null in a single column is written as `NULL`, since an empty line is not a row.
fn field(sql: &mut Sql, column: &str, null: &str) {
    let value = |sql: &mut Sql| {
        sql.push("rowhouse_row.").ident(column);
    };
    sql.push("case when ");
    value(sql);
    sql.push(" is not distinct from null then ").push(null).push(" when concat(");
    value(sql);
    sql.push(") ~ ").push(QUOTED).push(" then '\"' || replace(concat(");
    value(sql);
    sql.push("), '\"', '\"\"') || '\"' else concat(");
    value(sql);
    sql.push(") end");
}

/// Rows whose columns are known to the database only.
fn unnamed(sql: &mut Sql) {
    sql.push(UNNAMED);
}

const UNNAMED: &str = r#"coalesce((select string_agg(case when rowhouse_key ~ '[",\r\n]' then '"' || replace(rowhouse_key, '"', '""') || '"' else rowhouse_key end, ',') from json_object_keys(row_to_json((array_agg(rowhouse_row.*))[1])) rowhouse_key), '') || e'\n' || coalesce(string_agg(replace(substring((rowhouse_row.*)::text, 2, length((rowhouse_row.*)::text) - 2), '\\', '\'), e'\n'), '')"#;
