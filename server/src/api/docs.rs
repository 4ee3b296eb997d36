//! `/api/docs`: the OpenAPI document as a page. It is complete without scripts; with scripts, you can send each request
//! from the page with your own key. Nothing is loaded from elsewhere.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use domain::escape_html;
use serde_json::{Map, Value};
use store::context::AppContext;

use super::openapi::{document, document_at};
use super::problem::KINDS;
use super::samples;
use crate::api::openapi::base::ROOT;

/// The Content-Security-Policy of this page: its style sheet, its script, and requests to the API.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The order of the methods.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub async fn openapi(State(ctx): State<AppContext>) -> Response {
    let document = document_at(&ctx.site().public_url).to_string();
    (headers("application/json"), document).into_response()
}

pub async fn style() -> Response {
    (
        headers("text/css; charset=utf-8"),
        include_str!("../../assets/docs.css"),
    )
        .into_response()
}

pub async fn script() -> Response {
    let script = include_str!("../../assets/docs.js");
    (headers("text/javascript; charset=utf-8"), script).into_response()
}

/// The files are the same for everybody and change with an update.
fn headers(kind: &'static str) -> [(HeaderName, HeaderValue); 2] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ]
}

pub async fn page(State(ctx): State<AppContext>) -> Response {
    let html = render(document(), &ctx.site().public_url);
    let policy = [(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    )];
    (policy, Html(html)).into_response()
}

fn render(document: &Value, public_url: &str) -> String {
    let title = escape_html(text(&document["info"]["title"]));
    let mut menu = String::new();
    let mut body = String::new();
    for tag in list(&document["tags"]) {
        let name = text(&tag["name"]);
        menu += &format!("<li><a href=\"#{0}\">{0}</a><ul>", escape_html(name));
        body += &format!(
            "<section aria-labelledby=\"{0}\"><h2 id=\"{0}\">{0}</h2>{1}",
            escape_html(name),
            prose(text(&tag["description"]))
        );
        for (method, path, operation) in operations(document, name) {
            let (id, summary) = (
                escape_html(text(&operation["operationId"])),
                escape_html(text(&operation["summary"])),
            );
            menu += &format!("<li><a href=\"#{id}\">{summary}</a></li>");
            body += &render_operation(document, public_url, method, path, operation);
        }
        menu += "</ul></li>";
        body += "</section>";
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title}</title>\
         <link rel=\"icon\" href=\"/favicon.svg\" type=\"image/svg+xml\"><link rel=\"stylesheet\" href=\"/api/docs.css\"><script src=\"/api/docs.js\" defer></script></head>\
         <body><a class=\"skip\" href=\"#main\">Skip to content</a>\
         <header><h1>{title}</h1><p><a href=\"/\">Wheelhouse</a> · <a href=\"/api/openapi.json\">OpenAPI document</a></p></header>\
         <nav aria-label=\"Contents\"><ul>{menu}<li><a href=\"#problems\">Problems</a></li></ul></nav>\
         <main id=\"main\">{intro}{key}{body}{problems}</main></body></html>",
        intro = prose(text(&document["info"]["description"])),
        key = KEY_FORM,
        problems = render_problems(),
    )
}

/// Shown by the script, because requests cannot be sent without it.
const KEY_FORM: &str = "<form id=\"key\" hidden><label for=\"api-key\">API key</label> \
     <input id=\"api-key\" type=\"password\" autocomplete=\"off\" spellcheck=\"false\" aria-describedby=\"key-hint\">\
     <p id=\"key-hint\">For the requests that you send from this page. The key is kept in this page only. Test keys never touch live data.</p></form>";

/// The operations of a tag, in the order of paths and methods.
fn operations<'a>(
    document: &'a Value,
    tag: &'a str,
) -> impl Iterator<Item = (&'static str, &'a str, &'a Value)> {
    let paths = document["paths"].as_object();
    paths.into_iter().flatten().flat_map(move |(path, item)| {
        METHODS
            .into_iter()
            .filter_map(move |method| Some((method, path.as_str(), item.get(method)?)))
            .filter(move |(_, _, operation)| list(&operation["tags"]).iter().any(|one| one == tag))
    })
}

