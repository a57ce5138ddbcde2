//! Roles before a dump is restored, and what is granted to them on the database afterwards. Roles that are there stay as they
//! are: they belong to the whole server, and only roles that were made here get memberships and settings beyond the database.
//! What is not taken is named, without values, and does not end the restore. Each statement is sent by itself.

use std::collections::HashSet;

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
/// What there is to grant on a database.
const PRIVILEGES: [&str; 3] = ["CONNECT", "CREATE", "TEMPORARY"];
/// Whether a role of the server, or one that it is a member of, may do what no dump may give: a superuser, or a role of PostgreSQL
/// itself, some of which run programs.
const IS_POWERFUL: &str = "
    with recursive above (oid) as (
      select oid from pg_roles where rolname = $1
      union select m.roleid from pg_auth_members m join above on m.member = above.oid
    )
    select coalesce(bool_or(r.rolsuper or r.rolname like 'pg\\_%'), false) from pg_roles r join above using (oid)";

/// The roles of a dump on their way into a server.
pub(super) struct Roles<'a> {
    client: &'a Client,
    globals: &'a Globals,
    /// Those that were not there.
    made: HashSet<&'a str>,
    /// What was not taken, with the reason.
    pub(super) left_out: Vec<String>,
}

impl<'a> Roles<'a> {
    /// Creates the roles that are missing, without passwords, and their memberships.
    pub(super) async fn create(client: &'a Client, globals: &'a Globals) -> Result<Self, DbError> {
        let mut roles = Self { client, globals, made: HashSet::new(), left_out: Vec::new() };
        for role in &globals.roles {
            let sql = "select exists (select from pg_roles where rolname = $1)";
            if client.query_one(sql, &[&role.name]).await?.get(0) {
                continue;
            }
            client.execute(&format!("create role {} {}", ident(&role.name), plain(role)), &[]).await?;
            roles.made.insert(&role.name);
            for attribute in privileged(role) {
                let sql = format!("alter role {} {attribute}", ident(&role.name));
                roles.attempt(&format!("attribute {attribute} of role {}", role.name), &sql).await?;
            }
        }
        roles.join().await?;
        Ok(roles)
    }

    async fn join(&mut self) -> Result<(), DbError> {
        let version = "select current_setting('server_version_num')::int / 10000";
        let version: i32 = self.client.query_one(version, &[]).await?.get(0);
        for membership in &self.globals.memberships {
            let Membership { role, member, .. } = membership;
            let sql = "select exists (select from pg_auth_members m join pg_roles r on r.oid = m.roleid
                         join pg_roles b on b.oid = m.member where r.rolname = $1 and b.rolname = $2)";
            if self.client.query_one(sql, &[role, member]).await?.get(0) {
                continue;
            }
            let what = format!("membership of {member} in {role}");
            if !self.made.contains(member.as_str()) {
                self.left_out.push(format!("{what}: {member} was there already"));
            } else if self.client.query_one(IS_POWERFUL, &[role]).await?.get(0) {
                self.left_out.push(format!("{what}: it would give more than a restore may"));
            } else {
                self.attempt(&what, &grant_role(membership, version >= 16)).await?;
            }
        }
        Ok(())
    }

    /// Grants on the database, and settings, which might disturb the restore before.
    pub(super) async fn grant(&mut self) -> Result<(), DbError> {
        let database: String = self.client.query_one("select current_database()::text", &[]).await?.get(0);
        let database = ident(&database);
        let revoke = format!("revoke all on database {database} from public");
        self.attempt("revoking everything on the database from public", &revoke).await?;
        for grant in &self.globals.grants {
            let what = format!(
                "{} on the database to {}",
                grant.privilege,
                grant.role.as_deref().unwrap_or("public")
            );
            if !PRIVILEGES.contains(&grant.privilege.as_str()) {
                self.left_out.push(format!("{what}: no such privilege"));
                continue;
            }
            let to = grant.role.as_deref().map_or_else(|| "public".to_owned(), ident);
            let option = if grant.grantable { " with grant option" } else { "" };
            let sql = format!("grant {} on database {database} to {to}{option}", grant.privilege);
            self.attempt(&what, &sql).await?;
        }
        for setting in &self.globals.settings {
            self.set(setting, &database).await?;
        }
        Ok(())
    }

    async fn set(&mut self, setting: &Setting, database: &str) -> Result<(), DbError> {
        let name = setting.setting.split_once('=').map_or("", |(name, _)| name);
        let what = format!("setting {name} of {}", setting.role.as_deref().unwrap_or("the database"));
        let is_beyond =
            setting.role.as_deref().filter(|role| !setting.in_database && !self.made.contains(role));
        match (is_beyond, set(setting, database)) {
            (Some(role), _) => self.left_out.push(format!("{what}: {role} was there already")),
            (None, None) => self.left_out.push(format!("{what}: it is no list")),
            (None, Some(sql)) => self.attempt(&what, &sql).await?,
        }
        Ok(())
    }

    /// Any refusal by the server is noted, by its code, since the text may repeat a value; everything else ends the restore.
    async fn attempt(&mut self, what: &str, sql: &str) -> Result<(), DbError> {
        match self.client.execute(sql, &[]).await.map_err(DbError::from) {
            Err(DbError::Refused(error)) => {
                self.left_out.push(format!("{what}: refused by the server ({})", error.code));
                Ok(())
            }
            done => done.map(drop),
        }
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
    let value = match LISTS.iter().any(|list| list.eq_ignore_ascii_case(name)) {
        true => split(value)?.iter().map(|element| literal(element)).collect::<Vec<_>>().join(", "),
        false => literal(value),
    };
    let name: Vec<String> = name.split('.').map(ident).collect();
    Some(format!("alter {whom} set {} to {value}", name.join(".")))
}

