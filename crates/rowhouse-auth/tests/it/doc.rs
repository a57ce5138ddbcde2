//! The examples in docs/auth.md, docs/tenancy.md and docs/tenancy/sql.md work, and their table of permissions equals the database's.

use crate::app::App;

const AUTH: &str = include_str!("../../../../docs/auth.md");
const TENANCY: &str = include_str!("../../../../docs/tenancy.md");
const TREE: &str = include_str!("../../../../docs/tenancy/sql.md");

/// The SQL blocks of a page.
fn blocks(page: &str) -> Vec<&str> {
    page.split("```sql\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect()
}

#[tokio::test]
async fn every_sql_block_runs() {
    let app = App::start().await;
    for block in blocks(TENANCY).into_iter().chain(blocks(TREE)) {
        app.db.migrate(block).await;
    }
    app.sign_up("a@example.com").await;
    let client = app.sql().await;
    assert!(!blocks(AUTH).is_empty());
    for block in blocks(AUTH) {
        client.batch_execute(block).await.unwrap_or_else(|error| panic!("{error:?} in\n{block}"));
    }
}

#[tokio::test]
async fn table_of_permissions_is_that_of_the_database() {
    let app = App::start().await;
    let sql =
        "select permission, role from tenancy.role_permissions where organization_id is null order by 1, 2";
    let rows = app.sql().await.query(sql, &[]).await.unwrap();
    let stored: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut told = Vec::new();
    for line in TENANCY.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        for (role, cell) in ["owner", "admin", "manager", "member"].iter().zip(&cells[1..]) {
            if *cell == "yes" {
                told.push((cells[0].trim_matches('`').to_owned(), (*role).to_owned()));
            }
        }
    }
    told.sort();
    assert_eq!(told, stored);
}
