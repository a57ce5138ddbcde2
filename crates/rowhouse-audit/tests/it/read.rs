//! Pages, filters and exports.

use rowhouse_audit::{Filter, Format, Position, Record, list, parse_time, piece};
use rowhouse_kernel::TenantId;
use rowhouse_testkit::{LIMIT, until};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::{ONE, OTHER, owner, seal_all, start, write_old};

/// More than a piece of an export has.
const MANY: i64 = 1_234;

async fn all_pages(client: &Client, filter: &Filter, limit: u32) -> Vec<Record> {
    let (mut all, mut after) = (Vec::new(), None::<Position>);
    until("the last page", LIMIT, async || {
        let page = list(client, filter, after.as_ref(), limit).await.unwrap();
        let is_last = page.len() < limit as usize;
        after = page.last().map(Record::position).or(after.take());
        all.extend(page);
        is_last
    })
    .await;
    all
}

async fn export(client: &Client, filter: &Filter, format: Format) -> String {
    let (mut text, mut after) = (String::new(), None);
    until("the last piece", LIMIT, async || {
        let piece = piece(client, filter, format, after.as_ref()).await.unwrap();
        assert!(piece.entries <= 500, "a piece is bounded");
        text.push_str(&piece.text);
        after = piece.next;
        after.is_none()
    })
    .await;
    text
}

fn ids(records: &[Record]) -> Vec<Uuid> {
    records.iter().map(|record| record.id).collect()
}

#[tokio::test]
async fn pages_have_each_entry_once_while_others_are_written() {
    let database = start().await;
    let client = owner(&database).await;
    // Entries of one moment are told apart by their ids.
    write_old(&client, ONE, 4, 1).await;
    let same = "insert into audit.entries (source, action, actor, target_kind, target_id, organization_id, occurred_at)
        select 'test', 'same', 'system', 'thing', n::text, $1::uuid, '2026-01-01' from generate_series(1, 6) n";
    client.execute(same, &[&ONE.0]).await.unwrap();
    let filter = Filter { organization: Some(ONE), ..Filter::default() };
    let before = ids(&all_pages(&client, &filter, 100).await);
    assert_eq!(before.len(), 10);
    let (mut seen, mut after) = (Vec::new(), None::<Position>);
    until("a page without entries", LIMIT, async || {
        let page = list(&client, &filter, after.as_ref(), 3).await.unwrap();
        let Some(last) = page.last() else { return true };
        // As a cursor carries it.
        let carried = serde_json::to_string(&last.position()).unwrap();
        after = Some(serde_json::from_str(&carried).unwrap());
        seen.extend(ids(&page));
        write_old(&client, ONE, 2, 0).await;
        write_old(&client, OTHER, 2, 2).await;
        false
    })
    .await;
    assert_eq!(seen, before);
}

#[tokio::test]
async fn filter_takes_what_fits_in_all_its_parts() {
    let database = start().await;
    let client = owner(&database).await;
    let sql = "insert into audit.entries (source, action, actor, target_kind, target_id, organization_id, tenant_id, occurred_at) values
        ('a', 'login', 'ada', 'user', '1', $1::uuid, $3::uuid, '2026-01-01'),
        ('a', 'logout', 'ada', 'user', '2', $1::uuid, null, '2026-01-02'),
        ('a', 'login', 'bob', 'key', '1', $2::uuid, $3::uuid, '2026-01-03'),
        ('a', 'login', 'system', 'user', '1', null, null, '2026-01-04')";
    let tenant = Uuid::from_u128(7);
    client.execute(sql, &[&ONE.0, &OTHER.0, &tenant]).await.unwrap();
    let (all, time) = (Filter::default(), |text| Some(parse_time(text).unwrap()));
    let text = |text: &str| Some(text.to_owned());
    for (filter, days) in [
        (all.clone(), vec![4, 3, 2, 1]),
        (Filter { since: time("2026-01-02"), until: time("2026-01-04"), ..all.clone() }, vec![3, 2]),
        (Filter { actor: text("ada"), ..all.clone() }, vec![2, 1]),
        (Filter { actor: text("ada"), action: text("login"), ..all.clone() }, vec![1]),
        (Filter { organization: Some(ONE), ..all.clone() }, vec![2, 1]),
        (Filter { tenant: Some(TenantId(tenant)), ..all.clone() }, vec![3, 1]),
        (all.clone().with_target(Some("user")), vec![4, 2, 1]),
        (all.clone().with_target(Some("user:1")), vec![4, 1]),
        (Filter { actor: text("nobody"), ..all }, vec![]),
    ] {
        let found = list(&client, &filter, None, 100).await.unwrap();
        let found: Vec<u8> = found.iter().map(|record| record.occurred_at.day()).collect();
        assert_eq!(found, days, "{filter:?}");
    }
}

