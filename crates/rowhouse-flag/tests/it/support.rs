//! Arranging: a database with organizations, tenants and users, and random choices among them.

use std::sync::Arc;

use rowhouse_kernel::{Rng, SeededRng};
use rowhouse_testkit::TestDatabase;
use tokio_postgres::Client;
use uuid::Uuid;

/// Choices that are the same for the same seed.
pub(crate) struct Choices(Arc<SeededRng>);

impl Choices {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededRng::new(seed))
    }

    /// 0 to `most`, without it.
    pub(crate) fn below(&self, most: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(most).unwrap()).unwrap()
    }

    /// True once in `times`.
    pub(crate) fn once_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn one<T: Clone>(&self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Between one and three of them.
    pub(crate) fn some<T: Clone>(&self, of: &[T]) -> Vec<T> {
        (0..=self.below(3)).map(|_| self.one(of)).collect()
    }
}

/// A database with the ids of what was made in it.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) client: Client,
    pub(crate) organizations: Vec<Uuid>,
    /// With their organizations.
    pub(crate) tenants: Vec<(Uuid, Uuid)>,
    pub(crate) users: Vec<Uuid>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let client = database.superuser().await;
        let sql = "insert into tenancy.organizations (name, slug) select 'o', 'o-' || n from generate_series(1, 4) n returning id";
        let organizations = ids(&client, sql).await;
        client
            .batch_execute(
                "insert into tenancy.plans (name) values ('free'), ('pro'), ('team') on conflict do nothing",
            )
            .await
            .unwrap();
        let sql = "insert into tenancy.tenants (organization_id, name, slug, plan)
                   select o.id, 't', 't-' || n, (array['free', 'pro', null])[n]
                   from tenancy.organizations o, generate_series(1, 3) n
                   returning id, organization_id";
        let tenants =
            client.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
        // Without their personal organizations.
        let sql = "insert into auth.users (id, email, invited_at)
                   select gen_random_uuid(), n || '@flags.example', now() from generate_series(1, 8) n returning id";
        let users = ids(&client, sql).await;
        Self { database, client, organizations, tenants, users }
    }
}

async fn ids(client: &Client, sql: &str) -> Vec<Uuid> {
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}
