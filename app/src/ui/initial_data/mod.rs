//! A page's initial data: the server waits for it and writes it into the page, and the browser takes it from there.
//!
//! Server and browser are two files because they need different things. Leptos's own resource and `<Suspense>` are both
//! at once, and more: they render their content twice to look for further requests, and a page here makes one.

#[cfg(not(feature = "ssr"))]
mod browser;
#[cfg(feature = "ssr")]
mod server;

#[cfg(not(feature = "ssr"))]
pub use browser::first_answer;
#[cfg(feature = "ssr")]
pub use server::first_answer;
