//! Extractors for body, query and path, which reject with a [`Problem`].

use std::str::FromStr;

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, RequestBody, SchemaObject};
use aide::operation::{ParamLocation, add_parameters, parameters_from_schema, set_body};
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::request::Parts;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::Problem;
use crate::json::{from_fields, has_nul, parse_object, without_type_names};

/// A JSON object; an empty body is an empty object.
#[derive(Debug, Clone)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let SentBody(body, _) = SentBody::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// The same, and the bytes that were sent, for parts that are passed on unchanged.
#[derive(Debug)]
pub struct SentBody<T>(pub T, pub Bytes);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for SentBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = Bytes::from_request(request, state).await.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too long")
            }
            _ => Problem::malformed("the body did not arrive"),
        })?;
        let fields = parse_object(&body)?;
        if fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)) {
            return Err(no_nul());
        }
        Ok(Self(from_fields(fields)?, body))
    }
}

impl<T: JsonSchema> OperationInput for SentBody<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        Body::<T>::operation_input(context, operation);
    }
}

impl<T: JsonSchema> OperationInput for Body<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let json_schema = context.schema.subschema_for::<T>();
        let is_required = context.resolve_schema(&json_schema).get("required").is_some();
        let schema = SchemaObject { json_schema, example: None, external_docs: None };
        let content = MediaType { schema: Some(schema), ..MediaType::default() };
        let body = RequestBody {
            content: [("application/json".to_owned(), content)].into_iter().collect(),
            required: is_required,
            ..RequestBody::default()
        };
        set_body(context, operation, body);
    }
}

/// PostgreSQL's `text` cannot hold U+0000.
fn no_nul() -> Problem {
    Problem::invalid("a text has no NUL")
}

/// The query's parameters.
#[derive(Debug, Clone)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(no_nul());
        }
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Problem::malformed(without_type_names(&error.body_text()))),
        }
    }
}

impl<T: JsonSchema> OperationInput for Params<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let schema = context.schema.subschema_for::<T>();
        let parameters = parameters_from_schema(context, schema, ParamLocation::Query);
        add_parameters(context, operation, parameters);
    }
}

/// The one variable segment of the path; text that PostgreSQL can hold.
#[derive(Debug, Clone)]
pub struct Segment<T = String>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut all = segments(parts, state).await?.into_iter();
        Ok(Self(read_segment(all.next())?))
    }
}

/// The two parameters of the path, in order.
#[derive(Debug, Clone)]
pub struct Segments<A, B>(pub A, pub B);

impl<A: FromStr, B: FromStr, S: Send + Sync> FromRequestParts<S> for Segments<A, B> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut all = segments(parts, state).await?.into_iter();
        Ok(Self(read_segment(all.next())?, read_segment(all.next())?))
    }
}

impl<A: JsonSchema, B: JsonSchema> OperationInput for Segments<A, B> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let schemas = [context.schema.subschema_for::<A>(), context.schema.subschema_for::<B>()];
        let schemas = schemas.map(schemars::Schema::to_value).to_vec();
        operation.extensions.insert(super::describe::SEGMENTS.to_owned(), schemas.into());
    }
}

/// The three parameters of the path, in order.
#[derive(Debug, Clone)]
pub struct ThreeSegments<A, B, C>(pub A, pub B, pub C);

impl<A: FromStr, B: FromStr, C: FromStr, S: Send + Sync> FromRequestParts<S> for ThreeSegments<A, B, C> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut all = segments(parts, state).await?.into_iter();
        Ok(Self(read_segment(all.next())?, read_segment(all.next())?, read_segment(all.next())?))
    }
}

impl<A: JsonSchema, B: JsonSchema, C: JsonSchema> OperationInput for ThreeSegments<A, B, C> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let schemas = [
            context.schema.subschema_for::<A>(),
            context.schema.subschema_for::<B>(),
            context.schema.subschema_for::<C>(),
        ];
        let schemas = schemas.map(schemars::Schema::to_value).to_vec();
        operation.extensions.insert(super::describe::SEGMENTS.to_owned(), schemas.into());
    }
}

async fn segments<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Vec<(String, String)>, Problem> {
    let all = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
    all.map(|Path(all)| all).map_err(|_| Problem::malformed("the path is not UTF-8"))
}

fn read_segment<T: FromStr>(segment: Option<(String, String)>) -> Result<T, Problem> {
    let (name, text) = segment.unwrap_or_default();
    if text.contains('\0') {
        return Err(no_nul());
    }
    text.parse().map_err(|_| Problem::malformed(format!("{name}: not of the right form")))
}

/// The parameter's name comes from the path; [`super::AdminApi`] fills it in.
impl<T: JsonSchema> OperationInput for Segment<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        let schemas = vec![context.schema.subschema_for::<T>().to_value()];
        operation.extensions.insert(super::describe::SEGMENTS.to_owned(), schemas.into());
    }
}

/// Every operation names the bearer token as its security scheme.
impl OperationInput for crate::ServiceKey {}
impl OperationInput for crate::LiveCaller {}
