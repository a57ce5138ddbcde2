use rowhouse_db::DefaultGrants;
use rowhouse_testkit::TestDatabase;

use super::exposures;

#[tokio::test]
async fn what_is_open_without_row_level_security_is_named() {
    let db = TestDatabase::create().await;
    let schemas = ["public".to_owned()];
    let client = db.superuser().await;
    assert_eq!(exposures(&client, &schemas, DefaultGrants::None).await.unwrap(), Vec::<String>::new());
    db.migrate(
        "create table public.protected (n int); select tenancy.protect('public.protected');
         create table public.unused (n int);
         create table public.open (n int); grant select on public.open to anon;
         create materialized view public.summary as select 1 as n;
         create view public.owners as select n from public.protected;
         create view public.callers with (security_invoker = true) as select n from public.protected;
         create table public.child () inherits (public.protected);
         create function public.definer() returns int language sql security definer as 'select 1';
         grant select on public.protected, public.summary, public.owners, public.callers, public.child to authenticated",
    )
    .await;
    let named = exposures(&client, &schemas, DefaultGrants::Supabase).await.unwrap();
    let heads: Vec<&str> =
        named.iter().map(|line| line.split([':', ',']).next().unwrap_or_default()).collect();
    assert_eq!(
        heads,
        [
            "rest.default_grants = \"supabase\"",
            "function definer()",
            "materialized view public.summary",
            "table public.child inherits from protected",
            "table public.open",
            "view public.owners",
        ]
    );
}
