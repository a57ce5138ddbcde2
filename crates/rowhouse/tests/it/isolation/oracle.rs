//! What an answer depends on besides the caller's own rows. The same requests are sent with a neighbour's rows there and
//! away, statistics up to date both times: whatever differs tells about rows that the caller cannot read.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use rowhouse_kernel::TenantId;
use rowhouse_kernel::settings::{Environment, ProjectSettings};
use rowhouse_rest::RestSettings;
use rowhouse_tenancy::limit::{self, Limits};
use rowhouse_testkit::{TestDatabase, until};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::support::{SignedIn, TestApp, TestResponse, settings};

/// A neighbour's row whose id the attacker has come by.
const KNOWN: &str = "5ec2e700-0000-4000-8000-000000000001";
/// An id that nothing has.
const NOBODYS: &str = "5ec2e700-0000-4000-8000-00000000ffff";
/// Headers that differ from answer to answer.
const OF_THE_MOMENT: [&str; 2] = ["date", "x-request-id"];
const LIMIT: Duration = Duration::from_secs(20);

struct Scene {
    app: TestApp,
    superuser: Client,
    attacker: SignedIn,
    neighbour: SignedIn,
}

/// A request by which one could try to find out.
struct Question {
    method: Method,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Option<Value>,
}

fn get(path: impl Into<String>, headers: &[(&'static str, &'static str)]) -> Question {
    Question { method: Method::GET, path: path.into(), headers: headers.to_vec(), body: None }
}

fn write(method: Method, path: impl Into<String>, body: Value) -> Question {
    Question {
        method,
        path: path.into(),
        headers: vec![("prefer", "return=representation")],
        body: Some(body),
    }
}

/// As in production, with everything on that an operator may switch on.
async fn start() -> Scene {
    let db = TestDatabase::create().await;
    db.migrate(include_str!("oracle.sql")).await;
    let mut settings = settings();
    settings.update(|project: &mut ProjectSettings| project.environment = Environment::Production);
    settings.update(|rest: &mut RestSettings| {
        rest.plan_enabled = true;
        rest.aggregates = true;
    });
    let app = TestApp::start_on(db, settings).await;
    let (attacker, neighbour) = (app.sign_up("a@example.com").await, app.sign_up("n@example.com").await);
    let superuser = app.db.superuser().await;
    let own = format!(
        "insert into public.letters (tenant_id, word, code) select '{0}', 'own ' || n, 'own' || n from generate_series(1, 3) n;
         insert into public.handles (tenant_id, handle) values ('{0}', 'own')",
        attacker.tenant
    );
    superuser.batch_execute(&own).await.unwrap();
    Scene { app, superuser, attacker, neighbour }
}

impl Scene {
    /// The neighbour's rows put there or taken away, and what the planner knows brought up to date.
    async fn with_neighbour(&self, is_there: bool) {
        let tenant = &self.neighbour.tenant;
        let rows = if is_there {
            format!(
                "insert into public.letters (id, tenant_id, word, code, size, data)
                   select case n when 1 then '{KNOWN}'::uuid else gen_random_uuid() end, '{tenant}', 'secret ' || n, 'code' || n,
                     0, '{{\"a\": \"b\"}}' from generate_series(1, 20000) n;
                 insert into public.handles (tenant_id, handle, about) values ('{tenant}', 'taken', 'very secret');"
            )
        } else {
            format!(
                "delete from public.letters where tenant_id = '{tenant}'; delete from public.handles where tenant_id = '{tenant}';"
            )
        };
        self.superuser.batch_execute(&rows).await.unwrap();
        self.superuser.batch_execute("vacuum (full, analyze) public.letters").await.unwrap();
        self.superuser.batch_execute("vacuum (full, analyze) public.handles").await.unwrap();
    }

