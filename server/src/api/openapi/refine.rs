//! Details of the OpenAPI document that client generators and linters need and that utoipa cannot express.

use domain::webhooks::ATTEMPT_ERRORS;
use serde_json::{Map, Value, json};

use super::components::reference;
use crate::api::problem::KINDS;

/// Applies all of them.
pub fn refine(document: &mut Value) {
    document["info"]["contact"] = json!({"name": "Wheelhouse"});
    schemas(&mut document["components"]["schemas"]);
    let paths = document["paths"].as_object_mut().into_iter();
    for path in paths.flat_map(Map::values_mut) {
        for operation in path.as_object_mut().into_iter().flat_map(Map::values_mut) {
            parameters(operation);
            scopes(operation);
        }
    }
}

fn schemas(schemas: &mut Value) {
    let scalars = || {
        vec![
            json!({"type": "string"}),
            json!({"type": "number"}),
            json!({"type": "boolean"}),
        ]
    };
    let mut values = scalars();
    values.push(json!({"type": "array", "items": {"oneOf": scalars()}}));
    let value = &mut schemas["Filter"]["properties"]["value"];
    *value = json!({
        "description": value["description"].take(),
        "oneOf": values,
        "examples": ["won"],
    });
    schemas["CreditActor"]["properties"]["kind"] = json!({
        "type": "string",
        "description": "A person, an API key, or Wheelhouse itself.",
        "enum": ["person", "key", "system"],
    });
    schemas["DeliveryAttempt"]["properties"]["error"]["enum"] = json!(ATTEMPT_ERRORS);
    let kinds = KINDS
        .iter()
        .map(|kind| format!("/api/docs#problem-{}", kind.name));
    schemas["Problem"]["properties"]["type"]["enum"] = kinds.collect();
    schemas["EntitlementsResponse"]["properties"]["current_period_end"]["format"] =
        "date-time".into();
    for request in ["ReserveCreditsRequest", "SpendCreditsRequest"] {
        schemas[request]["properties"]["feature"]["minLength"] = 1.into();
    }
    let tag = json!({"type": "string", "minLength": 1, "maxLength": domain::contacts::MAX_TAG_LEN});
    for contact in ["Contact", "CreateContactRequest"] {
        schemas[contact]["properties"]["tags"]["items"] = tag.clone();
    }
}

fn parameters(operation: &mut Value) {
    let all = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in all.into_iter().flatten() {
        if parameter["name"] == "cursor" {
            parameter["schema"]["minLength"] = 1.into();
        }
        // By reference, so that generators know the type of a parameter from the type of a field.
        for (name, kind) in [("stage", "Stage"), ("scope", "Scope")] {
            if parameter["name"] == name {
                parameter["schema"]["items"] = reference("schemas", kind);
            }
        }
        if parameter["schema"]["type"] == "array"
            && let Some(example) = parameter.get_mut("example").filter(|one| !one.is_array())
        {
            *example = json!([example.take()]);
        }
    }
}

/// The extension that names the scopes of an operation.
pub const SCOPES: &str = "x-required-scopes";

/// Only OAuth has scopes in OpenAPI, so they are in an extension and in the description.
fn scopes(operation: &mut Value) {
    let scopes = operation["security"][0]["key"].take();
    operation["security"] = json!([{"key": []}]);
    let names = scopes.as_array().into_iter().flatten();
    let names: Vec<String> = names.map(|name| format!("`{}`", text(name))).collect();
    let needed = match names.as_slice() {
        [] => "Any valid API key can call it.".to_owned(),
        names => format!("Requires the scope {}.", names.join(" and ")),
    };
    let description = match text(&operation["description"]) {
        "" => needed,
        description => format!("{description}\n\n{needed}"),
    };
    operation["description"] = description.into();
    operation[SCOPES] = scopes;
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