fn render_operation(
    document: &Value,
    public_url: &str,
    method: &str,
    path: &str,
    operation: &Value,
) -> String {
    let id = escape_html(text(&operation["operationId"]));
    let body = operation["requestBody"].pointer("/content/application~1json/schema");
    let sample = body.map(|schema| samples::of(document, schema));
    let sample = sample.map(|sample| format!("{sample:#}"));
    format!(
        "<article><h3 id=\"{id}\">{summary}</h3>\
         <p class=\"call\"><strong class=\"{method}\">{upper}</strong> <code>{root}{path}</code></p>\
         {description}{parameters}{fields}{answers}\
         <h4>Example</h4><pre tabindex=\"0\"><code>{curl}</code></pre>{form}</article>",
        summary = escape_html(text(&operation["summary"])),
        upper = method.to_uppercase(),
        root = ROOT,
        path = escape_html(path),
        description = prose(text(&operation["description"])),
        parameters = render_parameters(&id, list(&operation["parameters"])),
        fields = body
            .map(|schema| render_fields("Body", &id, document, schema))
            .unwrap_or_default(),
        answers = render_answers(&id, document, operation["responses"].as_object()),
        curl = escape_html(&curl(public_url, method, path, sample.as_deref())),
        form = render_form(
            method,
            path,
            &id,
            list(&operation["parameters"]),
            sample.as_deref()
        ),
    )
}

fn curl(public_url: &str, method: &str, path: &str, sample: Option<&str>) -> String {
    let mut lines = vec![format!("curl {public_url}{ROOT}{path}")];
    if !matches!(method, "get" | "post") {
        lines.push(format!("-X {}", method.to_uppercase()));
    }
    lines.push("-H \"Authorization: Bearer $WHEELHOUSE_KEY\"".to_owned());
    if method == "post" {
        lines.push("-H \"Idempotency-Key: $(uuidgen)\"".to_owned());
    }
    if let Some(sample) = sample {
        lines.push("-H 'Content-Type: application/json'".to_owned());
        lines.push(format!("-d '{}'", sample.replace('\'', "'\\''")));
    }
    lines.join(" \\\n  ")
}

fn render_parameters(of: &str, parameters: &[Value]) -> String {
    if parameters.is_empty() {
        return String::new();
    }
    let rows: String = parameters
        .iter()
        .map(|parameter| {
            let required = parameter["required"] == true;
            row(
                text(&parameter["name"]),
                &format!("{}, {}", kind(&parameter["schema"]), text(&parameter["in"])),
                required,
                text(&parameter["description"]),
            )
        })
        .collect();
    table("Parameters", of, &rows)
}

fn render_fields(caption: &str, of: &str, document: &Value, schema: &Value) -> String {
    let schema = samples::resolve(document, schema);
    let required: Vec<&str> = list(&schema["required"]).iter().map(text).collect();
    let rows: String = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, field)| {
            let own = samples::other_than_null(field).unwrap_or(field);
            let field = samples::resolve(document, field);
            let description = own.get("description").unwrap_or(&field["description"]);
            row(
                name,
                &kind(field),
                required.contains(&name.as_str()),
                text(description),
            )
        })
        .collect();
    table(caption, of, &rows)
}

fn row(name: &str, kind: &str, required: bool, description: &str) -> String {
    let required = if required { "yes" } else { "no" };
    format!(
        "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{required}</td><td>{}</td></tr>",
        escape_html(name),
        escape_html(kind),
        inline(description)
    )
}

fn table(caption: &str, of: &str, rows: &str) -> String {
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption} of {of}\"><table><caption>{caption}</caption>\
         <thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Type</th><th scope=\"col\">Required</th>\
         <th scope=\"col\">Description</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// A schema's type in a word or two.
fn kind(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<&str> = values.iter().map(text).collect();
        return values.join(" | ");
    }
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|target| target.rsplit('/').next())
    {
        return name.to_owned();
    }
    if let Some(options) = schema["oneOf"].as_array() {
        let options: Vec<String> = options.iter().map(kind).collect();
        return options.join(" | ");
    }
    match &schema["type"] {
        Value::Array(types) => types.iter().map(text).collect::<Vec<_>>().join(" | "),
        one if one == "array" => format!("list of {}", kind(&schema["items"])),
        one => text(one).to_owned(),
    }
}

