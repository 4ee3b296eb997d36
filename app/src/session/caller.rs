//! The caller of the request that a server function runs for.

use domain::AppError;
use leptos::prelude::use_context;
use store::auth::Caller;
use store::context::AppContext;

/// The caller of the current request.
pub fn caller() -> Result<Caller, AppError> {
    use_context::<Caller>().ok_or_else(|| {
        tracing::error!("no caller in this request's context");
        AppError::Internal {
            incident: "context".to_owned(),
        }
    })
}

/// The context, for code that needs nobody to be signed in.
pub fn app_context() -> Result<AppContext, AppError> {
    caller().map(|caller| caller.ctx().clone())
}
