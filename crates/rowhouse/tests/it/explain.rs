//! `rest explain` through the real program, on a running project.

use serde_json::{Value, json};

use crate::program::{Folder, Run, Up, free_port, run};

/// A table of 10,000 rows of the first tenant, with a policy that calls per row on another.
const SCHEMA: &str = "
    create table public.notes (id bigint generated always as identity primary key, rank int not null, body text);
    select tenancy.protect('public.notes');
    grant select, insert, update, delete on public.notes to authenticated, service_role;
    insert into public.notes (rank, body, tenant_id)
      select n, 'note ' || n, (select id from tenancy.tenants order by created_at limit 1) from generate_series(1, 10000) n;
    create table public.drafts (id bigint primary key, owner uuid, body text);
    alter table public.drafts enable row level security;
    create policy own_drafts on public.drafts for select to authenticated using (owner = auth.uid());
    grant select on public.drafts to authenticated;
    create view public.note_bodies with (security_invoker = true) as select id, body from public.notes;
    grant select on public.note_bodies to authenticated;
    create function public.ranked(low int) returns setof public.notes language sql stable as $$ select * from public.notes where rank >= low $$;
    analyze public.notes;
    notify pgrst";

struct Scene {
    folder: Folder,
    _up: Up,
}

impl Scene {
    async fn start() -> Self {
        let folder = Folder::todos();
        let up = Up::start(&folder, free_port());
        let http = reqwest::Client::new();
        let body = json!({ "email": "ann@example.com", "password": "correct horse" });
        let request =
            http.post(format!("{}/auth/v1/signup", up.text("url"))).bearer_auth(up.text("anon_key"));
        assert_eq!(request.json(&body).send().await.unwrap().status(), 200);
        let scene = Self { folder, _up: up };
        scene.sql(SCHEMA);
        scene
    }

