//! `/keys/verify` and `/authorize`: how the product checks a key that a client sent. The first takes the key in the body,
//! from a program that has its own key; the second takes the client's own header, for a proxy in front of the product.

#![expect(
    unused_qualifications,
    reason = "utoipa writes out the trait for what it is given under `params`"
)]

use std::net::IpAddr;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::catalog::{Mode, Scope};
use domain::{ApiKeyId, FieldErrors, Secret, WorkspaceId};
use serde::{Deserialize, Serialize};
use store::auth::ApiKeyPrincipal;
use store::auth::api_keys::{KeyRefusal, check};
use store::rate_limit::auth::KeyCaller;
use utoipa::{IntoParams, ToSchema};

use super::extract::{IdempotentJson, QueryParams};
use super::me::Me;
use super::problem::Problem;
use super::scopes::{ApiKeyAuth, Authorized, KeysVerify};
use crate::state::AppState;

/// A key to verify.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyKeyRequest {
    /// The key to verify.
    #[schema(value_type = String)]
    key: Secret,
    /// Scope that the key must have.
    #[schema(value_type = Option<Scope>)]
    scope: Option<String>,
    /// IP address of the client, for keys that are restricted to some IP addresses. Defaults to the IP address of this
    /// request.
    #[schema(example = "192.0.2.7")]
    address: Option<String>,
}

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Malformed key.
    Malformed,
    /// Unknown key in this workspace.
    Unknown,
    Revoked,
    Expired,
    AddressNotAllowed,
    ScopeMissing,
}

/// The result of a verification. The other fields are set for valid keys, also if only the scope is missing.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyVerification {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[schema(value_type = Option<String>, example = "key_01h455vb4pex5vsknk084sn02q")]
    key_id: Option<ApiKeyId>,
    #[schema(value_type = Option<String>, example = "ws_01h455vb4pex5vsknk084sn02q")]
    workspace: Option<WorkspaceId>,
    #[serde(rename = "type")]
    mode: Option<Mode>,
    scopes: Vec<Scope>,
}

/// A parsed request.
struct Question {
    key: Secret,
    scope: Option<Scope>,
    address: Option<IpAddr>,
}

impl VerifyKeyRequest {
    fn parse(self) -> Result<Question, FieldErrors> {
        let mut errors = FieldErrors::new();
        let scope = self.scope.map(|scope| scope.parse::<Scope>());
        let scope = scope.and_then(|scope| errors.check("scope", scope));
        let address = self.address.map(|address| address.parse::<IpAddr>());
        let address = address.and_then(|address| errors.check("address", address));
        if errors.is_empty() {
            Ok(Question {
                key: self.key,
                scope,
                address,
            })
        } else {
            Err(errors)
        }
    }
}

impl KeyVerification {
    fn of_none(reason: Reason) -> Self {
        Self {
            valid: false,
            reason: Some(reason),
            key_id: None,
            workspace: None,
            mode: None,
            scopes: Vec::new(),
        }
    }

    fn of(key: &ApiKeyPrincipal, scope: Option<Scope>) -> Self {
        let facts = key.facts();
        let reason = scope
            .filter(|scope| !key.has(*scope))
            .map(|_| Reason::ScopeMissing);
        Self {
            valid: reason.is_none(),
            reason,
            key_id: Some(facts.id),
            workspace: Some(facts.workspace),
            mode: Some(facts.mode),
            scopes: facts.scopes.clone(),
        }
    }
}