    async fn send(&self, question: &Question) -> TestResponse {
        let path = format!("/rest/v1{}", question.path);
        let mut request = self.app.request(question.method.clone(), &path).bearer_auth(&self.attacker.token);
        for (name, value) in &question.headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = &question.body {
            request = request.json(body);
        }
        self.app.send(request).await
    }

    /// Everything in a response that a caller can observe.
    async fn observed(&self, question: &Question) -> String {
        let TestResponse { status, headers, text } = self.send(question).await;
        let mut headers: Vec<String> = headers
            .iter()
            .filter(|(name, _)| !OF_THE_MOMENT.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        headers.sort();
        format!("{status} {} {text}", headers.join(", "))
    }

    /// Asks with the neighbour's rows away and there.
    async fn nothing_differs(&self, questions: &[Question]) {
        let mut observations = Vec::new();
        for is_there in [false, true] {
            self.with_neighbour(is_there).await;
            let mut answers = Vec::new();
            for question in questions {
                answers.push(self.observed(question).await);
            }
            observations.push(answers);
        }
        for (place, question) in questions.iter().enumerate() {
            let [away, there] = [&observations[0][place], &observations[1][place]];
            assert_eq!(away, there, "{} {} {:?}", question.method, question.path, question.headers);
        }
    }
}

/// Filters that select a neighbour's rows, in every table and function that reads them.
fn guesses() -> Vec<String> {
    let filters = [
        "word=like.secret*",
        "word=gt.s",
        "size=eq.0",
        "code=eq.code7",
        "data->>a=eq.b",
        "or=(size.lt.1,word.eq.x)",
    ];
    let mut all: Vec<String> = filters.iter().map(|filter| format!("/letters?select=id&{filter}")).collect();
    all.push("/long_letters?select=id&word=like.secret*".to_owned());
    all.push("/rpc/letters_like?pattern=secret*&select=id".to_owned());
    all.push("/letters?select=id,replies(id)&word=like.secret*".to_owned());
    all.push("/replies?select=id,letters!inner(id)&letters.word=like.secret*".to_owned());
    all
}

#[tokio::test]
async fn counts_do_not_follow_the_planners_statistics() {
    let scene = start().await;
    let kinds = ["count=planned", "count=estimated", "count=exact"];
    let questions: Vec<Question> = guesses()
        .iter()
        .flat_map(|path| kinds.map(|kind| get(path.as_str(), &[("prefer", kind)])))
        .chain(kinds.map(|kind| get("/letters?select=id&limit=1&order=id", &[("prefer", kind)])))
        .collect();
    scene.nothing_differs(&questions).await;
}

#[tokio::test]
async fn plans_are_shown_to_nobody_under_row_security() {
    let scene = start().await;
    let kinds = [
        "application/vnd.pgrst.plan",
        "application/vnd.pgrst.plan+json",
        "application/vnd.pgrst.plan+text; for=\"text/csv\"; options=analyze|verbose|buffers",
    ];
    let questions: Vec<Question> =
        guesses().iter().flat_map(|path| kinds.map(|kind| get(path.as_str(), &[("accept", kind)]))).collect();
    for question in &questions {
        assert_eq!(scene.send(question).await.status, StatusCode::NOT_ACCEPTABLE, "{}", question.path);
    }
    scene.nothing_differs(&questions).await;
}

#[tokio::test]
async fn costs_refuse_by_no_neighbours_rows() {
    let scene = start().await;
    let tenant: TenantId = scene.attacker.tenant.parse().unwrap();
    let limits = Limits { max_cost: Some(50.0), ..Limits::default() };
    limit::replace(&scene.superuser, tenant, limits).await.unwrap();
    let known = get("/facts?select=id&name=like.*7*", &[]);
    until("the limit is known", LIMIT, async || {
        scene.send(&known).await.status == StatusCode::UNPROCESSABLE_ENTITY
    })
    .await;
    let mut questions: Vec<Question> = guesses().iter().map(|path| get(path.as_str(), &[])).collect();
    questions.push(get("/letters?select=word,count()&order=word", &[]));
    questions.push(write(Method::PATCH, "/letters?word=like.secret*&select=id", json!({ "size": 2 })));
    questions.push(write(Method::DELETE, "/letters?word=like.secret*&select=id", json!({})));
    scene.nothing_differs(&questions).await;
    assert_eq!(
        scene.send(&known).await.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "what all may read is still refused"
    );
}

#[tokio::test]
async fn expressions_fail_on_no_neighbours_row() {
    let scene = start().await;
    let paths = [
        "/letters?select=word::int&word=like.secret*",
        "/letters?select=id&loud=eq.1&order=id",
        "/letters?select=id,loud&order=id",
        "/letters?select=id,ratio&order=id",
        "/letters?select=id&order=loud,id",
        "/letters?select=id&ratio=gt.0&order=id",
        "/letters?select=id&word=match.(((",
        "/letters?select=id&data->a->>b=eq.1",
        "/letters?select=size.sum(),loud.sum()",
        "/rpc/letters_like?pattern=%25&loud=eq.1&select=id&order=id",
        "/replies?select=id,letters(loud)",
        "/lettres?select=id",
        "/letters?select=wrd",
        "/letters?select=id,answers(id)",
        "/rpc/letters_lik?pattern=x",
    ];
    scene.nothing_differs(&paths.map(|path| get(path, &[]))).await;
}

#[tokio::test]
async fn writes_meet_no_neighbours_row() {
    let scene = start().await;
    let refer = |id: &str| write(Method::POST, "/replies?select=note", json!({ "letter_id": id }));
    let upsert = Question {
        headers: vec![("prefer", "return=representation, resolution=merge-duplicates")],
        ..write(
            Method::POST,
            "/letters?on_conflict=tenant_id,code&select=code",
            json!({ "word": "own one", "code": "own1" }),
        )
    };
    scene
        .nothing_differs(&[
            refer(KNOWN),
            write(Method::PATCH, format!("/letters?id=eq.{KNOWN}"), json!({ "word": "mine" })),
            write(Method::DELETE, format!("/letters?id=eq.{KNOWN}"), json!({})),
            write(
                Method::PATCH,
                "/letters?word=like.own*&select=code&order=code",
                json!({ "word": "own again" }),
            ),
            write(Method::POST, "/letters?select=code", json!({ "word": "w", "code": null })),
            upsert,
        ])
        .await;
    let answer = |id| {
        let question = refer(id);
        let scene = &scene;
        async move { scene.observed(&question).await }
    };
    assert_eq!(answer(KNOWN).await, answer(NOBODYS).await, "a neighbour's row is like one that is not there");
    let own_code = write(Method::POST, "/letters?select=code", json!({ "word": "w", "code": "code7" }));
    assert_eq!(scene.send(&own_code).await.status, StatusCode::CREATED, "keys of tenants do not meet");
}

/// What remains: a key over all tenants tells that a value is taken. It tells nothing else of the row that has it.
#[tokio::test]
async fn key_over_all_tenants_tells_only_that_a_value_is_taken() {
    let scene = start().await;
    scene.with_neighbour(true).await;
    let insert = |headers: &'static str| Question {
        headers: vec![("prefer", headers)],
        ..write(Method::POST, "/handles?on_conflict=handle", json!({ "handle": "taken", "about": "mine" }))
    };
    for (headers, status) in [
        ("return=representation", StatusCode::CONFLICT),
        ("return=representation, resolution=merge-duplicates", StatusCode::FORBIDDEN),
        ("return=representation, resolution=ignore-duplicates", StatusCode::CREATED),
    ] {
        let answer = scene.send(&insert(headers)).await;
        assert_eq!(answer.status, status, "{headers}: {}", answer.text);
        assert!(!answer.text.contains("secret") && !answer.text.contains("5ec2"), "{}", answer.text);
        assert!(answer.json().get("details").is_none_or(Value::is_null), "{}", answer.text);
    }
}
