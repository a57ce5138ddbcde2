//! Databases whose encoding or settings differ from PostgreSQL's defaults.

use rowhouse_db::flight::Query;
use rowhouse_db::migrate::{Migration, apply_project};
use rowhouse_db::{Control, DbError, DbSettings, Transaction, connect, require_control_sessions};
use rowhouse_kernel::{Caller, Operation, Secret};
use rowhouse_testkit::TestDatabase;

use crate::support::{Harness, context, one_connection, service};

#[tokio::test]
async fn database_that_is_not_utf8_is_refused_with_the_remedy() {
    let db = TestDatabase::create().await;
    let superuser = db.superuser().await;
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("{}_{}", db.name, encoding.to_lowercase());
        let create = format!("create database {name} encoding '{encoding}' locale 'C' template template0");
        superuser.batch_execute(&create).await.unwrap();
        let url = Secret::new(db.urls.direct.expose().replace(&format!("/{}", db.name), &format!("/{name}")));
        let mut urls = db.urls.clone();
        (urls.direct, urls.control) = (url.clone(), url.clone());
        for refused in [
            connect(&url).await.map(drop).unwrap_err().to_string(),
            require_control_sessions(&urls).await.unwrap_err().to_string(),
        ] {
            assert!(refused.contains(&format!("{name}\" on")) && refused.contains(encoding), "{refused}");
            assert!(refused.contains("createdb -E UTF8 -T template0"), "{refused}");
        }
        superuser.batch_execute(&format!("drop database {name} with (force)")).await.unwrap();
    }
}

/// Literals of the program, and of migrations, mean the same in every database.
#[tokio::test]
async fn backslashes_are_standard_whatever_the_database_has() {
    let Harness { db, .. } = Harness::new(DbSettings::default()).await;
    let superuser = db.superuser().await;
    let off = format!("alter database {} set standard_conforming_strings = off", db.name);
    superuser.batch_execute(&off).await.unwrap();
    let (database, monitor) =
        rowhouse_db::Database::open_monitored(&db.urls, &one_connection(), true).unwrap();
    let sql = "select current_setting('standard_conforming_strings')";
    let ask = async |tx: &Transaction<'_>| Ok::<String, DbError>(tx.query_one(sql, &[]).await?.get(0));
    let control = Control::open(&db.urls.control, &DbSettings::default()).unwrap();
    for _ in 0..2 {
        for caller in [Caller::anonymous(), service(), Caller::anonymous()] {
            let query = Query { sql: sql.into(), params: Vec::new() };
            let rows = database.data.fly(&context(&caller), &query).await.unwrap();
            assert_eq!(rows[0][0].as_deref(), Some(b"on".as_slice()));
        }
        assert_eq!(control.run_tx(&Operation::system("test.strings"), ask).await.unwrap(), "on");
    }
    monitor.abort();

    let client = connect(&db.urls.direct).await.unwrap();
    let migrations = [
        Migration::new("20270101000000_one.sql", r"create table public.paths (path text default 'C:\new')"),
        Migration::new(
            "20270101000001_two.sql",
            r"insert into public.paths default values; insert into public.paths values ('C:\new')",
        ),
    ];
    apply_project(&client, &migrations).await.unwrap();
    let paths = superuser.query("select path from public.paths", &[]).await.unwrap();
    assert_eq!(paths.iter().map(|row| row.get(0)).collect::<Vec<String>>(), [r"C:\new", r"C:\new"]);
}