/// Verify a key
///
/// Checks whether a key is valid and what it can do. A key of another workspace is unknown. The response is never
/// replayed, even for a repeated `Idempotency-Key`: a revoked key is never reported as valid.
#[utoipa::path(
    post, path = "/keys/verify", operation_id = "verifyKey", tag = "Keys", request_body = VerifyKeyRequest, security(("key" = ["keys:verify"])),
    responses((status = 200, description = "The result of the verification.", body = KeyVerification))
)]
pub async fn verify(
    caller: Authorized<KeysVerify>,
    ApiKeyAuth { key: own, address }: ApiKeyAuth,
    State(state): State<AppState>,
    IdempotentJson { input, once }: IdempotentJson<VerifyKeyRequest>,
) -> Result<Json<KeyVerification>, Problem> {
    let question = input.parse()?;
    once.only_for_this(&state.ctx).await?;
    let address = question.address.unwrap_or(address.0);
    let asker = KeyCaller::Key(own.facts().id);
    let key = match check(
        &state.keys,
        &state.ctx,
        question.key.expose(),
        address,
        asker,
    )
    .await
    {
        Ok(key) => key,
        Err(refusal) => return refused(refusal).map(Json),
    };
    if key.facts().workspace != caller.principal.workspace() {
        return Ok(Json(KeyVerification::of_none(Reason::Unknown)));
    }
    state.key_usage.note_use(
        &key,
        question.scope.filter(|scope| key.has(*scope)),
        address,
    );
    Ok(Json(KeyVerification::of(&key, question.scope)))
}

/// For an invalid key, only the reason is returned.
fn refused(refusal: KeyRefusal) -> Result<KeyVerification, Problem> {
    let reason = match refusal {
        KeyRefusal::Malformed => Reason::Malformed,
        KeyRefusal::Unknown => Reason::Unknown,
        KeyRefusal::Revoked => Reason::Revoked,
        KeyRefusal::Expired => Reason::Expired,
        KeyRefusal::AddressNotAllowed => Reason::AddressNotAllowed,
        KeyRefusal::Internal(error) => return Err(error.into()),
    };
    Ok(KeyVerification::of_none(reason))
}

/// The parameters of `/authorize`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "names the parameters in the documentation; `QueryParams` reads them"
)]
pub struct AuthorizeParams {
    /// Scope that the key must have. Repeat it to require several scopes.
    #[param(required = false, inline)]
    scope: Scope,
}

/// Authorize a request
///
/// For a proxy in front of the product, such as nginx with `auth_request`. Send the client's own `Authorization` header.
/// Returns 200 with the identity in `X-Wheelhouse-Key-Id`, `X-Wheelhouse-Workspace`, `X-Wheelhouse-Type` and
/// `X-Wheelhouse-Scopes`, 401 without a valid key, and 403 if the scope is missing.
#[utoipa::path(
    get, path = "/authorize", operation_id = "authorize", tag = "Keys", params(AuthorizeParams), security(("key" = [])),
    responses((status = 200, description = "Allowed.", body = Me, headers(
        ("X-Wheelhouse-Key-Id" = String, description = "ID of the key."),
        ("X-Wheelhouse-Workspace" = String, description = "ID of the workspace."),
        ("X-Wheelhouse-Type" = String, description = "`live` or `test`."),
        ("X-Wheelhouse-Scopes" = String, description = "Scopes, separated by spaces."),
    )))
)]
pub async fn authorize(
    ApiKeyAuth { key, address }: ApiKeyAuth,
    State(state): State<AppState>,
    params: QueryParams,
) -> Result<Response, Problem> {
    params.only(&["scope"])?;
    for scope in params.distinct("scope", Scope::ALL.len())? {
        let scope: Scope = scope
            .parse()
            .map_err(|problem| Problem::field("scope", problem))?;
        if !key.has(scope) {
            return Err(Problem::scope_missing(scope));
        }
        state.key_usage.note_use(&key, Some(scope), address.0);
    }
    let facts = key.facts();
    let scopes: Vec<&str> = facts.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut response = Json(Me::from(facts)).into_response();
    for (name, value) in [
        ("x-wheelhouse-key-id", facts.id.to_string()),
        ("x-wheelhouse-workspace", facts.workspace.to_string()),
        ("x-wheelhouse-type", facts.mode.to_string()),
        ("x-wheelhouse-scopes", scopes.join(" ")),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
    Ok(response)
}
