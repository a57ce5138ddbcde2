//! Two tenants with rows in every table, and callers without access to the first one's.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use rowhouse_crypto::Purpose;
use rowhouse_testkit::TestDatabase;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::attack::{Attack, Field};
use super::catalog::{self, Function, Relation};
use super::row::{self, Party};
use super::{read, write};
use crate::support::{PROJECT, SignedIn, TestApp, claims, settings};

/// Ways for a valid token to become invalid.
pub(super) const DEAD: [&str; 10] = [
    "expired",
    "signed out",
    "session timed out",
    "left the tenant",
    "membership suspended",
    "tenant suspended",
    "organization suspended",
    "banned",
    "deleted",
    "forged",
];

pub(super) struct Scene {
    pub(super) app: TestApp,
    pub(super) superuser: Client,
    pub(super) relations: Vec<Relation>,
    functions: Vec<Function>,
    pub(super) owner: SignedIn,
    stranger: SignedIn,
    pub(super) victim: Party,
    pub(super) rival: Party,
    refill: String,
    refill_rival: String,
}

impl Scene {
    pub(super) async fn start() -> Self {
        let db = TestDatabase::create().await;
        db.migrate(PROJECT).await;
        db.migrate(include_str!("project.sql")).await;
        let app = TestApp::start_on(db, settings()).await;
        let superuser = app.db.superuser().await;
        let (owner, stranger) =
            (app.sign_up("owner@example.com").await, app.sign_up("stranger@example.com").await);
        let (relations, functions) =
            (catalog::relations(&superuser).await, catalog::functions(&superuser).await);
        let victim = Party { mark: "victim-7f3a", base: 770_000_000, tenant: owner.tenant.clone() };
        let rival = Party { mark: "rival-91c2", base: 330_000_000, tenant: stranger.tenant.clone() };
        let refill = row::restore(&relations, &[&victim, &rival]);
        let refill_rival = row::restore(&relations, &[&rival]);
        let scene = Self {
            app,
            superuser,
            relations,
            functions,
            owner,
            stranger,
            victim,
            rival,
            refill,
            refill_rival,
        };
        scene.restore().await;
        scene
    }

    /// Two rows in every table for each tenant, as at the beginning.
    pub(super) async fn restore(&self) {
        self.superuser.batch_execute(&self.refill).await.unwrap();
    }

    /// Restores an attacker's own rows, so that they contain no value of the target.
    pub(super) async fn restore_rival(&self) {
        self.superuser.batch_execute(&self.refill_rival).await.unwrap();
    }

    pub(super) async fn dump(&self, except: &str) -> BTreeMap<String, Vec<Value>> {
        row::dump(&self.superuser, &self.relations, except).await
    }

    /// Every attack of `actor` on the victim's rows; relation after relation, functions last.
    pub(super) async fn attacks(&self, actor: &Party) -> Vec<Attack> {
        self.restore().await;
        let mut all = Vec::new();
        for relation in &self.relations {
            let field = self.field(relation, actor).await;
            all.extend(read::attacks(&field));
            all.extend(write::attacks(&field));
        }
        let accounts = self.relations.iter().find(|relation| relation.name == "accounts").unwrap();
        all.extend(read::calls(&self.field(accounts, actor).await));
        all
    }

