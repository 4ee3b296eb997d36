//! The state that handlers and layers need.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use ipnet::IpNet;
use leptos::config::LeptosOptions;
use store::api_keys::usage::KeyUsage;
use store::auth::api_keys::ApiKeyCache;
use store::context::AppContext;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::http::last_seen::LastSeenTracker;
use crate::http::streams::Streams;
use crate::metrics::Metrics;

/// How often a stream checks whether its session is still valid, by default.
const CHECK: Duration = Duration::from_secs(30);
/// No form needs more than this.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// The state that handlers and layers need.
#[derive(Clone)]
pub struct AppState {
    pub ctx: AppContext,
    pub keys: Arc<ApiKeyCache>,
    pub key_usage: Arc<KeyUsage>,
    /// Shared by pointer: every layer clones the state for every request.
    pub options: Arc<LeptosOptions>,
    pub proxies: Arc<[IpNet]>,
    pub presence: LastSeenTracker,
    pub streams: Streams,
    /// How often an open stream checks whether its session is still valid.
    pub live_check: Duration,
    pub metrics: Metrics,
    pub stop: CancellationToken,
}

impl AppState {
    pub fn new(
        ctx: &AppContext,
        options: LeptosOptions,
        config: &Config,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Self {
        Self {
            ctx: ctx.clone(),
            keys: ApiKeyCache::new(ctx.key_changes()).into(),
            key_usage: Arc::default(),
            options: options.into(),
            proxies: config.trusted_proxies.clone().into(),
            presence: LastSeenTracker::default(),
            streams: Streams::default(),
            live_check: CHECK,
            metrics,
            stop,
        }
    }
}

impl FromRef<AppState> for AppContext {
    fn from_ref(state: &AppState) -> Self {
        state.ctx.clone()
    }
}

/// Leptos's own handlers require this.
impl FromRef<AppState> for LeptosOptions {
    fn from_ref(state: &AppState) -> Self {
        (*state.options).clone()
    }
}
