//! Permissions of members, as tenancy decides them.

use rowhouse_kernel::{Caller, TenantId, UserId};
use rowhouse_tenancy::permission::{Permission, PermissionError, Scope, require};

use crate::app::{App, Person};

#[tokio::test]
async fn permissions_are_those_of_the_database() {
    let app = App::start().await;
    let sql = "select name from tenancy.permissions order by 1";
    let stored: Vec<String> =
        app.sql().await.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let mut known: Vec<_> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
    known.sort_unstable();
    assert_eq!(stored, known);
}

fn caller(person: &Person) -> Caller {
    Caller {
        role: "authenticated".into(),
        user: Some(UserId(person.id().parse().unwrap())),
        ..Caller::anonymous()
    }
}

#[tokio::test]
async fn permission_is_looked_up_in_the_tenant_of_the_request() {
    let app = App::start().await;
    let client = app.sql().await;
    let owner = app.sign_up("owner@example.com").await;
    let other = app.sign_up("other@example.com").await;
    let tenant = TenantId(owner.claims(&app)["tenant_id"].as_str().unwrap().parse().unwrap());
    let manage = Permission::MembersManage;
    let may =
        async |caller: &Caller, permission| match require(&client, caller, Scope::Tenant(tenant), permission)
            .await
        {
            Ok(()) => true,
            Err(PermissionError::Denied(denied)) => {
                assert_eq!(denied, permission);
                false
            }
            Err(other) => panic!("{other}"),
        };
    let service = Caller { role: "service_role".into(), ..Caller::anonymous() };
    assert!(may(&caller(&owner), manage).await && may(&service, manage).await);
    assert!(!may(&caller(&other), manage).await && !may(&Caller::anonymous(), manage).await);
    let everywhere = require(&client, &caller(&owner), Scope::Installation, manage).await.unwrap_err();
    assert_eq!(everywhere.to_string(), "this is for operators");
    // The owner of the organization keeps every permission in its tenants, whatever the role there.
    client.execute("update tenancy.memberships set role = 'member'", &[]).await.unwrap();
    assert!(may(&caller(&owner), manage).await);
    client.execute("update tenancy.organization_members set role = 'member'", &[]).await.unwrap();
    for (role, view, manage_too) in [("member", true, false), ("manager", true, true), ("admin", true, true)]
    {
        client.execute("update tenancy.memberships set role = $1", &[&role]).await.unwrap();
        let owner = caller(&owner);
        assert_eq!(
            (may(&owner, Permission::MembersView).await, may(&owner, manage).await),
            (view, manage_too)
        );
        assert!(!may(&owner, Permission::OrganizationDelete).await, "{role}");
    }
    client.execute("update tenancy.organizations set status = 'suspended'", &[]).await.unwrap();
    assert!(!may(&caller(&owner), manage).await);
}