#[tokio::test]
async fn export_has_the_entries_of_the_list_in_either_format() {
    let database = start().await;
    let client = owner(&database).await;
    write_old(&client, ONE, MANY, 1).await;
    write_old(&client, OTHER, 3, 1).await;
    let hostile = "insert into audit.entries (source, action, actor, target_kind, target_id, organization_id, user_agent, operation, address, details)
        values ('test', 'done', 'system', 'phone', '+49151', $1::uuid, E'=HYPERLINK(\"http://x\",\"y\")\\r\\n,z', '', '192.0.2.1', $2::jsonb)";
    let details = json!({ "n": 12345678901234567890_u64, "text": "a \"quote\"\n" });
    client.execute(hostile, &[&ONE.0, &details]).await.unwrap();
    seal_all(&client).await;
    let filter = Filter { organization: Some(ONE), ..Filter::default() };
    let listed: Vec<Value> = all_pages(&client, &filter, 100)
        .await
        .iter()
        .map(|record| serde_json::to_value(record).unwrap())
        .collect();
    assert_eq!(listed.len() as i64, MANY + 1);
    let lines = export(&client, &filter, Format::Ndjson).await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, listed);
    let table = read_csv(&export(&client, &filter, Format::Csv).await);
    let (head, rows) = table.split_first().unwrap();
    assert_eq!(rows.len(), listed.len());
    for (row, entry) in rows.iter().zip(&listed) {
        for (column, cell) in head.iter().zip(row) {
            let name = column.as_deref().unwrap();
            let told = cell.as_deref().map(|text| text.strip_prefix('\'').unwrap_or(text));
            let expected = match &entry[name] {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            let told = told.map(|text| match name {
                "details" => serde_json::from_str::<Value>(text).unwrap().to_string(),
                _ => text.to_owned(),
            });
            assert_eq!(told, expected, "{name}");
            assert!(!cell.as_deref().unwrap_or_default().starts_with(['=', '+', '-', '@']), "{cell:?}");
        }
    }
    let nothing = Filter { actor: Some("nobody".to_owned()), ..Filter::default() };
    assert_eq!(export(&client, &nothing, Format::Ndjson).await, "");
    assert_eq!(read_csv(&export(&client, &nothing, Format::Csv).await).len(), 1);
}

/// RFC 4180; an empty field without quotes is null.
fn read_csv(text: &str) -> Vec<Vec<Option<String>>> {
    let (mut rows, mut row, mut rest) = (Vec::new(), Vec::new(), text);
    while !rest.is_empty() {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => read_quoted(quoted),
            None => {
                let end = rest.find([',', '\r']).unwrap();
                ((end > 0).then(|| rest[..end].to_owned()), &rest[end..])
            }
        };
        row.push(field);
        rest = match after.strip_prefix(',') {
            Some(more) => more,
            None => {
                rows.push(std::mem::take(&mut row));
                after.strip_prefix("\r\n").unwrap()
            }
        };
    }
    rows
}

fn read_quoted(text: &str) -> (Option<String>, &str) {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let (before, after) = rest.split_once('"').unwrap();
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return (Some(field), after),
        }
    }
}
