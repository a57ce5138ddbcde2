//! SQL and memory say the same of every flag, for everybody.

use std::collections::HashMap;

use rowhouse_flag::{Flags, Subject};
use rowhouse_kernel::{OrganizationId, TenantId, UserId};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{Choices, World};

const FLAGS: usize = 150;
const SUBJECTS: usize = 150;
const VARIANTS: [&str; 3] = ["red", "green", "blue"];
const PLANS: [&str; 3] = ["free", "pro", "team"];

/// Values as SQL could leave them: also such as the flag's kind does not have.
const VALUES: [&str; 6] = ["on", "off", "rollout", "red", "green", "purple"];

async fn make_flags(world: &World, choices: &Choices) {
    for number in 0..FLAGS {
        let name = format!("flag-{number}");
        make_flag(world, choices, &name).await;
        for position in 1..=i16::try_from(choices.below(4)).unwrap() {
            make_rule(world, choices, &name, position).await;
        }
        for _ in 0..choices.below(6) {
            override_it(world, choices, &name).await;
        }
    }
}

async fn make_flag(world: &World, choices: &Choices, name: &str) {
    let kind = choices.one(&["boolean", "percentage", "variant"]);
    let bucket_by = choices.one(&["user", "tenant", "organization"]);
    let weights: Vec<i32> = VARIANTS.iter().map(|_| i32::try_from(choices.below(4)).unwrap()).collect();
    let percentage = f64::from(u32::try_from(choices.below(10_001)).unwrap()) / 100.0;
    let sql =
        "insert into flags.flags (name, owner, kind, bucket_by, default_value, percentage, variants, weights)
               values ($1, 'test', $2, $3, $4, $5::float8::numeric(5, 2), $6, $7)";
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
        [&name, &kind, &bucket_by, &choices.one(&VALUES), &percentage, &&VARIANTS[..], &weights];
    world.client.execute(sql, &parameters).await.unwrap();
}

async fn make_rule(world: &World, choices: &Choices, flag: &str, position: i16) {
    let tenants: Vec<Uuid> = world.tenants.iter().map(|(tenant, _)| *tenant).collect();
    let given = |ids: &[Uuid]| choices.once_in(2).then(|| choices.some(ids));
    let (organizations, tenants, users) = (given(&world.organizations), given(&tenants), given(&world.users));
    let none = organizations.is_none() && tenants.is_none() && users.is_none();
    let plans = (none || choices.once_in(3)).then(|| choices.some(&PLANS));
    let percentage = choices.once_in(2).then(|| f64::from(u32::try_from(choices.below(101)).unwrap()));
    let sql =
        "insert into flags.rules (flag, position, organizations, tenants, users, plans, value, percentage)
               values ($1, $2, $3, $4, $5, $6, $7, $8::float8::numeric(5, 2))";
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
        [&flag, &position, &organizations, &tenants, &users, &plans, &choices.one(&VALUES), &percentage];
    world.client.execute(sql, &parameters).await.unwrap();
}

async fn override_it(world: &World, choices: &Choices, flag: &str) {
    let (column, subject) = match choices.below(3) {
        0 => ("organization_id", choices.one(&world.organizations)),
        1 => ("tenant_id", choices.one(&world.tenants).0),
        _ => ("user_id", choices.one(&world.users)),
    };
    let sql = format!(
        "insert into flags.overrides (flag, {column}, value) values ($1, $2, $3) on conflict do nothing"
    );
    world.client.execute(&sql, &[&flag, &subject, &choices.one(&VALUES)]).await.unwrap();
}

/// Mostly somebody in a tenant; sometimes strangers, and nobody.
fn choose_subject(world: &World, choices: &Choices) -> Subject {
    let (tenant, organization) = choices.one(&world.tenants);
    let stranger = Uuid::from_u128(u128::try_from(choices.below(1000)).unwrap());
    let user = if choices.once_in(4) { stranger } else { choices.one(&world.users) };
    Subject {
        organization: (!choices.once_in(8)).then_some(OrganizationId(organization)),
        tenant: (!choices.once_in(8)).then_some(TenantId(tenant)),
        user: (!choices.once_in(8)).then_some(UserId(user)),
    }
}

