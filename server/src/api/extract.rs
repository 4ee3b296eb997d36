//! Request inputs: JSON bodies, parameters, IDs in paths. Each error says where it is.

use std::str::FromStr;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::{HeaderMap, header, request::Parts};
use domain::FieldErrors;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::idempotency::IdempotencyKey;
use super::numbers;
use super::problem::{MALFORMED, Problem, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE};
use crate::state::AppState;

/// Largest body, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The body of a PUT or PATCH.
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read(body).await?;
        parse(&parts.headers, &body).map(Self)
    }
}

/// The body of a POST, and its idempotency key.
pub struct IdempotentJson<T> {
    pub input: T,
    pub once: IdempotencyKey,
}

impl<T: DeserializeOwned> FromRequest<AppState> for IdempotentJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let body = read(body).await?;
        Ok(Self {
            once: IdempotencyKey::read(&parts, &body)?,
            input: parse(&parts.headers, &body)?,
        })
    }
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| {
        Problem::new(
            TOO_LARGE,
            format!("Send a body of up to {MAX_BODY_BYTES} bytes."),
        )
    })
}

/// An empty body is `null`, which is enough where the body is optional.
fn parse<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() {
        return serde_json::from_value(serde_json::Value::Null)
            .map_err(|_| Problem::new(MALFORMED, "The body is empty. Send a JSON object."));
    }
    if !is_json(headers) {
        return Err(Problem::new(
            UNSUPPORTED_MEDIA_TYPE,
            "Send the body as Content-Type: application/json.",
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        refusal(&path, error.inner())
    })?;
    json.end().map_err(|error| refusal(".", &error))?;
    if let Some(path) = numbers::first_inexact(body) {
        let message = "This number can't be stored exactly. Send it as a string.";
        return Err(Problem::field(&path, message));
    }
    Ok(value)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let essence = value
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(str::trim)
        .unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
}

/// Invalid JSON is a bad request, with line and column. JSON of another shape is a validation error that names the field.
fn refusal(path: &str, error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    if error.classify() != Category::Data {
        return Problem::new(MALFORMED, format!("Invalid JSON: {message}."));
    }
    let message = message
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut errors = FieldErrors::new();
    match message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        Some(field) if path == "." => errors.add(field, "Required"),
        Some(field) => errors.add(&format!("{path}.{field}"), "Required"),
        None if path == "." => errors.add("body", message),
        None => errors.add(path, message),
    }
    errors.into()
}

/// The body of a POST without fields: none, or an empty object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmptyBody {}

/// The ID in the path. A malformed ID is not found.
pub struct PathId<I>(pub I);

impl<I: FromStr> FromRequestParts<AppState> for PathId<I> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found())?;
        text.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// The maximum number of query parameters.
const MAX_PARAMS: usize = 100;

/// The query parameters.
#[derive(Debug)]
pub struct QueryParams(Vec<(String, String)>);

impl FromRequestParts<AppState> for QueryParams {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let pairs = serde_urlencoded::from_str(parts.uri.query().unwrap_or_default());
        let pairs: Vec<_> =
            pairs.map_err(|_| Problem::new(MALFORMED, "The query parameters can't be read."))?;
        if pairs.len() > MAX_PARAMS {
            return Err(Problem::new(
                MALFORMED,
                format!("Send up to {MAX_PARAMS} parameters."),
            ));
        }
        Ok(Self(pairs))
    }
}

impl QueryParams {
    /// Refuses unknown parameters: ignoring a mistyped filter would return too much.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let mut errors = FieldErrors::new();
        for (name, _) in &self.0 {
            if !known.contains(&name.as_str()) {
                errors.add(
                    name,
                    format!("Unknown parameter. Use {}.", known.join(", ")),
                );
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors.into())
        }
    }

    /// A parameter that can be sent once.
    pub fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Problem> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Problem::field(name, "Send this parameter once")),
            (value, None) => Ok(value),
        }
    }

    /// A parameter that can be sent with up to `most` different values. Duplicate values count once.
    pub fn distinct<'a>(&'a self, name: &'a str, most: usize) -> Result<Vec<&'a str>, Problem> {
        let mut values = Vec::new();
        for value in self.all(name) {
            if values.contains(&value) {
                continue;
            }
            if values.len() == most {
                return Err(Problem::field(
                    name,
                    format!("Send up to {most} different values"),
                ));
            }
            values.push(value);
        }
        Ok(values)
    }

    /// Every value of a parameter, with duplicates.
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use domain::contacts::CreateContactRequest;

    async fn told(body: &str) -> (u16, serde_json::Value) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        let problem = parse::<CreateContactRequest>(&headers, body.as_bytes()).unwrap_err();
        let response = problem.into_response();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn what_is_no_json_is_told_with_its_place() {
        let (status, problem) = told("{\"name\": \"x\",}").await;
        assert_eq!(status, 400);
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("line 1 column 14"), "{detail}");
        assert_eq!(told("{} {}").await.0, 422, "what is missing comes first");
        assert_eq!(told("").await.0, 400);
        assert_eq!(told(&"[".repeat(500)).await.0, 422, "no list is a contact");
    }

    #[tokio::test]
    async fn json_of_another_shape_names_the_field() {
        for (body, field, message) in [
            ("{}", "name", "Required"),
            (
                "{\"name\": 5}",
                "name",
                "invalid type: integer `5`, expected a string",
            ),
            (
                "{\"name\": \"x\", \"tags\": [\"a\", 7]}",
                "tags[1]",
                "invalid type: integer `7`, expected a string",
            ),
            (
                "[]",
                "body",
                "invalid length 0, expected struct CreateContactRequest with 6 elements",
            ),
        ] {
            let (status, problem) = told(body).await;
            assert_eq!(status, 422, "{body}");
            assert_eq!(problem["errors"][field], message, "{body}: {problem}");
        }
        let (_, problem) = told("{\"name\": \"x\", \"nmae\": 1}").await;
        assert!(
            problem["errors"]["nmae"]
                .as_str()
                .is_some_and(|message| message.starts_with("unknown field `nmae`")),
            "{problem}"
        );
    }
}
