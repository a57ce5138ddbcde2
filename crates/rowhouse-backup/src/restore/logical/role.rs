//! Roles before a dump is restored, and what is granted to them on the database afterwards. Roles that are there stay as they
//! are: they belong to the whole server. What the server does not take is named, and does not end the restore.

use rowhouse_db::DbError;
use tokio_postgres::Client;

use crate::logical::{Globals, Membership, Role, Setting};

/// Settings whose values are lists of quoted names already (PostgreSQL: `GUC_LIST_QUOTE`).
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// Creates the roles that are missing, without passwords, and their memberships.
pub(super) async fn create(client: &Client, globals: &Globals) -> Result<Vec<String>, DbError> {
    let mut left_out = Vec::new();
    for role in &globals.roles {
        let sql = "select exists (select from pg_roles where rolname = $1)";
        if client.query_one(sql, &[&role.name]).await?.get(0) {
            continue;
        }
        client.batch_execute(&format!("create role {} {}", ident(&role.name), plain(role))).await?;
        for attribute in privileged(role) {
            attempt(client, &format!("alter role {} {attribute}", ident(&role.name)), &mut left_out).await?;
        }
    }
    let version = "select current_setting('server_version_num')::int / 10000";
    let version: i32 = client.query_one(version, &[]).await?.get(0);
    for membership in &globals.memberships {
        let sql = "select exists (select from pg_auth_members m join pg_roles r on r.oid = m.roleid
                     join pg_roles b on b.oid = m.member where r.rolname = $1 and b.rolname = $2)";
        if !client.query_one(sql, &[&membership.role, &membership.member]).await?.get::<_, bool>(0) {
            attempt(client, &grant_role(membership, version >= 16), &mut left_out).await?;
        }
    }
    Ok(left_out)
}

/// Grants on the database, and settings, which might disturb the restore before.
pub(super) async fn grant(client: &Client, globals: &Globals) -> Result<Vec<String>, DbError> {
    let database: String = client.query_one("select current_database()::text", &[]).await?.get(0);
    let database = ident(&database);
    let mut left_out = Vec::new();
    attempt(client, &format!("revoke all on database {database} from public"), &mut left_out).await?;
    for grant in &globals.grants {
        let to = grant.role.as_deref().map_or_else(|| "public".to_owned(), ident);
        let option = if grant.grantable { " with grant option" } else { "" };
        let sql = format!("grant {} on database {database} to {to}{option}", grant.privilege);
        attempt(client, &sql, &mut left_out).await?;
    }
    for setting in &globals.settings {
        if let Some(sql) = set(setting, &database) {
            attempt(client, &sql, &mut left_out).await?;
        }
    }
    Ok(left_out)
}

/// Any refusal by the server is noted; everything else ends the restore.
async fn attempt(client: &Client, sql: &str, left_out: &mut Vec<String>) -> Result<(), DbError> {
    match client.batch_execute(sql).await.map_err(DbError::from) {
        Err(error @ DbError::Refused(_)) => {
            left_out.push(format!("{sql}: {error}"));
            Ok(())
        }
        done => done,
    }
}

fn plain(role: &Role) -> String {
    let or_no = |is: bool, word: &str| if is { word.to_owned() } else { format!("no{word}") };
    let limit = role.connection_limit;
    format!("{} {} connection limit {limit}", or_no(role.login, "login"), or_no(role.inherit, "inherit"))
}

/// What only some may give.
fn privileged(role: &Role) -> Vec<&'static str> {
    let all = [
        (role.create_role, "createrole"),
        (role.create_db, "createdb"),
        (role.bypass_rls, "bypassrls"),
        (role.replication, "replication"),
    ];
    all.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect()
}

fn grant_role(membership: &Membership, has_options: bool) -> String {
    let Membership { role, member, admin, inherit, set } = membership;
    let options = [("admin", Some(*admin)), ("inherit", *inherit), ("set", *set)];
    let told = |(name, value): (&str, Option<bool>)| Some(format!("{name} {}", value?));
    let with = match (has_options, admin) {
        (true, _) => format!(" with {}", options.into_iter().filter_map(told).collect::<Vec<_>>().join(", ")),
        (false, true) => " with admin option".to_owned(),
        (false, false) => String::new(),
    };
    format!("grant {} to {}{with}", ident(role), ident(member))
}

fn set(setting: &Setting, database: &str) -> Option<String> {
    let (name, value) = setting.setting.split_once('=')?;
    let whom = match (&setting.role, setting.in_database) {
        (None, _) => format!("database {database}"),
        (Some(role), true) => format!("role {} in database {database}", ident(role)),
        (Some(role), false) => format!("role {}", ident(role)),
    };
    let value = if LISTS.contains(&name) { value.to_owned() } else { literal(value) };
    let name: Vec<String> = name.split('.').map(ident).collect();
    Some(format!("alter {whom} set {} to {value}", name.join(".")))
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Sessions that rowhouse opens have `standard_conforming_strings` on: a backslash is one.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::{Membership, Setting, grant_role, set};

    #[test]
    fn memberships_keep_what_the_server_knows_of_them() {
        let (role, member) = ("a\"b".to_owned(), "c".to_owned());
        let mut membership = Membership { role, member, admin: false, inherit: Some(false), set: Some(true) };
        let with = "grant \"a\"\"b\" to \"c\" with admin false, inherit false, set true";
        assert_eq!(grant_role(&membership, true), with);
        assert_eq!(grant_role(&membership, false), "grant \"a\"\"b\" to \"c\"");
        membership.admin = true;
        assert_eq!(grant_role(&membership, false), "grant \"a\"\"b\" to \"c\" with admin option");
    }

    #[test]
    fn settings_are_quoted_unless_they_are_lists_of_names() {
        let of = |role: Option<&str>, in_database, setting: &str| {
            let setting = Setting { role: role.map(str::to_owned), in_database, setting: setting.to_owned() };
            set(&setting, "\"d\"").unwrap()
        };
        assert_eq!(of(None, true, "app.note=it's"), "alter database \"d\" set \"app\".\"note\" to 'it''s'");
        let path = of(Some("r"), true, "search_path=\"$user\", public");
        assert_eq!(path, "alter role \"r\" in database \"d\" set \"search_path\" to \"$user\", public");
        assert_eq!(of(Some("r"), false, "work_mem=4MB"), "alter role \"r\" set \"work_mem\" to '4MB'");
    }
}
