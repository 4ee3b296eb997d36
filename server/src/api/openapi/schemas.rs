//! Changes to the schemas that utoipa writes: names of lists, no defaults, and an example for each body.

use serde_json::{Map, Value, json};

use super::components::reference;
use crate::api::samples;

/// Names each list after its items, as in `ContactList`, and lets its items refer to their schema.
pub(super) fn name_lists(document: &mut Value) {
    let mut renamed = Vec::new();
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        let lists: Vec<String> = schemas
            .keys()
            .filter(|name| name.starts_with(LIST))
            .cloned()
            .collect();
        for old in lists {
            let Some(mut list) = schemas.remove(&old) else {
                continue;
            };
            let item = old.trim_start_matches(LIST).to_owned();
            let inline = std::mem::replace(
                &mut list["properties"]["data"]["items"],
                reference("schemas", &item),
            );
            schemas.entry(item.clone()).or_insert(inline);
            list["required"] = json!(["data", "next_cursor"]);
            let new = format!("{item}List");
            schemas.insert(new.clone(), list);
            renamed.push((reference("schemas", &old), reference("schemas", &new)));
        }
    }
    replace(document, &renamed);
}

/// What utoipa calls the schema of a list, before the name of its items.
const LIST: &str = "ListPage_";

fn replace(value: &mut Value, pairs: &[(Value, Value)]) {
    if let Some((_, new)) = pairs.iter().find(|(old, _)| old == value) {
        *value = new.clone();
        return;
    }
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, pairs)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, pairs)),
        _ => {}
    }
}

/// Client generators take a field with a default for one that is always there. What is left out is described instead.
pub(super) fn drop_defaults(schemas: &mut Value) {
    for schema in schemas
        .as_object_mut()
        .into_iter()
        .flat_map(Map::values_mut)
    {
        let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
        for field in fields.into_iter().flat_map(Map::values_mut) {
            if let Some(field) = field.as_object_mut() {
                field.remove("default");
            }
        }
    }
}

/// One example for each body that is sent or returned, made from its schema.
pub(super) fn add_examples(document: &mut Value) {
    let known = document.clone();
    let example = |media: &mut Value| {
        if media.get("example").is_none() && media.get("schema").is_some() {
            media["example"] = samples::of(&known, &media["schema"]);
        }
    };
    let each = |bodies: Option<&mut Map<String, Value>>| {
        bodies
            .into_iter()
            .flat_map(Map::values_mut)
            .for_each(example);
    };
    let paths = document["paths"].as_object_mut().into_iter();
    for path in paths.flat_map(Map::values_mut) {
        for operation in path.as_object_mut().into_iter().flat_map(Map::values_mut) {
            if let Some(body) = operation.get_mut("requestBody") {
                each(body["content"].as_object_mut());
            }
            let responses = operation["responses"].as_object_mut();
            for response in responses.into_iter().flat_map(Map::values_mut) {
                if response.get("content").is_some() {
                    each(response["content"].as_object_mut());
                }
            }
        }
    }
}