    async fn field<'a>(&'a self, relation: &'a Relation, actor: &'a Party) -> Field<'a> {
        let own = row::first(&self.superuser, relation, &actor.tenant).await;
        let target = row::first(&self.superuser, relation, &self.victim.tenant).await;
        let fresh = actor.new_row(&self.relations, relation, actor);
        let reaching = actor.new_row(&self.relations, relation, &self.victim);
        Field {
            relations: &self.relations,
            functions: &self.functions,
            relation,
            own,
            target,
            own_tenant: &actor.tenant,
            target_tenant: &self.victim.tenant,
            reaching,
            fresh,
        }
    }

    /// Rows that the attacker may rightly count.
    pub(super) async fn own_count(&self, attack: &Attack, tenant: Option<&str>) -> i64 {
        let function = self.functions.iter().find(|function| function.name == attack.relation);
        let name = match function {
            Some(function) => function.rows_of.clone().unwrap_or_default(),
            None => attack.relation.clone(),
        };
        match self.relations.iter().find(|relation| relation.name == name) {
            Some(relation) if relation.has_tenant() => {
                row::count(&self.superuser, &name, Some(tenant.unwrap_or_default())).await
            }
            Some(_) => row::count(&self.superuser, &name, None).await,
            // A function that gives one value gives one row.
            None => 1,
        }
    }

    /// Callers of no or another tenant: name, token, tenant.
    pub(super) fn strangers(&self) -> [(&'static str, Option<String>, Option<&str>); 3] {
        [
            ("another tenant's user", Some(self.stranger.token.clone()), Some(self.rival.tenant.as_str())),
            ("anon", Some(self.app.anon_key.clone()), None),
            ("nobody", None, None),
        ]
    }

    /// A token for the victim's tenant that has just become invalid.
    pub(super) async fn bury(&self, how: &str) -> String {
        let quick = format!("{}@example.com", how.replace(' ', "-"));
        match how {
            "expired" => self.resigned(|claims| claims["exp"] = json!(claims["iat"].as_i64().unwrap() - 1)),
            "forged" => {
                let (signed, _) = self.owner.token.rsplit_once('.').unwrap();
                format!("{signed}.{}", self.stranger.token.rsplit_once('.').unwrap().1)
            }
            "tenant suspended" => {
                self.execute(
                    "update tenancy.tenants set status = 'suspended' where id::text = $1",
                    &self.owner.tenant,
                )
                .await;
                self.owner.token.clone()
            }
            "organization suspended" => {
                let sql = "update tenancy.organizations set status = 'suspended' where id = (select organization_id from tenancy.tenants where id::text = $1)";
                self.execute(sql, &self.owner.tenant).await;
                self.owner.token.clone()
            }
            _ => {
                let member = self.member(&quick).await;
                self.dismiss(how, &member).await;
                member.token
            }
        }
    }

    async fn dismiss(&self, how: &str, member: &SignedIn) {
        match how {
            "signed out" => {
                let answer = self.app.call(&member.token, Method::POST, "/auth/v1/logout?scope=local", None).await;
                assert_eq!(answer.status, StatusCode::NO_CONTENT);
            }
            "session timed out" => self.execute("update auth.sessions set not_after = now() - interval '1 second' where user_id::text = $1", &member.id).await,
            "left the tenant" => {
                let sql = "delete from tenancy.memberships where user_id::text = $1 and role = 'member'";
                self.execute(sql, &member.id).await;
            }
            "membership suspended" => {
                let sql = "update tenancy.memberships set status = 'suspended' where user_id::text = $1 and role = 'member'";
                self.execute(sql, &member.id).await;
            }
            "banned" => self.execute("update auth.users set banned_until = now() + interval '1 hour' where id::text = $1", &member.id).await,
            "deleted" => {
                let path = format!("/auth/v1/admin/users/{}", member.id);
                let answer = self.app.call(&self.app.service_key, Method::DELETE, &path, None).await;
                assert!(answer.status.is_success(), "{answer:?}");
            }
            other => panic!("no such way to go: {other}"),
        }
    }

    /// Reverts changes that affect the owner.
    pub(super) async fn revive(&self, how: &str) {
        match how {
            "tenant suspended" => {
                self.execute(
                    "update tenancy.tenants set status = 'active' where id::text = $1",
                    &self.owner.tenant,
                )
                .await;
            }
            "organization suspended" => {
                let sql = "update tenancy.organizations set status = 'active' where id = (select organization_id from tenancy.tenants where id::text = $1)";
                self.execute(sql, &self.owner.tenant).await;
            }
            _ => {}
        }
        let seen = self.app.get(&self.owner.token, "/rest/v1/accounts?select=handle").await;
        assert!(seen.text.contains(self.victim.mark), "the owner still works: {seen:?}");
    }

    /// A member of the victim's tenant who can read its rows.
    async fn member(&self, email: &str) -> SignedIn {
        let user = self.app.sign_up(email).await;
        let join = "insert into tenancy.memberships (tenant_id, user_id, role) values ($1::text::uuid, $2::text::uuid, 'member')";
        self.superuser.execute(join, &[&self.owner.tenant, &user.id]).await.unwrap();
        let switched =
            self.app.post(&user.token, "/auth/v1/tenant", json!({ "tenant_id": self.owner.tenant })).await;
        let token = switched.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(claims(&token)["tenant_id"], json!(self.owner.tenant));
        let seen = self.app.get(&token, "/rest/v1/accounts?select=handle").await;
        assert!(seen.text.contains(self.victim.mark), "{seen:?}");
        SignedIn { token, ..user }
    }

    /// The owner's token with other claims, signed with the real key.
    fn resigned(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims(&self.owner.token);
        change(&mut claims);
        self.app.keys.ring().sign(&claims, Purpose::Access).unwrap()
    }

    async fn execute(&self, sql: &str, id: &str) {
        assert!(self.superuser.execute(sql, &[&id]).await.unwrap() > 0, "{sql}");
    }
}
