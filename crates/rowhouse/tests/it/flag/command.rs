//! `rowhouse flags …`: the same functions at a terminal, seen by a running process.

use rowhouse_flag::Flags;
use rowhouse_testkit::{LIMIT, until};
use serde_json::json;

use super::subject;
use crate::program::{Folder, Run};
use crate::support::TestApp;

fn project_of(app: &TestApp) -> Folder {
    Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", app.db.urls.control.expose()))
}

/// Ends as expected, with one document or text.
fn ends(folder: &Folder, args: &[&str], code: i32) -> Run {
    let run = folder.run(&[&["flags"], args].concat());
    assert_eq!(run.code, code, "{args:?}: {run:?}");
    run
}

#[tokio::test]
async fn operator_makes_changes_and_removes_a_flag_at_a_terminal() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let folder = project_of(&app);
    let tenant = format!("tenant:{}", user.tenant);
    assert!(ends(&folder, &["set", "crm"], 2).err.contains("--kind and --owner"));
    let made = ends(
        &folder,
        &["set", "crm", "--kind", "percentage", "--owner", "Ann", "--percentage", "12.5", "--json"],
        0,
    );
    assert_eq!(made.document()["flag"]["percentage"], json!(12.5));
    let args = [
        "set",
        "crm",
        "--route",
        "/rest/v1/crm_deals",
        "--sunset",
        "2020-01-01",
        "--by",
        "tenant",
        "--public",
        "true",
    ];
    ends(&folder, &args, 0);
    ends(&folder, &["set", "crm", "--rule", r#"{"plans":["pro"],"value":"rollout","percentage":50}"#], 0);
    let flag = ends(&folder, &["show", "crm", "--json"], 0).document()["flag"].clone();
    let expected = json!([{ "plans": ["pro"], "value": "rollout", "percentage": 50.0 }]);
    assert_eq!((&flag["rules"], &flag["sunset_on"]), (&expected, &json!("2020-01-01")), "the rest stays");
    ends(&folder, &["set", "crm", "--kind", "boolean"], 2);
    ends(&folder, &["set", "crm", "--percentage", "101"], 2);
    ends(&folder, &["set", "crm", "--rule", r#"{"plan":"pro","value":"on"}"#], 2);
    let listed = ends(&folder, &["list", "--past-sunset", "--json"], 0).document();
    assert_eq!(listed["flags"].as_array().unwrap().len(), 1);
    assert!(ends(&folder, &["list"], 0).out.contains("1 past sunset"));
    ends(&folder, &["override", "crm", &tenant, "on"], 0);
    ends(&folder, &["override", "crm", "tenant:nobody", "on"], 2);
    ends(&folder, &["override", "crm", "user:0198d5a1-0000-7000-8000-000000000001", "on"], 1);
    let flags = app.provided::<Flags>();
    until("the process knows", LIMIT, async || flags.is_enabled("crm", &subject(&user))).await;
    let evaluated = ends(&folder, &["evaluate", "crm", "--tenant", &user.tenant], 0);
    assert_eq!(evaluated.out.trim(), "crm is on (tenant override)");
    ends(&folder, &["unset", "crm", &tenant], 0);
    ends(&folder, &["unset", "crm", &tenant], 1);
    ends(&folder, &["evaluate", "crm"], 1);
    ends(&folder, &["delete", "crm"], 0);
    ends(&folder, &["show", "crm"], 1);
    let sql = "select count(*), bool_and(actor like 'operator:%') from audit.entries where source = 'flags'";
    let row = app.db.superuser().await.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, bool>(1)), (6, true));
}
