//! `rowhouse audit`.

use rowhouse_testkit::until_true;
use serde_json::{Value, json};

use super::{SEALED, Scene};
use crate::program::Folder;

fn folder(scene: &Scene) -> Folder {
    Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", scene.app.db.urls.control.expose()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_answers_by_exit_code_and_names_what_was_changed() {
    let scene = Scene::start().await;
    scene.write(&scene.organization, 3, "x").await;
    until_true(&scene.client, SEALED).await;
    let folder = folder(&scene);
    let intact = folder.run(&["audit", "verify", "--json"]);
    assert_eq!((intact.code, &intact.document()["intact"]), (0, &json!(true)), "{intact:?}");
    let newest = folder.run(&["audit", "newest", "--organization", &scene.organization]);
    let kept = newest.out.trim().to_owned();
    assert!(kept.starts_with(&format!("{}:", scene.organization)), "{newest:?}");
    std::fs::write(folder.path().join("kept.txt"), folder.run(&["audit", "newest"]).out).unwrap();
    let file = folder.path().join("kept.txt").display().to_string();
    for args in [["--expect", kept.as_str()], ["--expect-file", file.as_str()]] {
        assert_eq!(folder.run(&[&["audit", "verify"], &args[..]].concat()).code, 0, "{args:?}");
    }
    let change = format!(
        "set session_replication_role = replica; update audit.entries set actor = 'x' where action = 'done' and target_id = '2'; \
         delete from audit.entries where id = (select entry_id from audit.chain where organization_id = '{0}' order by sequence desc limit 1); \
         delete from audit.chain where sequence = (select max(sequence) from audit.chain where organization_id = '{0}') and organization_id = '{0}'",
        scene.organization
    );
    scene.client.batch_execute(&change).await.unwrap();
    let found = folder.run(&["audit", "verify", "--json", "--expect", &kept]);
    let document = found.document();
    assert_eq!(
        (found.code, &document["intact"], &document["found"]),
        (1, &json!(false), &json!(2)),
        "{document}"
    );
    let of = |problem: &str| {
        let all = document["findings"].as_array().unwrap();
        all.iter().find(|finding| finding["problem"] == problem).cloned().unwrap_or(Value::Null)
    };
    assert_eq!(of("entry_changed")["organization_id"], json!(scene.organization));
    assert!(of("expected_link_missing")["sequence"].is_i64());
    let text = folder.run(&["audit", "verify", "--organization", &scene.organization]);
    assert!(
        text.code == 1 && text.out.contains("changed: entry") && text.out.contains("1 problems"),
        "{text:?}"
    );
    let other = folder.run(&["audit", "verify", "--organization", &scene.elsewhere]);
    assert_eq!(other.code, 0, "{other:?}");
    for wrong in [&["--expect", "x"][..], &["--expect-file", "/nowhere"], &["--organization", "x"]] {
        assert_eq!(folder.run(&[&["audit", "verify"], wrong].concat()).code, 2, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_listed_and_exported_from_the_command_line() {
    let scene = Scene::start().await;
    scene.write(&scene.organization, 600, "x").await;
    scene.write(&scene.elsewhere, 7, "x").await;
    let folder = folder(&scene);
    let mine = ["--action", "done", "--organization", &scene.organization];
    let listed =
        folder.run(&[&["audit", "list", "--json", "--limit", "1000"], &mine[..]].concat()).document();
    assert_eq!(listed["entries"].as_array().unwrap().len(), 600);
    let text = folder.run(&["audit", "list", "--target", "thing:599", "--since", "2026-01-01"]).out;
    assert!(text.contains("thing 599  by system") && text.lines().count() == 1, "{text}");
    let lines = folder.run(&[&["audit", "export"], &mine[..]].concat()).out;
    assert_eq!(lines.lines().count(), 600);
    let csv = folder.path().join("audit.csv").display().to_string();
    let export = [&["audit", "export", "--format", "csv", "--json", "--output", &csv], &mine[..]].concat();
    assert_eq!(folder.run(&export).document()["entries"], 600);
    assert_eq!(std::fs::read_to_string(&csv).unwrap().matches("\r\n").count(), 601);
    assert_eq!(folder.run(&export).code, 2, "an existing file is not overwritten");
    let noted =
        "select count(*) from audit.entries where action = 'audit_exported' and actor like 'operator:%'";
    assert_eq!(scene.client.query_one(noted, &[]).await.unwrap().get::<_, i64>(0), 2);
    let retention = |more: &[&str]| {
        folder.run(&[&["audit", "retention", "--json", "--organization", &scene.organization], more].concat())
    };
    for (more, days) in [
        (&[][..], Value::Null),
        (&["--days", "730"], json!(730)),
        (&[], json!(730)),
        (&["--default"], Value::Null),
    ] {
        let ran = retention(more);
        assert_eq!((ran.code, &ran.document()["days"]), (0, &days), "{more:?}: {ran:?}");
    }
    assert_eq!(retention(&["--days", "0"]).code, 2);
}
