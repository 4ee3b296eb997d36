//! Errors as `application/problem+json` (RFC 9457).

use std::any::Any;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::catalog::Scope;
use domain::{AppError, FieldErrors};
use serde::Serialize;
use store::auth::api_keys::KeyRefusal;
use utoipa::ToSchema;

/// An error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDetails {
    /// Type of problem: a URL that describes it.
    #[serde(rename = "type")]
    #[schema(example = "/api/docs#problem-not-found")]
    kind: String,
    /// Title of the problem type.
    title: &'static str,
    /// HTTP status code.
    status: u16,
    /// What went wrong, and what to do.
    detail: String,
    /// Validation errors by field or parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    errors: Option<FieldErrors>,
    /// Scope that the key is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    required_scope: Option<Scope>,
}

/// A problem type: the last part of its `type`, its title and status, and its description in the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub name: &'static str,
    pub title: &'static str,
    pub status: u16,
    pub help: &'static str,
}

macro_rules! kinds {
    ($($constant:ident = $name:literal, $status:literal, $title:literal, $help:literal;)*) => {
        $(pub const $constant: Kind = Kind { name: $name, title: $title, status: $status, help: $help };)*
        /// Every problem type, for the documentation.
        pub const KINDS: &[Kind] = &[$($constant),*];
    };
}

kinds! {
    MALFORMED = "malformed", 400, "Malformed request", "The body isn't valid JSON, or the parameters can't be read. See `detail`.";
    UNAUTHENTICATED = "unauthenticated", 401, "A valid API key is required", "The `Authorization: Bearer …` header has no key, or the key is malformed, unknown, revoked, expired or not allowed from your IP address.";
    CREDITS_SHORT = "credits-short", 402, "Not enough credits", "Nothing was spent. `detail` has the cost and the balance. Buy credits under Settings → Credits.";
    FORBIDDEN = "forbidden", 403, "Missing scope", "`required_scope` names the scope. Ask someone who manages the workspace's keys for a key that has it.";
    UNCONFIRMED = "unconfirmed", 403, "No confirmed email address", "Nobody who manages the workspace has confirmed their email address. An owner or admin must open the link in the confirmation email. Settings → Account can send it again.";
    FROZEN = "frozen", 403, "Workspace frozen", "The workspace is read-only until its subscription is paid.";
    NOT_FOUND = "not-found", 404, "Not found", "There is nothing at this path, or no object with this ID in the workspace and mode of the key.";
    METHOD_NOT_ALLOWED = "method-not-allowed", 405, "Method not allowed", "The `Allow` header lists the allowed methods.";
    CONFLICT = "conflict", 409, "Conflict with the current state", "`detail` says why.";
    IDEMPOTENCY = "idempotency-key-reused", 409, "Idempotency key used for another request", "Each request needs its own idempotency key. Only use it again to retry the same request.";
    TOO_LARGE = "too-large", 413, "Body too large", "The body can be up to 1 MB.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", 415, "Body not declared as JSON", "Send `Content-Type: application/json`.";
    INVALID = "invalid", 422, "Validation failed", "`errors` says what is wrong with each field or parameter.";
    RATE_LIMITED = "rate-limited", 429, "Too many requests", "`Retry-After` says how many seconds to wait.";
    INTERNAL = "internal", 500, "Internal error", "Include the code in `detail` when contacting support.";
    TOO_SLOW = "too-slow", 503, "Request timed out", "Try again. With an idempotency key, nothing is done twice.";
}

/// A problem to respond with.
#[derive(Clone, Debug)]
pub struct Problem(Box<Facts>);

#[derive(Clone, Debug)]
struct Facts {
    kind: Kind,
    detail: String,
    errors: Option<FieldErrors>,
    required_scope: Option<Scope>,
    header: Option<(header::HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self(Box::new(Facts {
            kind,
            detail: detail.into(),
            errors: None,
            required_scope: None,
            header: None,
        }))
    }

    /// A field or parameter that failed validation.
    pub fn field(name: &str, message: impl std::fmt::Display) -> Self {
        let mut errors = FieldErrors::new();
        errors.add(name, message);
        errors.into()
    }

    pub fn not_found() -> Self {
        Self::new(NOT_FOUND, "This doesn't exist, or no longer exists.")
    }

