//! Checks served answers against an OpenAPI document.

use serde_json::{Value, json};

/// Methods to try, to find operations that are served and not described.
pub const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// A document.
#[derive(Debug, Clone)]
pub struct Contract(Value);

/// One described operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Lower case.
    pub method: String,
    /// With `{name}` where it varies.
    pub path: String,
}

impl Contract {
    /// Reads a document of OpenAPI 3.1.
    #[must_use]
    pub fn new(document: Value) -> Self {
        assert_eq!(document["openapi"], "3.1.0");
        Self(document)
    }

    /// Every path.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.0["paths"].as_object().map(|paths| paths.keys().cloned().collect()).unwrap_or_default()
    }

    /// Every operation; each has a unique name, a summary and a tag.
    #[must_use]
    pub fn operations(&self) -> Vec<Described> {
        let mut names = std::collections::BTreeSet::new();
        let mut all = Vec::new();
        for path in self.paths() {
            for (method, operation) in self.0["paths"][&path].as_object().into_iter().flatten() {
                let name = operation["operationId"].as_str().unwrap_or_default();
                assert!(
                    !name.is_empty() && names.insert(name.to_owned()),
                    "{method} {path}: operationId \"{name}\""
                );
                assert!(
                    operation["summary"].is_string() && operation["tags"][0].is_string(),
                    "{method} {path}"
                );
                all.push(Described { method: method.clone(), path: path.clone() });
            }
        }
        all
    }

    /// Whether the document has this operation.
    #[must_use]
    pub fn describes(&self, method: &str, path: &str) -> bool {
        self.0["paths"][path].get(method).is_some()
    }

    /// Checks an answer against its description. `path` is that of the request, below the document's server.
    ///
    /// # Errors
    /// The difference from the description.
    pub fn check(
        &self,
        method: &str,
        path: &str,
        status: u16,
        content_type: &str,
        body: &Value,
    ) -> Result<(), String> {
        let Some(template) = self.template(path) else {
            return if status == 404 { Ok(()) } else { Err(format!("{path} is not described")) };
        };
        let operation = &self.0["paths"][&template][method.to_lowercase()];
        if operation.is_null() {
            return if status == 405 { Ok(()) } else { Err(format!("{method} {template} is not described")) };
        }
        let responses = &operation["responses"];
        let response =
            responses.get(status.to_string()).or_else(|| responses.get("default").filter(|_| status >= 500));
        let response = response.ok_or_else(|| format!("{method} {template}: {status} is not described"))?;
        let content_type = content_type.split(';').next().unwrap_or_default();
        let Some(content) = response["content"].as_object() else { return Ok(()) };
        let content =
            content.get(content_type).ok_or_else(|| format!("{method} {template}: {content_type}"))?;
        let schema = json!({ "allOf": [content["schema"]], "components": self.0["components"] });
        let validator = jsonschema::validator_for(&schema).map_err(|error| format!("{template}: {error}"))?;
        let errors: Vec<_> =
            validator.iter_errors(body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(format!("{method} {template} {status}: {}", errors.join("; ")))
        }
    }

    /// The described path that a request's path is; literal ones before those that vary.
    fn template(&self, path: &str) -> Option<String> {
        let path = path.split('?').next().unwrap_or(path);
        let mut fitting: Vec<_> = self.paths().into_iter().filter(|template| fits(template, path)).collect();
        fitting.sort_by_key(|template| template.matches('{').count());
        fitting.into_iter().next()
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(wanted, given)| wanted.starts_with('{') || *wanted == given)
}
