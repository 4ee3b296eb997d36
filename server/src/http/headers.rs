//! Headers of every response, and headers of every file.

use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use leptos::nonce::Nonce;
use store::context::AppContext;

use crate::state::AppState;

/// Scripts only with this page's nonce, and what they load; no frames; forms only to this site and, since redirects
/// after a form count too, to the payment provider's pages. `wasm-unsafe-eval` only allows compiling WebAssembly.
pub fn content_security_policy(nonce: &str, providers: &[String]) -> String {
    let mut forms = "'self'".to_owned();
    for origin in providers {
        forms.push(' ');
        forms.push_str(origin);
    }
    format!(
        "default-src 'self'; script-src 'strict-dynamic' 'nonce-{nonce}' 'wasm-unsafe-eval'; style-src 'self'; \
         img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
         form-action {forms}"
    )
}

/// Where a page being rendered stores the policy that allows its own scripts.
#[derive(Clone)]
pub struct PageNonce {
    policy: Arc<OnceLock<HeaderValue>>,
    ctx: AppContext,
}

impl PageNonce {
    fn new(ctx: &AppContext) -> Self {
        Self {
            policy: Arc::default(),
            ctx: ctx.clone(),
        }
    }

    pub fn set(&self, nonce: &Nonce) {
        let policy = content_security_policy(nonce, self.ctx.payments().origins());
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            // The first policy stays: a page is rendered once.
            let _ = self.policy.set(policy);
        }
    }
}

pub async fn security(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let nonce = PageNonce::new(&state.ctx);
    request.extensions_mut().insert(nonce.clone());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // The page's own policy is set here and not through Leptos's response options, which occasionally lost a header
    // under load.
    if let Some(policy) = nonce.policy.get() {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    }
    let mut set = |name: HeaderName, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Links with tokens in their path must not leak in a Referer; the bare origin can.
    set(header::REFERRER_POLICY, "strict-origin");
    set(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    set(
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=()",
    );
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    );
    // Every response is private unless it says otherwise.
    set(header::CACHE_CONTROL, "no-store");
    if state.ctx.site().is_https() {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    response
}

/// Files with a content hash in their name never change.
pub async fn immutable(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if response.status().is_success() {
        let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, forever);
    }
    response
}
