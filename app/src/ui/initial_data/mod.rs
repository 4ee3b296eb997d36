//! A page's first answer: the server waits for it and writes it into the page, and the browser takes it from there.
//!
//! The two sides are two files because neither needs what the other does. Leptos's own resource and `<Suspense>` are
//! both at once, and more: they draw what they hold twice to look for further questions, and a page here asks one.

#[cfg(not(feature = "ssr"))]
mod browser;
#[cfg(feature = "ssr")]
mod server;

#[cfg(not(feature = "ssr"))]
pub use browser::first_answer;
#[cfg(feature = "ssr")]
pub use server::first_answer;
