//! `/contacts`.

#![expect(
    unused_qualifications,
    reason = "utoipa writes out the trait for what it is given under `params`"
)]

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::ContactId;
use domain::contacts::{
    Contact, CreateContactRequest, MAX_SEARCH_LEN, MAX_SEARCH_TAGS, MAX_TAG_LEN, Stage,
};
use store::contacts::{self, ContactQuery};
use store::context::AppContext;
use utoipa::IntoParams;

use super::extract::{ApiJson, IdempotentJson, PathId, QueryParams};
use super::idempotency::Outcome;
use super::pagination::{ListPage, PageParams, PageRequest};
use super::problem::Problem;
use super::scopes::{Authorized, ContactsRead, ContactsWrite};

/// List contacts
///
/// Newest first.
#[utoipa::path(
    get, path = "/contacts", operation_id = "listContacts", tag = "Contacts", params(PageParams), security(("key" = ["contacts:read"])),
    responses((status = 200, description = "A page of contacts.", body = ListPage<Contact>))
)]
pub async fn list(
    caller: Authorized<ContactsRead>,
    State(ctx): State<AppContext>,
    params: QueryParams,
) -> Result<Json<ListPage<Contact>>, Problem> {
    params.only(&["limit", "cursor"])?;
    page(&ctx, caller, &params, &ContactQuery::default()).await
}

/// The parameters of a search.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "names the parameters in the documentation; `QueryParams` reads them"
)]
pub struct SearchParams {
    /// Case-insensitive search in name, email, phone and company.
    #[param(required = false, max_length = 200, example = "kim")]
    q: String,
    /// Exact tag. Repeat it to require several tags, up to 10.
    #[param(
        required = false,
        min_length = 1,
        max_length = 50,
        example = "priority"
    )]
    tag: String,
    /// Stage. Repeat it to match any of several stages.
    #[param(required = false, inline)]
    stage: Stage,
}

/// Search contacts
///
/// Contacts matching all filters, newest first.
#[utoipa::path(
    get, path = "/contacts/search", operation_id = "searchContacts", tag = "Contacts", params(SearchParams, PageParams),
    security(("key" = ["contacts:read"])),
    responses((status = 200, description = "A page of matching contacts.", body = ListPage<Contact>))
)]
pub async fn search(
    caller: Authorized<ContactsRead>,
    State(ctx): State<AppContext>,
    params: QueryParams,
) -> Result<Json<ListPage<Contact>>, Problem> {
    params.only(&["q", "tag", "stage", "limit", "cursor"])?;
    let filter = filter(&params)?;
    page(&ctx, caller, &params, &filter).await
}

fn filter(params: &QueryParams) -> Result<ContactQuery, Problem> {
    let text = params
        .one("q")?
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let stages = params.distinct("stage", Stage::ALL.len())?;
    let stages = stages
        .into_iter()
        .map(|stage| domain::contacts::stage(Some(stage)));
    // As they are searched for: tags that differ only in white space are the same.
    let mut tags = Vec::new();
    for tag in params.distinct("tag", MAX_SEARCH_TAGS)? {
        let tag = searchable("tag", tag, MAX_TAG_LEN)?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    Ok(ContactQuery {
        text: text
            .map(|text| searchable("q", text, MAX_SEARCH_LEN))
            .transpose()?,
        tags,
        stages: stages
            .collect::<Result<_, _>>()
            .map_err(|problem| Problem::field("stage", problem))?,
    })
}

fn searchable(field: &str, text: &str, longest: usize) -> Result<String, Problem> {
    domain::contacts::text(text, longest).map_err(|problem| Problem::field(field, problem))
}

async fn page(
    ctx: &AppContext,
    caller: Authorized<ContactsRead>,
    params: &QueryParams,
    filter: &ContactQuery,
) -> Result<Json<ListPage<Contact>>, Problem> {
    let slice = PageRequest::<ContactId>::read(params)?;
    let contacts = contacts::list(
        ctx.db(),
        &caller.principal.permit()?,
        filter,
        slice.after,
        slice.one_more(),
    )
    .await?;
    Ok(slice.page(contacts, |contact| contact.id))
}

/// Create a contact
#[utoipa::path(
    post, path = "/contacts", operation_id = "createContact", tag = "Contacts", request_body = CreateContactRequest, security(("key" = ["contacts:write"])),
    responses((status = 201, description = "The new contact.", body = Contact))
)]
pub async fn create(
    caller: Authorized<ContactsWrite>,
    State(ctx): State<AppContext>,
    IdempotentJson { input, once }: IdempotentJson<CreateContactRequest>,
) -> Result<Response, Problem> {
    let draft = input.parse()?;
    let mut open = match once.begin(&ctx).await? {
        Outcome::Replay(answer) => return Ok(answer),
        Outcome::Proceed(open) => open,
    };
    let contact = contacts::create(open.tx(), &caller.principal.permit()?, draft).await?;
    open.keep(StatusCode::CREATED, &contact).await
}

/// Get a contact
#[utoipa::path(
    get, path = "/contacts/{id}", operation_id = "getContact", tag = "Contacts", params(("id" = String, Path, description = "ID of the contact.")),
    security(("key" = ["contacts:read"])),
    responses((status = 200, description = "The contact.", body = Contact))
)]
pub async fn show(
    caller: Authorized<ContactsRead>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<ContactId>,
) -> Result<Json<Contact>, Problem> {
    Ok(Json(
        contacts::get(ctx.db(), &caller.principal.permit()?, id).await?,
    ))
}

/// Replace a contact
///
/// Replaces the contact. Omitted fields are cleared or reset to their defaults.
#[utoipa::path(
    put, path = "/contacts/{id}", operation_id = "replaceContact", tag = "Contacts", request_body = CreateContactRequest,
    params(("id" = String, Path, description = "ID of the contact.")), security(("key" = ["contacts:write"])),
    responses((status = 200, description = "The replaced contact.", body = Contact))
)]
pub async fn replace(
    caller: Authorized<ContactsWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<ContactId>,
    ApiJson(input): ApiJson<CreateContactRequest>,
) -> Result<Json<Contact>, Problem> {
    let draft = input.parse()?;
    let mut tx = ctx.db().begin().await?;
    let contact = contacts::replace(&mut tx, &caller.principal.permit()?, id, draft).await?;
    tx.commit().await?;
    Ok(Json(contact))
}

/// Delete a contact
#[utoipa::path(
    delete, path = "/contacts/{id}", operation_id = "deleteContact", tag = "Contacts", params(("id" = String, Path, description = "ID of the contact.")),
    security(("key" = ["contacts:write"])),
    responses((status = 204, description = "Deleted."))
)]
pub async fn delete(
    caller: Authorized<ContactsWrite>,
    State(ctx): State<AppContext>,
    PathId(id): PathId<ContactId>,
) -> Result<StatusCode, Problem> {
    let mut tx = ctx.db().begin().await?;
    contacts::delete(&mut tx, &caller.principal.permit()?, id).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