/// The elements of a list as PostgreSQL stores it (`SplitGUCList`); none if it is malformed. Without any, one that is empty.
fn split(list: &str) -> Option<Vec<String>> {
    let mut elements = Vec::new();
    let mut rest = list.trim_start();
    loop {
        let (element, behind) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = rest.find(|c: char| c == ',' || c.is_ascii_whitespace()).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        elements.push(element);
        match behind.trim_start().strip_prefix(',') {
            Some(further) => rest = further.trim_start(),
            None if behind.trim_start().is_empty() => return Some(elements),
            None => return None,
        }
    }
}

/// What stands before the closing quote, with doubled ones single, and what is behind it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut element = String::new();
    let mut rest = quoted;
    loop {
        let (before, behind) = rest.split_once('"')?;
        element.push_str(before);
        match behind.strip_prefix('"') {
            Some(further) => {
                element.push('"');
                rest = further;
            }
            None => return Some((element, behind)),
        }
    }
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
    use super::{Membership, Setting, grant_role, set, split};

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
    fn settings_are_quoted_and_lists_element_by_element() {
        let of = |role: Option<&str>, in_database, setting: &str| {
            let setting = Setting { role: role.map(str::to_owned), in_database, setting: setting.to_owned() };
            set(&setting, "\"d\"").unwrap()
        };
        assert_eq!(of(None, true, "app.note=it's"), "alter database \"d\" set \"app\".\"note\" to 'it''s'");
        let path = of(Some("r"), true, "search_path=\"$user\", public");
        assert_eq!(path, "alter role \"r\" in database \"d\" set \"search_path\" to '$user', 'public'");
        let hostile = of(Some("r"), false, "search_path=public,x;create/**/role/**/pwned/**/superuser");
        assert_eq!(
            hostile,
            "alter role \"r\" set \"search_path\" to 'public', 'x;create/**/role/**/pwned/**/superuser'"
        );
        assert_eq!(
            of(None, true, "search_path=\"it's \"\" , so\" "),
            "alter database \"d\" set \"search_path\" to 'it''s \" , so'"
        );
        assert_eq!(of(None, true, "search_path="), "alter database \"d\" set \"search_path\" to ''");
        assert_eq!(split("\"open"), None);
        assert_eq!(split("\"a\" b"), None);
        assert_eq!(of(Some("r"), false, "work_mem=4MB"), "alter role \"r\" set \"work_mem\" to '4MB'");
    }
}
