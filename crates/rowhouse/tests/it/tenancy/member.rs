//! Members of organizations and tenants.

use reqwest::StatusCode;
use serde_json::json;

use super::{harness, refusal, said};

#[tokio::test]
async fn member_of_the_organization_is_added_to_a_tenant_and_a_stranger_is_not() {
    let harness = harness().await;
    let token = &harness.owner.token;
    let stranger = harness.app.sign_up("stranger@example.com").await;
    let add = async |user: &str, role: &str| {
        harness.post(token, "/tenants/$TENANT/members", json!({ "user_id": user, "role": role })).await
    };
    assert_eq!(said(&add(&stranger.id, "member").await), refusal(409, "not_in_organization"));
    assert_eq!(said(&add(&harness.other.id, "pilot").await), refusal(422, "no_such_role"));
    let added = add(&harness.other.id, "manager").await;
    assert_eq!(
        (added.status, &added.json()["role"]),
        (StatusCode::CREATED, &json!("manager")),
        "{}",
        added.text
    );
    assert_eq!(said(&add(&harness.other.id, "member").await), refusal(409, "is_a_member"));
    let nobody = json!({ "user_id": "0198d5a1-0000-7000-8000-000000000001", "role": "member" });
    let missing = harness.post(&harness.app.service_key, "/organizations/$ORG/members", nobody).await;
    assert_eq!(said(&missing), refusal(404, "not_found"));
    let refused = harness.post(
        token,
        "/organizations/$ORG/members",
        json!({ "user_id": stranger.id, "role": "member" }),
    );
    assert_eq!(said(&refused.await), refusal(403, "forbidden"), "without an invitation");
    assert_eq!(harness.actions().await, ["member_added"]);
}

/// Nobody rises by his own hand, and nobody lowers who stands above.
#[tokio::test]
async fn nobody_gives_or_takes_a_role_that_can_do_more_than_himself() {
    let harness = harness().await;
    let third = harness.app.sign_up("third@example.com").await;
    harness
        .sql(&format!(
            "update tenancy.organization_members set role = 'manager' where organization_id = $ORG and user_id = $OTHER;
             insert into tenancy.organization_members (organization_id, user_id, role) values ($ORG, '{}', 'admin')",
            third.id
        ))
        .await;
    let token = &harness.other.token;
    let set = async |user: &str, role: &str| {
        harness.put(token, &format!("/organizations/$ORG/members/{user}"), json!({ "role": role })).await
    };
    assert_eq!(said(&set(&harness.other.id, "owner").await), refusal(403, "owners_only"));
    assert_eq!(said(&set(&harness.other.id, "admin").await), refusal(403, "beyond_own_permissions"));
    assert_eq!(said(&set(&third.id, "member").await), refusal(403, "beyond_own_permissions"));
    assert_eq!(said(&set(&harness.owner.id, "member").await), refusal(403, "owners_only"));
    let removed = harness.delete(token, &format!("/organizations/$ORG/members/{}", third.id)).await;
    assert_eq!(said(&removed), refusal(403, "beyond_own_permissions"));
    let add = json!({ "user_id": third.id, "role": "admin" });
    let added = harness.post(token, "/tenants/$TENANT/members", add).await;
    assert_eq!(said(&added), refusal(403, "beyond_own_permissions"));
    assert_eq!(set(&harness.other.id, "member").await.status, StatusCode::OK, "down is possible");
    assert_eq!(said(&set(&harness.other.id, "manager").await), refusal(403, "forbidden"));
}