    /// The request has no key.
    pub fn no_key() -> Self {
        Self::new(
            UNAUTHENTICATED,
            "Send an API key in the “Authorization: Bearer …” header.",
        )
        .with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"Wheelhouse API\"")
    }

    pub fn scope_missing(scope: Scope) -> Self {
        let mut problem = Self::new(
            FORBIDDEN,
            format!("This request requires a key with the scope {scope}."),
        )
        .with_header(
            header::WWW_AUTHENTICATE,
            &format!(
                "Bearer realm=\"Wheelhouse API\", error=\"insufficient_scope\", scope=\"{scope}\""
            ),
        );
        problem.0.required_scope = Some(scope);
        problem
    }

    pub fn rate_limited(retry_after: u64) -> Self {
        Self::new(
            RATE_LIMITED,
            format!("Try again in {retry_after} s, and send fewer requests."),
        )
        .with_header(header::RETRY_AFTER, &retry_after.to_string())
    }

    /// The request timed out.
    pub fn too_slow() -> Self {
        let wait = AppError::Busy.retry_after().unwrap_or_default();
        Self::new(TOO_SLOW, "The request timed out. Try again.")
            .with_header(header::RETRY_AFTER, &wait.to_string())
    }

    #[must_use]
    fn with_header(mut self, name: header::HeaderName, value: &str) -> Self {
        self.0.header = HeaderValue::from_str(value).ok().map(|value| (name, value));
        self
    }
}

impl From<FieldErrors> for Problem {
    fn from(errors: FieldErrors) -> Self {
        let fields: Vec<&str> = errors.iter().map(|(field, _)| field).collect();
        let mut problem = Self::new(INVALID, format!("Fix these fields: {}.", fields.join(", ")));
        problem.0.errors = Some(errors);
        problem
    }
}

impl From<AppError> for Problem {
    fn from(error: AppError) -> Self {
        let detail = error.to_string();
        match error {
            AppError::Unauthenticated => Self::no_key(),
            AppError::Forbidden { permission } => Scope::ALL
                .into_iter()
                .find(|scope| scope.grants(permission))
                .map_or_else(
                    || Self::new(FORBIDDEN, "API keys can't do this. Sign in to do it."),
                    Self::scope_missing,
                ),
            AppError::NotFound => Self::not_found(),
            AppError::Invalid(errors) => errors.into(),
            AppError::Conflict(_) | AppError::LimitReached(_) => Self::new(CONFLICT, detail),
            AppError::CreditsShort { .. } => Self::new(CREDITS_SHORT, detail),
            AppError::RateLimited { retry_after } => Self::rate_limited(retry_after),
            AppError::Unconfirmed => Self::new(
                UNCONFIRMED,
                "Nobody who manages this workspace has confirmed their email address. An owner or admin must open the \
                 link in the confirmation email. Settings → Account can send it again.",
            ),
            AppError::Frozen => Self::new(FROZEN, detail),
            AppError::Busy => Self::too_slow(),
            AppError::Malformed => Self::new(MALFORMED, "The request can't be read."),
            AppError::Offline | AppError::Outdated | AppError::Internal { .. } => {
                Self::new(INTERNAL, detail)
            }
        }
    }
}

impl From<KeyRefusal> for Problem {
    fn from(refusal: KeyRefusal) -> Self {
        if let KeyRefusal::Internal(error) = refusal {
            return error.into();
        }
        Self::new(UNAUTHENTICATED, refusal.to_string()).with_header(
            header::WWW_AUTHENTICATE,
            "Bearer realm=\"Wheelhouse API\", error=\"invalid_token\"",
        )
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let facts = *self.0;
        let body = ProblemDetails {
            kind: format!("/api/docs#problem-{}", facts.kind.name),
            title: facts.kind.title,
            status: facts.kind.status,
            detail: facts.detail,
            errors: facts.errors,
            required_scope: facts.required_scope,
        };
        let status =
            StatusCode::from_u16(facts.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.extend(facts.header);
        response
    }
}

pub async fn no_such_path() -> Problem {
    Problem::new(NOT_FOUND, "There is nothing at this path.")
}

pub async fn no_such_method() -> Problem {
    Problem::new(
        METHOD_NOT_ALLOWED,
        "The Allow header lists the allowed methods.",
    )
}

/// A panic becomes one response with status 500, not the end of the process.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response<Body> {
    let _ = crate::http::pages::panicked(panic);
    Problem::new(
        INTERNAL,
        "Something went wrong on our side. Try again later.",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Permission;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_a_status_that_says_failure() {
        let mut names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KINDS.len());
        assert!(KINDS.iter().all(|kind| (400..600).contains(&kind.status)));
    }

    #[test]
    fn a_missing_permission_is_told_as_the_scope_that_would_give_it() {
        let told = |permission| {
            Problem::from(AppError::Forbidden { permission })
                .0
                .required_scope
        };
        assert_eq!(told(Permission::WriteContacts), Some(Scope::ContactsWrite));
        assert_eq!(told(Permission::SeeMemberEmails), Some(Scope::MembersRead));
        assert_eq!(told(Permission::ManageWebhooks), Some(Scope::WebhooksWrite));
        assert_eq!(told(Permission::ManageApiKeys), None);
    }
}
