use http::{HeaderMap, Method};
use rowhouse_rest::*;
#[tokio::test]
async fn scratch() {
    let (client, connection) = tokio_postgres::connect("host=/tmp/rhrest_pg port=55771 user=postgres dbname=postgres", tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let snapshot = rowhouse_db::catalog::load(&client, &["public".to_owned()]).await.unwrap();
    if std::env::var("DUMP").is_ok() { println!("{snapshot:#?}"); }
    let mut out = String::from("set app.tenant='t1';\n");
    for (n, line) in std::fs::read_to_string("/tmp/requests.txt").unwrap().lines().enumerate() {
        if line.is_empty() { continue; }
        let mut parts = line.split(" | ");
        let (method, target) = parts.next().unwrap().split_once(' ').unwrap();
        let mut headers = HeaderMap::new();
        let mut body = String::new();
        for part in parts {
            if let Some((name, value)) = part.split_once(": ").filter(|(n, _)| !n.contains('{') && !n.contains('[')) { headers.append(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap()); } else { body = part.to_owned(); }
        }
        let max = std::env::var("MAX").ok().map(|m| m.parse().unwrap());
        let settings = rowhouse_kernel::settings::RestSettings { max_rows: max, ..Default::default() };
        let sample = Sample { method: &method.parse::<Method>().unwrap(), path_and_query: target, headers: &headers, body: body.into() };
        out.push_str(&format!("\\echo '##' {}\n", line.replace('\'', "")));
        match explain(&sample, &snapshot, &settings) {
            Err(failure) => out.push_str(&format!("\\echo {} {}\n", failure.status, serde_json::to_string(&failure).unwrap().replace('\'', "`").replace('\\', ""))),
            Ok(explained) => {
                let args: Vec<String> = explained.query.params.iter().map(|p| p.as_ref().map_or("null".into(), |p| format!("'{}'", std::str::from_utf8(p).unwrap().replace('\'', "''")))).collect();
                let args = if args.is_empty() { String::new() } else { format!("({})", args.join(", ")) };
                if std::env::var("SQL").is_ok() { out.push_str(&format!("\\echo {}\n", explained.query.sql.replace('\'', "`"))); }
                out.push_str(&format!("begin; set local role authenticated; {} prepare q{n} as {}; execute q{n}{args}; rollback;\n", if explained.access == rowhouse_db::flight::Access::ReadOnly {"set local transaction_read_only = on;"} else {""}, explained.query.sql));
            }
        }
    }
    std::fs::write("/tmp/requests.sql", out).unwrap();
}
