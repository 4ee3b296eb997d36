//! Calling server functions, with one path through the code for all of them: on the server straight to the body, in
//! the browser by one `fetch`. What `#[server]` would generate for each function on its own is a third of the WASM.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use leptos::server::codee::{Decoder, Encoder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use server_fn::codec::Post;
use server_fn::{ContentType, Decodes, Encodes, Format, FormatType, ServerFn};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, RequestInit, Response};

use crate::domain::AppError;

/// A server function of ours, by its arguments.
pub trait Call: ServerFn<Error = AppError> + Serialize + 'static {}

impl<F: ServerFn<Error = AppError> + Serialize + 'static> Call for F {}

/// How answers travel: postcard, a dense binary form, behind a mark of the build. What reads JSON by field names for
/// every type of answer would be a tenth of the WASM.
///
/// The form has no names in it, so both ends must mean the same types: the mark changes with every change of this
/// crate's source, and a page that was loaded before the server was updated finds that it cannot read the answer.
pub struct PostcardEncoding;

/// What every server function names as its output: `#[server(output = Compact)]`.
pub type Postcard = Post<PostcardEncoding>;

/// Of this crate's source; see `build.rs`.
const BUILD: &[u8] = env!("WHEELHOUSE_BUILD").as_bytes();

impl ContentType for PostcardEncoding {
    const CONTENT_TYPE: &'static str = "application/x-wheelhouse";
}

impl FormatType for PostcardEncoding {
    const FORMAT_TYPE: Format = Format::Binary;
}

impl<T: Serialize> Encodes<T> for PostcardEncoding {
    type Error = postcard::Error;

    fn encode(value: &T) -> Result<Bytes, postcard::Error> {
        write(value).map(Bytes::from)
    }
}

impl<T: DeserializeOwned> Decodes<T> for PostcardEncoding {
    type Error = AppError;

    fn decode(bytes: Bytes) -> Result<T, AppError> {
        read(&bytes)
    }
}

/// Within a page an answer stands as text, a character for each byte: most bytes are letters, and nothing has to be
/// carried to read it. A byte that is no printable ASCII, or `<`, `"` or `\`, is the letter of `U+0100..=U+01FF` that ends
/// in it, so that the text needs no escape. Leptos writes it into a script as Rust's `Debug` does, and not every escape of
/// that is one to JavaScript: a zero before a digit, `\00`, is an octal one, and `<` it escapes twice.
impl<T: Serialize> Encoder<T> for PostcardEncoding {
    type Error = postcard::Error;
    type Encoded = String;

    fn encode(value: &T) -> Result<String, postcard::Error> {
        let letter = |byte: u8| match byte {
            b' '..=b'~' if !b"<\"\\".contains(&byte) => char::from(byte),
            _ => char::from_u32(0x100 + u32::from(byte)).unwrap_or_default(),
        };
        Ok(write(value)?.into_iter().map(letter).collect())
    }
}

impl<T: DeserializeOwned> Decoder<T> for PostcardEncoding {
    type Error = AppError;
    type Encoded = str;

    fn decode(text: &str) -> Result<T, AppError> {
        let bytes: Vec<u8> = text
            .chars()
            .map(|letter| u32::from(letter).to_le_bytes()[0])
            .collect();
        read(&bytes)
    }
}

fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_extend(value, BUILD.to_vec())
}

/// Reads an answer of this very build.
pub fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, AppError> {
    answer
        .strip_prefix(BUILD)
        .and_then(|answer| postcard::from_bytes(answer).ok())
        .ok_or(AppError::Offline)
}

/// What a call answers, still unread, or what went wrong.
pub type RpcResult = Result<Vec<u8>, AppError>;

/// A call under way.
pub type RpcFuture = Pin<Box<dyn Future<Output = RpcResult> + Send>>;

/// Calls, and reads the answer.
pub async fn call<F>(function: F) -> Result<F::Output, AppError>
where
    F: Call,
    F::Output: Serialize + DeserializeOwned,
{
    read(&ask(function).await?)
}

/// Calls, and leaves the answer as it came.
#[cfg(feature = "ssr")]
pub fn ask<F>(function: F) -> RpcFuture
where
    F: Call,
    F::Output: Serialize,
{
    Box::pin(async move {
        let answer = function.run_body().await?;
        write(&answer).map_err(|error| crate::error_report::internal("an answer", &error))
    })
}

/// Calls, and leaves the answer as it came.
#[cfg(not(feature = "ssr"))]
pub fn ask<F: Call>(function: F) -> RpcFuture {
    fetch(
        F::PATH,
        serde_urlencoded::to_string(function).unwrap_or_default(),
    )
}

/// Once for all functions.
#[cfg(not(feature = "ssr"))]
fn fetch(path: &'static str, body: String) -> RpcFuture {
    Box::pin(send_wrapper::SendWrapper::new(async move {
        let posted = post(path, &JsValue::from_str(&body)).await?;
        if posted.good {
            Ok(posted.answer)
        } else {
            Err(read(&posted.answer).unwrap_or(AppError::Offline))
        }
    }))
}

/// What the server answered to a form.
pub struct RpcResponse {
    pub answer: Vec<u8>,
    pub good: bool,
    status: u16,
    /// Where it leads, if elsewhere.
    pub location: Option<String>,
}

/// Posts a form's fields, as a string or as `URLSearchParams`.
pub async fn post(path: &str, body: &JsValue) -> Result<RpcResponse, AppError> {
    let posted = try_post(path, body).await.map_err(|_| AppError::Offline)?;
    if posted.status != SIGNED_OUT {
        return Ok(posted);
    }
    // Another tab may just have got this browser a new session token: then nothing was done with the old one, and the new
    // one arrives in a moment.
    pause(RETRY_DELAY_MS).await;
    try_post(path, body).await.map_err(|_| AppError::Offline)
}

/// The status of an answer to nobody.
const SIGNED_OUT: u16 = 401;
/// How long after such an answer it is tried once more, in milliseconds.
const RETRY_DELAY_MS: i32 = 1_000;

async fn pause(milliseconds: i32) {
    let over = js_sys::Promise::new(&mut |resolve, _| {
        let _ = leptos::prelude::window()
            .set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds);
    });
    let _ = JsFuture::from(over).await;
}

async fn try_post(path: &str, body: &JsValue) -> Result<RpcResponse, JsValue> {
    let headers = Headers::new()?;
    headers.set("Accept", "application/json")?;
    headers.set("Content-Type", "application/x-www-form-urlencoded")?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(body);
    let sent = leptos::prelude::window().fetch_with_str_and_init(path, &init);
    let response: Response = JsFuture::from(sent).await?.dyn_into()?;
    let answer = JsFuture::from(response.array_buffer()?).await?;
    Ok(RpcResponse {
        answer: js_sys::Uint8Array::new(&answer).to_vec(),
        good: response.ok(),
        status: response.status(),
        location: response.headers().get("location")?,
    })
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use leptos::server::codee::{Decoder, Encoder};

    use super::PostcardEncoding;

    /// A script reads them as they are: Leptos escapes none of them, and none would end the script.
    #[test]
    fn a_page_reads_every_byte_after_every_other() {
        let bytes = || 0..=u8::MAX;
        let pairs: Vec<u8> = bytes()
            .flat_map(|a| bytes().flat_map(move |b| [a, b]))
            .collect();
        let text = PostcardEncoding::encode(&pairs).unwrap();
        assert_eq!(format!("{text:?}"), format!("\"{text}\""));
        assert!(!text.contains('<'));
        let read: Vec<u8> = PostcardEncoding::decode(&text).unwrap();
        assert_eq!(read, pairs);
    }
}
