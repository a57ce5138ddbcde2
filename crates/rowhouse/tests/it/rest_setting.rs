//! Settings of the data API.

use reqwest::Method;
use rowhouse_rest::{ErrorVerbosity, RestSettings};
use rowhouse_testkit::{LIMIT, until};
use serde_json::json;

use crate::support::{TestApp, settings};

const ROOT: &str = "create domain public.\"application/openapi+json\" as json;
    create function public.describe() returns public.\"application/openapi+json\" language sql stable as
      $$ select '{\"swagger\":\"2.0\"}'::json::public.\"application/openapi+json\" $$;
    notify pgrst, 'reload schema'";

#[tokio::test]
async fn function_answers_the_root_in_place_of_the_description() {
    let mut settings = settings();
    settings.update(|rest: &mut RestSettings| rest.root_spec = Some("public.describe".to_owned()));
    let app = TestApp::start_with(settings).await;
    let ask = |path, accept| {
        app.send(app.request(Method::GET, path).bearer_auth(&app.anon_key).header("accept", accept))
    };
    assert_eq!(ask("/rest/v1/", "*/*").await.code(), "PGRST202");
    app.db.migrate(ROOT).await;
    until("the function is known", LIMIT, async || ask("/rest/v1/", "*/*").await.code() != "PGRST202").await;
    for path in ["/rest/v1/", "/rest/v1"] {
        let answer = ask(path, "application/openapi+json").await;
        assert_eq!(answer.headers["content-type"], "application/openapi+json; charset=utf-8");
        assert_eq!(answer.json(), json!({ "swagger": "2.0" }));
    }
    assert_eq!(ask("/rest/v1/", "application/json").await.json(), json!({ "swagger": "2.0" }));
}

#[tokio::test]
async fn trace_header_is_echoed_and_errors_are_minimal_if_configured() {
    let mut settings = settings();
    settings.update(|rest: &mut RestSettings| rest.trace_header = Some("X-Trace".to_owned()));
    settings.update(|rest: &mut RestSettings| rest.client_error_verbosity = ErrorVerbosity::Minimal);
    let app = TestApp::start_with(settings).await;
    let ask = |path| app.request(Method::GET, path).bearer_auth(&app.anon_key);
    for path in ["/rest/v1/", "/rest/v1/list", "/rest/v1/todos?id=x", "/rest/v1/rpc/add?a=1&b=2"] {
        let answer = app.send(ask(path).header("x-trace", "a b/c")).await;
        assert_eq!(answer.headers["x-trace"], "a b/c", "{path}");
    }
    let answer = app.send(ask("/rest/v1/list")).await;
    assert!(!answer.headers.contains_key("x-trace"));
    let message = "Could not find the table 'public.list' in the schema cache";
    assert_eq!(answer.json(), json!({ "code": "PGRST205", "message": message }));
}

#[tokio::test]
async fn aliased_embed_may_be_filtered_by_its_table_unless_disabled() {
    const TARGET: &str = "/rest/v1/lists?select=name,open:todos(title)&todos.rank=gt.1&todos.order=rank";
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let list =
        app.post(&user.token, "/rest/v1/lists", json!({ "name": "home" })).await.json()[0]["id"].clone();
    let todo = |title, rank| json!({ "title": title, "rank": rank, "list_id": list });
    app.post(&user.token, "/rest/v1/todos", json!([todo("b", 3), todo("a", 2), todo("no", 1)])).await;
    let answer = app.get(&user.token, TARGET).await;
    assert_eq!(answer.json(), json!([{ "name": "home", "open": [{ "title": "a" }, { "title": "b" }] }]));
    assert!(answer.headers["warning"].to_str().unwrap().contains("`todos` to `open`"));

    let mut settings = settings();
    settings.update(|rest: &mut RestSettings| rest.legacy_target_names = false);
    let app = TestApp::start_with(settings).await;
    let user = app.sign_up("a@example.com").await;
    assert_eq!(app.get(&user.token, TARGET).await.code(), "PGRST108");
}

/// Replaces PostGIS's function of the same signature, whose features have geometries.
const FEATURES: &str = "create schema if not exists extensions;
    grant usage on schema extensions to authenticated;
    create function extensions.st_asgeojson(r record, geom_column text default '', digits int default 9)
      returns text language plpgsql immutable as
      $$ begin return json_build_object('type', 'Feature', 'geometry', null, 'properties', to_json(r)); end $$;
    notify pgrst, 'reload schema'";

#[tokio::test]
async fn rows_are_returned_as_geojson_if_the_database_supports_it() {
    let app = TestApp::start().await;
    let user = app.sign_up("a@example.com").await;
    let ask = |method: Method, path: &str| {
        let request = app.request(method, path).bearer_auth(&user.token);
        request.header("accept", "application/geo+json").header("prefer", "return=representation")
    };
    let read = || app.send(ask(Method::GET, "/rest/v1/countries?order=code&limit=1"));
    let refused = read().await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (406, "PGRST107"));
    app.db.superuser().await.batch_execute(FEATURES).await.unwrap();
    until("the functions are known", LIMIT, async || read().await.status.as_u16() != 406).await;
    let answer = read().await;
    assert_eq!(answer.headers["content-type"], "application/geo+json; charset=utf-8");
    let feature = |properties| json!({ "type": "Feature", "geometry": null, "properties": properties });
    let collection = |features| json!({ "type": "FeatureCollection", "features": features });
    let germany = feature(json!({ "code": "DE", "name": "Germany" }));
    assert_eq!(answer.json(), collection(json!([germany])));
    let none = app.send(ask(Method::GET, "/rest/v1/countries?code=eq.XX")).await;
    assert_eq!(none.json(), collection(json!([])));
    let made =
        app.send(ask(Method::POST, "/rest/v1/lists?select=name").json(&json!({ "name": "home" }))).await;
    assert_eq!(made.status.as_u16(), 201);
    assert_eq!(made.json(), collection(json!([feature(json!({ "name": "home" }))])));
}
