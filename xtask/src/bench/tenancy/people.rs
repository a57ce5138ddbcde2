//! The people of the installation: made, synchronized, suspended.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::request::id;
use super::{PLACES, People, Size};
use crate::bench::report::Limit;
use crate::bench::server::{Server, User};

const SEED: &str = include_str!("seed.sql");
/// Longest sync of all profiles, and longest suspension, in seconds.
const SYNCED_WITHIN: f64 = 30.0;
const SUSPENDED_WITHIN: f64 = 60.0;
/// When the bench gives up waiting for the suspension, and how often it looks.
const TIMEOUT: Duration = Duration::from_secs(600);
const PAUSE: Duration = Duration::from_millis(100);

/// Makes all of them, and signs up those who send requests.
pub(super) async fn seed(server: &Server, size: &Size) -> Result<People> {
    let [users, tenants] = [size.users, size.tenants].map(|number| number.to_string());
    // One place among those who are suspended is the owner's, who signs up.
    let closed = (size.closed() - 1).to_string();
    server.run_as_superuser(
        &SEED.replace("$USERS", &users).replace("$TENANTS", &tenants).replace("$CLOSED", &closed),
    )?;
    let operator = server.sign_up_as("operator@example.org").await?;
    let owner = server.sign_up_as("owner@example.org").await?;
    let member = server.sign_up_as("member@example.org").await?;
    let (many, [operator_id, owner_id, member_id]) = (
        size.tenants / 5,
        [&operator, &owner, &member].map(|user| user.claims["sub"].as_str().unwrap_or_default().to_owned()),
    );
    let (first, second, places) = (id(1), id(2), PLACES.min(many));
    let tenants: String = (1..=places).map(|n| format!("('{}'::uuid),", id(n))).collect();
    let tenants = tenants.trim_end_matches(',');
    server.run_as_superuser(&format!(
        "insert into tenancy.operators (user_id, role, reason) values ('{operator_id}', 'super_admin', 'bench');
         update auth.sessions set aal = 'aal2' where user_id = '{operator_id}';
         insert into tenancy.organization_members (organization_id, user_id, role)
         values ('{first}', '{owner_id}', 'owner'), ('{second}', '{member_id}', 'member');
         insert into tenancy.memberships (tenant_id, user_id) select t.id, '{owner_id}' from (values {tenants}) t (id);
         insert into tenancy.memberships (tenant_id, user_id)
         select t.id, '{member_id}' from tenancy.tenants t where t.organization_id = '{second}' limit 1"
    ))?;
    server.run_as_superuser("vacuum analyze")?;
    Ok(People { operator, owner, member })
}

/// A sync that has to make every profile.
pub(super) fn sync(server: &Server, size: &Size) -> Result<[Limit; 1]> {
    server.run_as_superuser("delete from tenancy.user_profiles")?;
    server.run_as_superuser("vacuum analyze tenancy.user_profiles")?;
    let began = Instant::now();
    server.run(&["users", "sync"], &[])?;
    let took = began.elapsed().as_secs_f64();
    let missing = server.count(
        "auth.users u where not exists (select from tenancy.user_profiles p where p.user_id = u.id)",
    )?;
    ensure!(missing == 0, "{missing} of {} users have no profile", size.users);
    Ok([Limit {
        what: "users sync that makes every profile",
        unit: "s",
        most: SYNCED_WITHIN,
        measured: Some(took),
    }])
}

/// The members of the large organization, with every session.
pub(super) async fn suspend(server: &Server, people: &People, size: &Size) -> Result<[Limit; 2]> {
    let token = &people.operator.token;
    let body = json!({ "action": "suspend", "reason": "bench", "filter": { "organization": id(1) } });
    let began = Instant::now();
    let made = server.send("POST", "/admin/v1/bulk-jobs", token, &body).await?;
    ensure!(made["total"] == size.closed(), "{} users were found", made["total"]);
    let job = made["id"].as_str().context("the job's id")?;
    let ended = wait_for(server, &people.operator, job).await?;
    let took = began.elapsed().as_secs_f64();
    ensure!(ended["succeeded"] == size.closed(), "not all are suspended: {ended}");
    let closed = format!("operators.bulk_items i where i.bulk_job_id = '{job}'");
    let sessions =
        server.count(&format!("auth.sessions s where s.user_id in (select i.user_id from {closed})"))?;
    let open = server.count(&format!(
        "{closed} and not exists (select from auth.users u where u.id = i.user_id and u.banned_until = 'infinity')"
    ))?;
    let refused = server
        .send("GET", "/admin/v1/me", &people.owner.token, &json!({}))
        .await
        .err()
        .map(|error| error.to_string());
    let is_out = refused.is_some_and(|why| ["401", "403"].iter().any(|status| why.contains(status)));
    let alive = sessions + open + u64::from(!is_out);
    Ok([
        Limit { what: "bulk suspension", unit: "s", most: SUSPENDED_WITHIN, measured: Some(took) },
        Limit {
            what: "sessions and accounts left open by it",
            unit: "",
            most: 0.0,
            measured: Some(alive as f64),
        },
    ])
}

async fn wait_for(server: &Server, operator: &User, job: &str) -> Result<Value> {
    let began = Instant::now();
    while began.elapsed() < TIMEOUT {
        let get = |http: &reqwest::Client, url: &str| http.get(format!("{url}/admin/v1/bulk-jobs/{job}"));
        let found: Value = server.exchange(operator, get).await?.json().await?;
        if found["state"] != "running" {
            return Ok(found);
        }
        tokio::time::sleep(PAUSE).await;
    }
    anyhow::bail!("the bulk job does not end within {TIMEOUT:?}")
}