/// The responses, and the fields of the successful one.
fn render_answers(of: &str, document: &Value, responses: Option<&Map<String, Value>>) -> String {
    let mut html = String::from("<h4>Responses</h4><ul class=\"answers\">");
    let mut fields = String::new();
    for (status, response) in responses.into_iter().flatten() {
        let response = samples::resolve(document, response);
        html += &format!(
            "<li><code>{}</code> {}</li>",
            escape_html(status),
            inline(text(&response["description"]))
        );
        if let Some(schema) = response.pointer("/content/application~1json/schema") {
            fields = render_fields("Response body", of, document, schema);
        }
    }
    format!("{html}</ul>{fields}")
}

fn render_form(
    method: &str,
    path: &str,
    id: &str,
    parameters: &[Value],
    sample: Option<&str>,
) -> String {
    let mut fields = String::new();
    for parameter in parameters {
        let name = escape_html(text(&parameter["name"]));
        fields += &format!(
            "<label for=\"{id}-{name}\">{name}</label> <input id=\"{id}-{name}\" name=\"{name}\" data-in=\"{}\" \
                 autocomplete=\"off\" spellcheck=\"false\">",
            escape_html(text(&parameter["in"]))
        );
    }
    let body = sample.map(|sample| {
        format!(
            "<label for=\"{id}-body\">Body</label> <textarea id=\"{id}-body\" name=\"body\" rows=\"8\" \
             spellcheck=\"false\">{}</textarea>",
            escape_html(sample)
        )
    });
    format!(
        "<form class=\"try\" data-method=\"{}\" data-path=\"{ROOT}{}\" aria-label=\"Try {id}\" hidden>{fields}{}\
         <button>Send</button><pre tabindex=\"0\" role=\"status\" aria-label=\"Response to {id}\" hidden></pre></form>",
        method.to_uppercase(),
        escape_html(path),
        body.unwrap_or_default()
    )
}

/// The descriptions that the `type` of a problem links to.
fn render_problems() -> String {
    let mut kinds = String::new();
    for kind in KINDS {
        kinds += &format!(
            "<h3 id=\"problem-{}\"><code>{}</code> {}</h3>{}",
            kind.name,
            kind.status,
            escape_html(kind.title),
            prose(kind.help)
        );
    }
    format!(
        "<section aria-labelledby=\"problems\"><h2 id=\"problems\">Problems</h2>{kinds}</section>"
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Paragraphs, with `code` marked.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for paragraph in text
        .split("\n\n")
        .filter(|paragraph| !paragraph.trim().is_empty())
    {
        html += &format!("<p>{}</p>", inline(paragraph));
    }
    html
}

fn inline(text: &str) -> String {
    let mut html = String::new();
    for (index, part) in text.split('`').enumerate() {
        let part = escape_html(part);
        if index % 2 == 1 {
            html += &format!("<code>{part}</code>");
        } else {
            html += &part;
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_operation_and_every_problem() {
        let html = render(document(), "https://settings.example");
        for path in document()["paths"].as_object().unwrap().values() {
            for operation in path.as_object().unwrap().values() {
                let id = text(&operation["operationId"]);
                assert!(html.contains(&format!("<h3 id=\"{id}\">")), "{id}");
            }
        }
        for kind in KINDS {
            assert!(html.contains(&format!("id=\"problem-{}\"", kind.name)));
        }
        assert!(html.contains("curl https://settings.example/api/v1/contacts"));
        assert!(
            html.contains("<caption>Body</caption>") && html.contains("Event type of the sample"),
            "an optional body is described too"
        );
        assert!(
            !html.contains("style=\""),
            "the policy forbids inline styles"
        );
    }

    #[test]
    fn what_is_shown_is_escaped() {
        assert_eq!(
            inline("a <b> & `\"c\"`"),
            "a &lt;b&gt; &amp; <code>&quot;c&quot;</code>"
        );
    }
}
