//! Responses other than JSON with status 200, and JSON written by the database.

use std::borrow::Cow;
use std::marker::PhantomData;

use aide::OperationOutput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Response as Described};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// 201 with a JSON body.
#[derive(Debug, Clone)]
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl<T: JsonSchema> OperationOutput for Created<T> {
    type Inner = T;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<Described> {
        Json::<T>::operation_response(context, operation)
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Described)> {
        only(201, Self::operation_response(context, operation))
    }
}

/// The one response of a successful operation.
fn only(status: u16, response: Option<Described>) -> Vec<(Option<u16>, Described)> {
    response.map(|response| (Some(status), response)).into_iter().collect()
}

/// 204 without a body.
#[derive(Debug, Clone, Copy)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl OperationOutput for NoContent {
    type Inner = ();

    fn operation_response(_: &mut GenContext, _: &mut Operation) -> Option<Described> {
        Some(Described { description: "Done".to_owned(), ..Described::default() })
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Described)> {
        only(204, Self::operation_response(context, operation))
    }
}

/// JSON written by the database, described by the schema of `T`.
pub struct Raw<T> {
    value: Value,
    looks_like: PhantomData<fn() -> T>,
}

impl<T> Raw<T> {
    /// Wraps JSON.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self { value, looks_like: PhantomData }
    }

    /// Serializes a value that is described by another type.
    pub fn of(value: &impl Serialize) -> Self {
        Self::new(serde_json::to_value(value).unwrap_or_default())
    }

    /// A field of it, or null.
    #[must_use]
    pub fn get(&self, field: &str) -> &Value {
        &self.value[field]
    }
}

impl<T> Serialize for Raw<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Raw<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
