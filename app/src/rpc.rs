//! Calls server functions through one code path: on the server directly, in the browser with one `fetch`. The code that
//! `#[server]` generates for each function would be a third of the WASM.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use domain::AppError;
use leptos::server::codee::{Decoder, Encoder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use server_fn::codec::Post;
use server_fn::error::{FromServerFnError, ServerFnErrorErr};
use server_fn::{ContentType, Decodes, Encodes, Format, FormatType, ServerFn};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Headers, RequestInit, Response};

/// The error of every server function: [`AppError`], in this crate so that it can say how it is encoded.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RpcError(AppError);

impl From<AppError> for RpcError {
    fn from(error: AppError) -> Self {
        Self(error)
    }
}

impl From<RpcError> for AppError {
    fn from(RpcError(error): RpcError) -> Self {
        error
    }
}

impl FromServerFnError for RpcError {
    type Encoder = PostcardEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        Self(match error {
            ServerFnErrorErr::Args(_)
            | ServerFnErrorErr::MissingArg(_)
            | ServerFnErrorErr::Deserialization(_) => AppError::Malformed,
            other => unexpected(&other),
        })
    }
}

#[cfg(feature = "ssr")]
fn unexpected(error: &ServerFnErrorErr) -> AppError {
    domain::internal("a server function", error)
}

#[cfg(not(feature = "ssr"))]
fn unexpected(error: &ServerFnErrorErr) -> AppError {
    match error {
        ServerFnErrorErr::Request(_) | ServerFnErrorErr::Response(_) => AppError::Offline,
        other => AppError::Internal {
            incident: other.to_string(),
        },
    }
}

/// A server function of ours, by its arguments.
pub trait Call: ServerFn<Error = RpcError> + Serialize + 'static {}

impl<F: ServerFn<Error = RpcError> + Serialize + 'static> Call for F {}

/// Responses are postcard-encoded, a dense binary format, and prefixed with a build ID. Code that reads JSON by field
/// name for every response type would be a tenth of the WASM.
///
/// The format has no field names, so both ends must use the same types. The build ID is a hash of those types: see
/// `build.rs`. A browser sends it with each request, and the server refuses a request with another one before it does
/// anything, so a page that was loaded before an update asks the user to reload.
pub struct PostcardEncoding;

/// The output encoding of every server function: `#[server(output = Postcard)]`.
pub type Postcard = Post<PostcardEncoding>;

/// The build ID.
pub const BUILD: &str = env!("WHEELHOUSE_BUILD");
/// The request header that contains the build ID of the page.
pub const BUILD_HEADER: &str = "x-wheelhouse-build";

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

/// In a page, a response is text with one character per byte: most bytes are letters, and nothing has to be added to
/// read it. A byte that is not printable ASCII, or is `<`, `"` or `\`, becomes the character of `U+0100..=U+01FF` that
/// ends in it, so the text needs no escaping. Leptos writes it into a script like Rust's `Debug`, and not every such
/// escape is valid in JavaScript: a zero before a digit, `\00`, is an octal escape, and it escapes `<` twice.
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
    postcard::to_extend(value, BUILD.as_bytes().to_vec())
}

/// Decodes a response of this build.
pub fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, AppError> {
    match answer.split_at_checked(BUILD.len()) {
        Some((build, answer)) if build == BUILD.as_bytes() => {
            postcard::from_bytes(answer).map_err(|_| AppError::Offline)
        }
        Some((build, _)) if build.iter().all(u8::is_ascii_hexdigit) => Err(AppError::Outdated),
        // Not a response of ours, for example a proxy's error page.
        _ => Err(AppError::Offline),
    }
}

/// The undecoded response of a call, or its error.
pub type RpcResult = Result<Vec<u8>, AppError>;

/// A call in progress.
pub type RpcFuture = Pin<Box<dyn Future<Output = RpcResult> + Send>>;

/// Calls the function and decodes the response.
pub async fn call<F>(function: F) -> Result<F::Output, AppError>
where
    F: Call,
    F::Output: Serialize + DeserializeOwned,
{
    read(&ask(function).await?)
}

/// Calls the function and returns the undecoded response.
#[cfg(feature = "ssr")]
pub fn ask<F>(function: F) -> RpcFuture
where
    F: Call,
    F::Output: Serialize,
{
    Box::pin(async move {
        let answer = function.run_body().await?;
        write(&answer).map_err(|error| domain::internal("an answer", &error))
    })
}

/// Calls the function and returns the undecoded response.
#[cfg(not(feature = "ssr"))]
pub fn ask<F: Call>(function: F) -> RpcFuture {
    fetch(
        F::PATH,
        serde_urlencoded::to_string(function).unwrap_or_default(),
    )
}

/// Shared by all functions.
#[cfg(not(feature = "ssr"))]
fn fetch(path: &'static str, body: String) -> RpcFuture {
    Box::pin(send_wrapper::SendWrapper::new(async move {
        let posted = post(path, &JsValue::from_str(&body)).await?;
        if posted.good {
            Ok(posted.answer)
        } else {
            Err(read(&posted.answer).unwrap_or_else(|error| error))
        }
    }))
}

/// The server's response to a form.
pub struct RpcResponse {
    pub answer: Vec<u8>,
    pub good: bool,
    status: u16,
    /// The page that it redirects to, if any.
    pub location: Option<String>,
}

/// Posts a form's fields, as a string or as `URLSearchParams`.
pub async fn post(path: &str, body: &JsValue) -> Result<RpcResponse, AppError> {
    let posted = try_post(path, body).await.map_err(|_| AppError::Offline)?;
    if posted.status == AppError::Outdated.status() {
        return Err(AppError::Outdated);
    }
    if posted.status != SIGNED_OUT {
        return Ok(posted);
    }
    // Another tab may just have received a new session token for this browser: then the request with the old token did
    // nothing, and the new token arrives shortly.
    pause(RETRY_DELAY_MS).await;
    try_post(path, body).await.map_err(|_| AppError::Offline)
}

/// The status if nobody is signed in.
const SIGNED_OUT: u16 = 401;
/// Delay before the retry after such a response, in milliseconds.
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
    headers.set(BUILD_HEADER, BUILD)?;
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
    use domain::AppError;
    use leptos::server::codee::{Decoder, Encoder};

    use super::PostcardEncoding;

    #[test]
    fn a_response_of_another_build_is_recognized() {
        let answer = super::write(&7_u32).unwrap();
        assert_eq!(super::read::<u32>(&answer), Ok(7));
        let other = [b"00000000".as_slice(), &answer[8..]].concat();
        assert_ne!(other, answer);
        assert_eq!(super::read::<u32>(&other), Err(AppError::Outdated));
        for answer in ["", "short", "<html>502 Bad Gateway</html>"] {
            let read = super::read::<u32>(answer.as_bytes());
            assert_eq!(read, Err(AppError::Offline), "{answer}");
        }
    }

    /// A script reads them unchanged: Leptos escapes none of them, and none ends the script.
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
