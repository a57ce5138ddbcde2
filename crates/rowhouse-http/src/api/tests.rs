use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::{Request, State};
use http_body_util::BodyExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::routing::{get_with, post_with, put_with};
use super::{
    AdminApi, Body, Created, Cursor, ETag, IfMatch, Page, Params, Problem, Routes, Segment, Tagged, limit,
    operation,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ThingQuery {
    cursor: Option<Cursor>,
    limit: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
struct Thing {
    id: i64,
    /// Its name.
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct NewThing {
    name: String,
}

async fn list(
    State(first): State<i64>,
    Params(query): Params<ThingQuery>,
) -> Result<Json<Page<Thing>>, Problem> {
    let limit = limit(query.limit, 3)?;
    let after: i64 = query.cursor.map(|cursor| cursor.position()).transpose()?.unwrap_or(first);
    let things = (after + 1..=first + 5).take(limit as usize);
    let things = things.map(|id| Thing { id, name: String::new() }).collect();
    Ok(Json(Page::new(things, limit, |thing: &Thing| thing.id)))
}

async fn new(Body(new): Body<NewThing>) -> Result<Created<Thing>, Problem> {
    Ok(Created(Thing { id: 1, name: new.name }))
}

async fn put(
    Segment(id): Segment<i64>,
    seen: IfMatch,
    Body(new): Body<NewThing>,
) -> Result<Tagged<Thing>, Problem> {
    seen.require(&ETag::new(1))?;
    Ok(Tagged(Thing { id, name: new.name }, ETag::new(2)))
}

fn routes() -> Routes<i64> {
    Routes::default()
        .at(
            "/",
            get_with(list, operation("listThings", "List things", &[400]))
                .post_with(new, operation("makeThing", "Make a thing", &[400])),
        )
        .at("/{thing}", put_with(put, operation("changeThing", "Change a thing", &[412, 428])))
}

async fn ask(method: &str, path: &str, if_match: Option<&str>, body: &str) -> (u16, http::HeaderMap, Value) {
    let router = AdminApi::default().serve("/things", routes, 10).router();
    let mut request = Request::builder().method(method).uri(path);
    if let Some(tag) = if_match {
        request = request.header("if-match", tag);
    }
    let request = request.body(HttpBody::from(body.to_owned())).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status.as_u16(), head.headers, serde_json::from_slice(&body).unwrap_or_default())
}

#[test]
fn routes_are_described_without_a_state() {
    let mut api = AdminApi::default();
    let _router = api.describe("/things", routes);
    let document = api.document();
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(paths, ["/things", "/things/{thing}"]);
    let change = &document["paths"]["/things/{thing}"]["put"];
    assert_eq!(
        (
            &change["operationId"],
            &change["tags"],
            &change["parameters"][0]["name"],
            &change["parameters"][1]["name"]
        ),
        (&json!("changeThing"), &json!(["things"]), &json!("thing"), &json!("If-Match"))
    );
    assert_eq!(change["parameters"][0]["schema"]["format"], "int64");
    assert_eq!(change["requestBody"]["required"], true);
    let statuses: Vec<_> = change["responses"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        statuses,
        ["200", "400", "401", "403", "412", "413", "422", "428", "429", "default"],
        "with those of the extractors"
    );
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Thing"]["properties"]["name"]["description"], "Its name.");
    assert_eq!(
        document["paths"]["/things"]["get"]["parameters"][0]["schema"]["type"],
        json!(["string", "null"])
    );
    assert!(!document.to_string().contains("x-segments"));
}

mod elsewhere {
    use super::*;

    /// Named like a type of another crate.
    #[derive(Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only described")]
    struct NewThing {
        count: i64,
    }

    async fn new(_: Body<NewThing>) -> Result<Created<Thing>, Problem> {
        Err(Problem::internal())
    }

    pub(super) fn routes() -> Routes<i64> {
        Routes::default().at("/", post_with(new, operation("makeCount", "Make a count", &[])))
    }
}

#[test]
fn types_of_one_name_are_told_apart() {
    let mut api = AdminApi::default();
    let _routers = [api.describe("/things", routes), api.describe("/counts", elsewhere::routes)];
    let document = api.document();
    let body = |path: &str| {
        document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            .clone()
    };
    assert_eq!(body("/things"), "#/components/schemas/NewThing");
    assert_eq!(body("/counts"), "#/components/schemas/NewThing2");
    let schemas = &document["components"]["schemas"];
    assert!(schemas["NewThing"]["properties"]["name"].is_object());
    assert!(schemas["NewThing2"]["properties"]["count"].is_object());
    assert!(schemas.get("Thing2").is_none(), "the same type is described once");
}

#[test]
fn refusals_of_the_extractors_are_described() {
    let mut api = AdminApi::default();
    let _routers = [api.describe("/things", routes), api.describe("/counts", elsewhere::routes)];
    let statuses = |path: &str, method: &str| {
        let responses = api.document()["paths"][path][method]["responses"].as_object().unwrap();
        responses.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        statuses("/things", "get"),
        ["200", "400", "401", "403", "422", "429", "default"],
        "it has a query"
    );
    assert_eq!(
        statuses("/counts", "post"),
        ["201", "400", "401", "403", "409", "413", "422", "429", "default"],
        "it has a body and a key"
    );
}

#[tokio::test]
async fn list_is_paged_by_its_cursors() {
    let (mut seen, mut path) = (Vec::new(), "/things?limit=2".to_owned());
    for _ in 0..4 {
        let (status, _, page) = ask("GET", &path, None, "").await;
        assert_eq!(status, 200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|thing| thing["id"].as_i64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/things?limit=2&cursor={next}");
    }
    assert_eq!(seen, [11, 12, 13, 14, 15]);
}

#[tokio::test]
async fn change_requires_the_current_version() {
    let change = async |tag| ask("PUT", "/things/7", tag, r#"{"name":"new"}"#).await;
    assert_eq!((change(None).await.0, change(Some("\"0\"")).await.0), (428, 412));
    let (status, headers, body) = change(Some("\"1\"")).await;
    assert_eq!((status, headers["etag"].to_str().unwrap(), &body["name"]), (200, "\"2\"", &json!("new")));
}

#[tokio::test]
async fn refusals_are_problems() {
    for (method, path, body, status) in [
        ("GET", "/nothing", "", 404),
        ("GET", "/things?limit=4", "", 400),
        ("GET", "/things?surprise=4", "", 400),
        ("GET", "/things?cursor=x", "", 400),
        ("POST", "/things", "[\"name\"]", 400),
        ("POST", "/things", "{}", 400),
        ("PUT", "/things/x", "{\"name\":\"x\"}", 400),
        ("DELETE", "/things", "", 405),
    ] {
        let (answered, headers, problem) = ask(method, path, Some("*"), body).await;
        assert_eq!((answered, &problem["status"]), (status, &json!(status)), "{method} {path}: {problem}");
        assert_eq!(headers["content-type"], "application/problem+json", "{method} {path}");
        assert!(!problem.to_string().contains("NewThing"), "{problem}");
        assert_eq!(headers.contains_key("allow"), status == 405, "{method} {path}");
    }
}