#[tokio::test]
async fn last_owner_stays_in_every_way() {
    let harness = harness().await;
    for token in [&harness.owner.token, &harness.app.service_key] {
        for place in ["/organizations/$ORG", "/tenants/$TENANT"] {
            let path = format!("{place}/members/$OWNER");
            let last = refusal(409, "last_owner");
            assert_eq!(said(&harness.put(token, &path, json!({ "role": "admin" })).await), last);
            assert_eq!(said(&harness.put(token, &path, json!({ "status": "suspended" })).await), last);
            assert_eq!(said(&harness.delete(token, &path).await), last);
        }
    }
    harness
        .sql("update tenancy.organization_members set role = 'owner' where organization_id = $ORG and user_id = $OTHER")
        .await;
    let path = "/organizations/$ORG/members/$OWNER";
    assert_eq!(
        harness.put(&harness.owner.token, path, json!({ "role": "admin" })).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn who_is_suspended_in_the_organization_is_so_in_its_tenants() {
    let harness = harness().await;
    harness.sql("insert into tenancy.memberships (tenant_id, user_id) values ($TENANT, $OTHER)").await;
    let enter = async || {
        let body = json!({ "tenant_id": harness.owner.tenant });
        harness.app.post(&harness.other.token, "/auth/v1/tenant", body).await
    };
    let session = enter().await.json();
    let token = session["access_token"].as_str().unwrap();
    let read = async || harness.app.get(token, "/rest/v1/todos").await.status.as_u16();
    let set = async |status: &str| {
        let body = json!({ "status": status });
        harness.put(&harness.owner.token, "/organizations/$ORG/members/$OTHER", body).await.status
    };
    assert_eq!((read().await, set("suspended").await, read().await), (200, StatusCode::OK, 403));
    assert_eq!(enter().await.status.as_u16(), 403);
    let outside = harness.get(&harness.other.token, "/organizations/$ORG").await;
    assert_eq!(said(&outside), refusal(403, "forbidden"));
    assert_eq!((set("active").await, read().await), (StatusCode::OK, 200));
    let removed = harness.delete(&harness.owner.token, "/organizations/$ORG/members/$OTHER").await;
    assert_eq!((removed.status, read().await), (StatusCode::NO_CONTENT, 403));
    let left = "select count(*) from tenancy.memberships m join tenancy.tenants t on t.id = m.tenant_id
                where m.user_id = $OTHER and t.organization_id = $ORG";
    let left: i64 = harness.client.query_one(&harness.filled(left), &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
    let actions = ["member_suspended", "member_reactivated", "member_removed"];
    assert_eq!(harness.actions().await, actions);
}

#[tokio::test]
async fn who_merely_belongs_to_the_organization_sees_none_of_its_tenants() {
    let harness = harness().await;
    let token = &harness.other.token;
    assert_eq!(harness.get(token, "/organizations/$ORG").await.status, StatusCode::OK);
    assert_eq!(harness.get(token, "/organizations/$ORG/tenants").await.json()["items"], json!([]));
    for path in ["/tenants/$TENANT", "/tenants/$TENANT/members"] {
        assert_eq!(harness.get(token, path).await.status.as_u16(), 403, "{path}");
    }
    harness
        .sql("update tenancy.organization_members set role = 'manager' where organization_id = $ORG and user_id = $OTHER")
        .await;
    assert_eq!(harness.get(token, "/tenants/$TENANT/members").await.status, StatusCode::OK);
    let listed = harness.get(token, "/organizations/$ORG/tenants").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

/// A suspension or removal in the organization takes effect in its tenants, so it is asked there, too.
#[tokio::test]
async fn manager_of_the_organization_takes_no_owner_or_last_owner_from_a_tenant() {
    let harness = harness().await;
    let third = harness.app.sign_up("third@example.com").await;
    harness
        .sql(&format!(
            "insert into tenancy.organization_members (organization_id, user_id, role) values ($ORG, '{0}', 'manager');
             insert into tenancy.memberships (tenant_id, user_id, role) values ($TENANT, $OTHER, 'owner')",
            third.id
        ))
        .await;
    let path = "/organizations/$ORG/members/$OTHER";
    let attempts = async |token: &str| {
        let suspended = harness.put(token, path, json!({ "status": "suspended" })).await;
        [said(&suspended), said(&harness.delete(token, path).await)]
    };
    let owners = ["owners_only", "owners_only"].map(|code| refusal(403, code));
    assert_eq!(attempts(&third.token).await, owners, "of two owners");
    harness
        .sql("update tenancy.memberships set role = 'admin' where tenant_id = $TENANT and user_id = $OTHER")
        .await;
    let beyond = ["beyond_own_permissions", "beyond_own_permissions"].map(|code| refusal(403, code));
    assert_eq!(attempts(&third.token).await, beyond, "an admin");
    harness
        .sql(
            "update tenancy.memberships set role = case user_id when $OTHER then 'owner' else 'member' end
             where tenant_id = $TENANT",
        )
        .await;
    let last = ["last_owner", "last_owner"].map(|code| refusal(409, code));
    assert_eq!(attempts(&harness.owner.token).await, last, "even for an owner of the organization");
    assert_eq!(attempts(&harness.app.service_key).await, last);
    harness.sql("update tenancy.tenants set status = 'deleted' where id = $TENANT").await;
    assert_eq!(attempts(&third.token).await, owners, "nor in a closed tenant");
    // The owner's own session has ended with the tenant.
    assert_eq!(harness.delete(&harness.app.service_key, path).await.status, StatusCode::NO_CONTENT);
}

/// Who is suspended in the organization is no owner who remains.
#[tokio::test]
async fn owner_suspended_above_does_not_count_as_the_remaining_one() {
    let harness = harness().await;
    harness
        .sql(
            "insert into tenancy.memberships (tenant_id, user_id, role) values ($TENANT, $OTHER, 'owner');
             update tenancy.organization_members set status = 'suspended'
             where organization_id = $ORG and user_id = $OTHER",
        )
        .await;
    let left = harness.delete(&harness.owner.token, "/tenants/$TENANT/members/$OWNER").await;
    assert_eq!(said(&left), refusal(409, "last_owner"));
}
