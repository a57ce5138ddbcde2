//! Claims that the project's hook has changed.

use serde_json::Value;

use crate::fault::Fault;
use crate::fault::HookError;
use crate::model::Object;

/// Claims that stay as they are, whatever the hook says: who it is, whose session, where and until when. What a token may
/// do is looked up under them with every request.
const FIXED: [&str; 13] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "role",
    "session_id",
    "org_id",
    "tenant_id",
    "tenant_role",
    "client_id",
    "act",
    "impersonation_id",
];
/// Claims without which clients do not understand a token, besides the fixed ones.
const REQUIRED: [&str; 4] = ["email", "phone", "aal", "is_anonymous"];

/// The answer's claims, with the fixed ones as they were.
pub(crate) fn merge(ours: &Value, answer: Value) -> Result<Object, Fault> {
    let broken = |text: &str| Fault::from(HookError::Broken(text.to_owned()));
    let Value::Object(mut answer) = answer else { return Err(broken("output claims field is missing")) };
    let Some(Value::Object(mut claims)) = answer.remove("claims") else {
        return Err(broken("output claims field is missing"));
    };
    for name in FIXED {
        match ours.get(name) {
            Some(value) => claims.insert(name.to_owned(), value.clone()),
            None => claims.remove(name),
        };
    }
    // What a user has allowed an application; without one the project may use the name.
    if let Some(scope) = ours.get("scope") {
        claims.insert("scope".to_owned(), scope.clone());
    }
    match REQUIRED.iter().find(|name| !claims.contains_key(**name)) {
        Some(missing) => Err(broken(&format!(
            "output claims do not conform to the expected schema: {missing} is required"
        ))),
        None => Ok(claims),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merge;

    #[test]
    fn hook_adds_and_changes_but_not_who_and_where() {
        let ours = json!({ "sub": "a", "role": "authenticated", "email": "", "phone": "", "aal": "aal1",
            "is_anonymous": false, "tenant_id": "t" });
        let theirs = json!({ "claims": { "sub": "b", "role": "service_role", "org_id": "o", "email": "x", "phone": "",
            "aal": "aal1", "is_anonymous": false, "plan": "gold" } });
        let merged = merge(&ours, theirs).unwrap();
        assert_eq!(
            json!(merged),
            json!({ "sub": "a", "role": "authenticated", "tenant_id": "t", "email": "x", "phone": "", "aal": "aal1",
                "is_anonymous": false, "plan": "gold" })
        );
        let of_application = json!({ "client_id": "c", "scope": "email", "email": "", "phone": "", "aal": "aal1",
            "is_anonymous": false });
        let theirs = json!({ "claims": { "client_id": "d", "scope": "openid", "email": "", "phone": "", "aal": "aal1",
            "is_anonymous": false } });
        assert_eq!(json!(merge(&of_application, theirs).unwrap()), of_application);
        for broken in [json!(null), json!({}), json!({ "claims": [] }), json!({ "claims": { "email": "" } })]
        {
            assert!(merge(&ours, broken).is_err());
        }
    }
}