    fn sql(&self, sql: &str) -> String {
        let dir = self.folder.path().to_str().unwrap();
        let done = run(&["--dir", dir, "psql", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        assert_eq!(done.code, 0, "{done:?}");
        done.out.trim().to_owned()
    }

    fn explain(&self, args: &[&str]) -> Run {
        self.folder.run(&[&["rest", "explain"], args].concat())
    }

    /// The report as Ann.
    fn as_ann(&self, request: &str, more: &[&str]) -> Value {
        let run = self.explain(&[&[request, "--as", "ANN@example.com", "--json"], more].concat());
        assert_eq!(run.code, 0, "{run:?}");
        run.document()
    }
}

fn statements(document: &Value) -> Vec<&str> {
    document["hints"].as_array().unwrap().iter().filter_map(|hint| hint["statement"].as_str()).collect()
}

#[tokio::test]
async fn explain_reports_the_policies_of_a_users_rows() {
    let scene = Scene::start().await;
    document_has_all_parts(&scene);
    missing_index_is_told_until_it_is_there(&scene);
    bare_call_in_a_policy_is_told_until_it_is_wrapped(&scene);
    nothing_changes(&scene);
    views_and_functions_show_their_tables(&scene);
    roles_see_as_they_do(&scene);
    limits_of_the_tenant_bind(&scene);
    whom_nobody_knows_is_refused(&scene);
}

fn document_has_all_parts(scene: &Scene) {
    let document = scene.as_ann("GET /notes?select=id&rank=eq.7", &["--analyze"]);
    let keys: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "analyzed",
        "before",
        "caller",
        "context",
        "hints",
        "indexes",
        "plan",
        "query",
        "relations",
        "request",
        "sequential",
    ];
    assert_eq!(keys, expected);
    assert_eq!((&document["query"]["params"], &document["analyzed"]), (&json!(["7", "1000"]), &json!(true)));
    assert_eq!(document["caller"]["role"], "authenticated");
    assert!(
        document["plan"]["execution_ms"].is_f64() && document["plan"]["root"]["actual"]["rows"].is_number()
    );
    let notes = &document["relations"][0];
    assert_eq!((&notes["relation"], &notes["role"]), (&json!("public.notes"), &json!("authenticated")));
    let names: Vec<&str> =
        notes["policies"].as_array().unwrap().iter().filter_map(|policy| policy["name"].as_str()).collect();
    assert_eq!(names, ["tenant_select"]);
    let text = scene.explain(&["GET /notes?rank=eq.7", "--as", "ann@example.com"]);
    for part in [
        "SQL\n",
        "$1 = 7",
        "Seq Scan on public.notes",
        "tenant_select (permissive, for select, to authenticated)",
        "Hints\n",
    ] {
        assert!(text.out.contains(part), "{part} in {}", text.out);
    }
}

fn missing_index_is_told_until_it_is_there(scene: &Scene) {
    let request = "GET /notes?select=id&rank=eq.7";
    assert_eq!(statements(&scene.as_ann(request, &[])), ["create index on public.notes (tenant_id, rank);"]);
    scene.sql("create index notes_by_rank on public.notes (tenant_id, rank)");
    let after = scene.as_ann(request, &[]);
    assert_eq!((statements(&after), &after["sequential"]), (vec![], &json!([])));
    assert_eq!(after["indexes"][0]["index"], "notes_by_rank");
}

fn bare_call_in_a_policy_is_told_until_it_is_wrapped(scene: &Scene) {
    let before = scene.as_ann("GET /drafts", &[]);
    let hint = statements(&before);
    assert_eq!(hint, ["alter policy own_drafts on public.drafts using ((owner = (select auth.uid())));"]);
    assert_eq!(before["hints"][0]["kind"], "initplan");
    scene.sql(hint[0]);
    assert_eq!(statements(&scene.as_ann("GET /drafts", &[])), [""; 0]);
}

fn nothing_changes(scene: &Scene) {
    let state =
        || scene.sql("select count(*), sum(rank) from public.notes; select count(*) from auth.sessions");
    let before = state();
    let gone = scene.as_ann("DELETE /notes?rank=lt.100", &["--analyze"]);
    let names = gone["relations"][0]["policies"].to_string();
    assert!(names.contains("tenant_delete") && names.contains("tenant_select"), "{names}");
    assert!(!names.contains("tenant_update"), "{names}");
    scene.as_ann("PATCH /notes?rank=lt.100", &["--analyze", "--body", r#"{"rank":0}"#]);
    let new = ["--analyze", "--header", "Prefer: return=representation", "--body", r#"{"rank":1}"#];
    let inserted = scene.as_ann("POST /notes", &new);
    assert!(inserted["relations"][0]["policies"].to_string().contains("tenant_insert"), "{inserted}");
    assert_eq!(state(), before);
}

fn views_and_functions_show_their_tables(scene: &Scene) {
    for request in ["GET /note_bodies?id=eq.1", "GET /rpc/ranked?low=9999", "GET /lists?select=*,todos(*)"] {
        let document = scene.as_ann(request, &[]);
        assert!(document["relations"].to_string().contains("tenant_select"), "{request}: {document}");
    }
}

fn roles_see_as_they_do(scene: &Scene) {
    let service = scene.explain(&["GET /notes?id=eq.1", "--as", "service_role", "--json"]);
    let document = service.document();
    assert_eq!(document["relations"][0]["role"], "service_role", "{service:?}");
    let anon = scene.explain(&["GET /notes", "--as", "anon"]);
    assert_eq!((anon.code, anon.err.lines().count()), (2, 1), "{anon:?}");
    assert!(anon.err.contains("permission denied for table notes"), "{anon:?}");
}

fn limits_of_the_tenant_bind(scene: &Scene) {
    let tenant = scene.sql("select id from tenancy.tenants order by created_at limit 1");
    let set = scene.folder.run(&["tenants", "limits", &tenant, "--max-rows", "5", "--max-cost", "1"]);
    assert_eq!(set.code, 0, "{set:?}");
    assert_eq!(scene.as_ann("GET /notes?rank=eq.7", &[])["query"]["params"], json!(["7", "5"]));
    let named = scene.as_ann("GET /notes?rank=eq.7", &["--tenant", &tenant]);
    assert_eq!(named["caller"]["tenant"], json!(tenant));
}

fn whom_nobody_knows_is_refused(scene: &Scene) {
    let nobody = uuid(9);
    for (args, message) in [
        (vec!["--as", "bob@example.com"], "no user bob@example.com"),
        (vec!["--as", &nobody], "no user 00000000"),
        (vec!["--as", "nonsense"], "no user or role nonsense"),
        (vec!["--as", "postgres"], "requests cannot have the role postgres"),
        (vec!["--as", "ann@example.com", "--tenant", "nonsense"], "no tenant nonsense"),
        (vec!["--as", "anon", "--tenant", "x"], "anon is a role"),
    ] {
        let run = scene.explain(&[&["GET /notes"], &args[..]].concat());
        assert_eq!((run.code, run.err.lines().count()), (2, 1), "{run:?}");
        assert!(run.err.contains(message), "{message}: {run:?}");
    }
}

fn uuid(last: u8) -> String {
    format!("00000000-0000-0000-0000-00000000000{last}")
}