async fn by_sql(client: &Client, subject: &Subject) -> HashMap<String, Value> {
    let sql =
        "select f.name, jsonb_build_object('enabled', e.is_on, 'variant', e.variant, 'reason', e.reason,
                 'rule', e.rule, 'bucket', e.bucket)
               from flags.flags f, flags.evaluate(f.name, $1, $2, $3) e";
    let (organization, tenant) = (subject.organization.map(|id| id.0), subject.tenant.map(|id| id.0));
    let rows = client.query(sql, &[&organization, &tenant, &subject.user.map(|id| id.0)]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn sql_and_memory_agree_on_random_flags_and_subjects() {
    let (world, choices) = (World::new().await, Choices::new(11));
    make_flags(&world, &choices).await;
    let flags = Flags::default();
    flags.reload(&world.client).await.unwrap();
    let mut reasons: HashMap<String, usize> = HashMap::new();
    for _ in 0..SUBJECTS {
        let subject = choose_subject(&world, &choices);
        let stored = by_sql(&world.client, &subject).await;
        assert_eq!(stored.len(), FLAGS);
        for (name, stored) in stored {
            let held = flags.evaluate(&name, &subject);
            assert_eq!(json!(held), stored, "{name} for {subject:?}");
            assert_eq!(flags.is_enabled(&name, &subject), held.is_on, "{name} for {subject:?}");
            *reasons.entry(format!("{:?} {}", held.reason, held.is_on)).or_default() += 1;
        }
    }
    // The test says something only if every reason has decided both ways.
    assert_eq!(reasons.len(), 10, "{reasons:?}");
}

/// What a policy asks, as the caller asks it.
#[tokio::test]
async fn functions_of_policies_take_the_caller_from_the_claims() {
    let (world, choices) = (World::new().await, Choices::new(12));
    make_flags(&world, &choices).await;
    let flags = Flags::default();
    flags.reload(&world.client).await.unwrap();
    world.client.batch_execute("set role authenticated").await.unwrap();
    let subjects = (0..20).map(|_| choose_subject(&world, &choices));
    for subject in subjects.filter(|subject| subject.tenant.is_some() && subject.organization.is_some()) {
        let (tenant, organization) = (subject.tenant, subject.organization);
        let mut claims = json!({ "tenant_id": tenant, "org_id": organization, "role": "authenticated" });
        if let Some(user) = subject.user {
            claims["sub"] = json!(user);
        }
        world
            .client
            .execute("select set_config('request.jwt.claims', $1, false)", &[&claims.to_string()])
            .await
            .unwrap();
        for number in 0..FLAGS {
            let name = format!("flag-{number}");
            let row = world
                .client
                .query_one("select flags.enabled($1), flags.variant($1)", &[&name])
                .await
                .unwrap();
            let expected = (flags.is_enabled(&name, &subject), flags.variant(&name, &subject));
            assert_eq!((row.get(0), row.get(1)), expected, "{name} for {subject:?}");
        }
    }
    let unknown =
        world.client.query_one("select flags.enabled('none'), flags.variant('none')", &[]).await.unwrap();
    assert_eq!((unknown.get(0), unknown.get::<_, Option<String>>(1)), (Some(false), None));
}

#[tokio::test]
async fn callers_reach_no_table_and_no_function_that_takes_a_subject() {
    let world = World::new().await;
    for role in ["anon", "authenticated"] {
        world.client.batch_execute(&format!("set role {role}")).await.unwrap();
        for refused in [
            "select * from flags.flags",
            "select * from flags.rules",
            "select * from flags.overrides",
            "select flags.evaluate('x', null, null, null)",
            "select flags.chosen('x', null, null, null)",
            "select flags.bucket('x', gen_random_uuid())",
            "select flags.tenants_of_plans('{}')",
        ] {
            let error = world.client.batch_execute(refused).await.unwrap_err();
            assert_eq!(
                error.code().map(tokio_postgres::error::SqlState::code),
                Some("42501"),
                "{role}: {refused}"
            );
        }
        world.client.batch_execute("reset role").await.unwrap();
    }
}
