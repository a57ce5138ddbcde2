//! Custom roles.

use reqwest::StatusCode;
use serde_json::json;

use super::{harness, refusal, said};

#[tokio::test]
async fn custom_role_is_made_given_changed_and_deleted() {
    let harness = harness().await;
    let token = &harness.owner.token;
    let body = json!({ "name": "billing", "permissions": ["organization:billing", "organization:view"] });
    let made = harness.post(token, "/organizations/$ORG/roles", body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(made.json()["permissions"], json!(["organization:billing", "organization:view"]));
    assert_eq!(
        said(&harness.post(token, "/organizations/$ORG/roles", body).await),
        refusal(409, "role_taken")
    );
    let given = harness.put(token, "/organizations/$ORG/members/$OTHER", json!({ "role": "billing" })).await;
    assert_eq!(given.status, StatusCode::OK, "{}", given.text);
    let sees_members =
        async || harness.get(&harness.other.token, "/organizations/$ORG/members").await.status.as_u16();
    assert_eq!(sees_members().await, 403);
    let more = json!({ "permissions": ["members:view"], "description": "Counts heads" });
    let changed = harness.patch(token, "/organizations/$ORG/roles/billing", more).await;
    assert_eq!((changed.status, &changed.json()["permissions"]), (StatusCode::OK, &json!(["members:view"])));
    assert_eq!(sees_members().await, 200, "at once");
    let path = "/organizations/$ORG/roles/billing";
    assert_eq!(said(&harness.delete(token, path).await), refusal(409, "role_in_use"));
    harness.put(token, "/organizations/$ORG/members/$OTHER", json!({ "role": "member" })).await;
    assert_eq!(harness.delete(token, path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(said(&harness.get(token, path).await), refusal(404, "not_found"));
    let listed = harness.get(token, "/organizations/$ORG/roles").await.json();
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|role| role["name"].clone()).collect();
    assert_eq!(names, ["admin", "manager", "member", "owner"]);
}

#[tokio::test]
async fn nobody_makes_a_role_beyond_himself_or_changes_a_built_in_one() {
    let harness = harness().await;
    harness
        .sql("update tenancy.organization_members set role = 'admin' where organization_id = $ORG and user_id = $OTHER")
        .await;
    let token = &harness.other.token;
    let role = |name: &str, permission: &str| json!({ "name": name, "permissions": [permission] });
    let make = async |body| said(&harness.post(token, "/organizations/$ORG/roles", body).await);
    assert_eq!(make(role("evil", "organization:delete")).await, refusal(403, "beyond_own_permissions"));
    assert_eq!(make(role("owner", "tenant:view")).await, refusal(409, "role_taken"));
    assert_eq!(make(role("Evil", "tenant:view")).await, refusal(422, "invalid"));
    assert_eq!(make(role("evil", "tenant:fly")).await, refusal(400, "bad_request"));
    assert_eq!(make(role("good", "tenant:view")).await.0, 201);
    let more = json!({ "permissions": ["organization:delete"] });
    let changed = harness.patch(token, "/organizations/$ORG/roles/good", more.clone()).await;
    assert_eq!(said(&changed), refusal(403, "beyond_own_permissions"));
    harness
        .sql("insert into tenancy.role_permissions (organization_id, role, permission) values ($ORG, 'good', 'organization:delete')")
        .await;
    let less = harness.patch(token, "/organizations/$ORG/roles/good", json!({ "permissions": [] })).await;
    assert_eq!(said(&less), refusal(403, "beyond_own_permissions"), "nor takes what stands above");
    let owner = harness.patch(&harness.owner.token, "/organizations/$ORG/roles/member", more).await;
    assert_eq!(said(&owner), refusal(409, "built_in_role"));
}

/// What a role can do in modules is not named by permissions.
#[tokio::test]
async fn nobody_gives_a_role_that_can_do_in_a_module_what_he_cannot() {
    let harness = harness().await;
    let third = harness.app.sign_up("third@example.com").await;
    let filled = "insert into tenancy.organization_members (organization_id, user_id, role) values ($ORG, '$THIRD', 'member');
         update tenancy.organization_members set role = 'manager' where organization_id = $ORG and user_id = $OTHER;
         insert into tenancy.roles (organization_id, name) values ($ORG, 'clerk');
         insert into tenancy.modules (name) values ('finance'), ('crm');
         insert into tenancy.module_permissions (organization_id, role, module, action) values
           ($ORG, 'clerk', 'finance', 'write'), (null, 'admin', 'finance', 'all'), (null, 'manager', 'finance', 'read')";
    harness.sql(&filled.replace("$THIRD", &third.id)).await;
    let give = async |token: &str| {
        let path = format!("/organizations/$ORG/members/{}", third.id);
        harness.put(token, &path, json!({ "role": "clerk" })).await
    };
    let body = json!({ "name": "service", "scopes": ["members:view", "members:manage"] });
    let made = harness.post(&harness.owner.token, "/organizations/$ORG/api-keys", body).await.json();
    let key = made["key"].as_str().unwrap();
    harness.sql("delete from tenancy.role_permissions where role = 'member'").await;
    let (manager, beyond) = (&harness.other.token, refusal(403, "beyond_own_permissions"));
    assert_eq!(said(&give(manager).await), beyond, "he reads only");
    assert_eq!(said(&give(key).await), beyond, "it can do nothing in modules");
    harness.sql("update tenancy.module_permissions set action = 'all' where role = 'manager'").await;
    assert_eq!(give(manager).await.status, StatusCode::OK, "all has each of them");
    harness.sql("update tenancy.module_permissions set module = 'crm' where role = 'manager'").await;
    assert_eq!(said(&give(manager).await), beyond, "another module");
    assert_eq!(give(&harness.owner.token).await.status, StatusCode::OK, "an owner is above all roles");
    harness.sql("delete from tenancy.module_permissions").await;
    assert_eq!(give(key).await.status, StatusCode::OK);
}
