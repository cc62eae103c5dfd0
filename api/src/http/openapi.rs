//! The OpenAPI document: collected from the handlers, and completed with what is the same for all of them.
//!
//! A handler is described where it is written, and registered with `routes!` in the `router()` of its noun:
//!
//! ```text
//! #[utoipa::path(
//!     get, path = "/v1/rooms/{room_id}", operation_id = "v1_rooms_get",
//!     params(("room_id" = String, Path, description = "The room's id")),
//!     responses((status = 200, body = RoomDetailsBody), (status = 403, description = "The room is not shared")),
//!     security((), ("bearer" = [])),
//! )]
//! ```
//!
//! It names its answers and the refusals that are its own. The rest is added here: the error bodies, 401 where there is a
//! `security`, 404 where the path has a parameter, 413 and 415 where there is a body, 422 where there is a body or a query, and
//! 429, 500 and 503 everywhere. `security` is `("bearer" = [])` where a caller must say who they are, `((), ("bearer" = []))` where
//! they may, and `("jitsi" = [])` or `("whereby" = [])` for signed bodies; an API key is accepted wherever a token is.
//! Bodies derive `utoipa::ToSchema`, with `#[schema(as = Name)]` where the contract names them.

use std::collections::BTreeMap;

use contract::problem::Problem;
use serde_json::{Map, Value, json};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi};
use utoipa::{PartialSchema, ToSchema};

use super::validation;

/// The content type of error bodies.
const PROBLEM_JSON: &str = "application/problem+json";

/// What the names of schemas begin with.
const SCHEMAS: &str = "#/components/schemas/";

/// The name of [`super::date_time::DateTime`].
const DATE_TIME: &str = "#/components/schemas/DateTime";

/// The document without a path: what it says of itself, and the schemas of errors.
pub fn frame() -> OpenApi {
    let mut schemas = Vec::new();
    with_schema::<Problem>(&mut schemas);
    with_schema::<validation::HttpValidationError>(&mut schemas);
    let mut components = Components::new();
    components.schemas.extend(schemas);
    for (name, scheme) in schemes() {
        components.add_security_scheme(name, scheme);
    }
    OpenApi::builder()
        .info(utoipa::openapi::Info::new("Reflector API", env!("CARGO_PKG_VERSION")))
        .components(Some(components))
        .build()
}

type Schemas = Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>;

fn with_schema<T: ToSchema + PartialSchema>(schemas: &mut Schemas) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn schemes() -> BTreeMap<&'static str, SecurityScheme> {
    let header = |name: &str, description: &str| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, description)))
    };
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("A person's token, as `AUTH_JWT_*` configures it."))
        .build();
    BTreeMap::from([
        ("bearer", SecurityScheme::Http(bearer)),
        ("APIKeyHeader", header("X-API-Key", "A key that a person made with `POST /v1/user/api-keys`.")),
        (
            "jitsi",
            header(
                "webhook-signature",
                "Standard Webhooks, with `webhook-id` and `webhook-timestamp`; or the hexadecimal HMAC-SHA256 of the body in \
                 `X-Jitsi-Signature`, where `JITSI_REQUIRE_TIMESTAMP` is not set.",
            ),
        ),
        ("whereby", header("Whereby-Signature", "`t=<unix seconds>,v1=<hexadecimal HMAC-SHA256>`.")),
    ])
}

/// The finished document of a server whose routes are under `root_path`.
///
/// # Panics
///
/// Never: what is collected consists of texts, numbers and lists of them.
pub fn document(collected: &OpenApi, root_path: &str) -> Value {
    let mut document = serde_json::to_value(collected).expect("a document is JSON");
    if !root_path.is_empty() {
        document["servers"] = json!([{"url": root_path}]);
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for operation in paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        for operation in operation.values_mut().filter_map(Value::as_object_mut) {
            complete(operation);
        }
    }
    describe_detail(&mut document);
    let schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    simplify(&mut document, &schemas);
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.remove("DateTime");
    }
    document
}

/// `detail` is one sentence, or all that is wrong with a request.
fn describe_detail(document: &mut Value) {
    let detail = &mut document["components"]["schemas"]["Problem"]["properties"]["detail"];
    let findings = json!({"type": "array", "items": {"$ref": "#/components/schemas/ValidationError"}});
    detail["anyOf"] = json!([{"type": "string"}, findings]);
}

/// Writes a date-time where it stands instead of naming it, and the members of an object that is put together from others in one
/// list; parts texts from null; takes the marks of links out of descriptions.
fn simplify(value: &mut Value, schemas: &Map<String, Value>) {
    match value {
        Value::Object(members) => {
            if members.get("$ref").is_some_and(|name| name == DATE_TIME) {
                members.remove("$ref");
                members.insert("type".to_owned(), json!("string"));
                members.insert("format".to_owned(), json!("date-time"));
            }
            part_from_null(members);
            if let Some(parts) = members.get("allOf").and_then(Value::as_array).cloned() {
                join(members, &parts, schemas);
            }
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            members.values_mut().for_each(|member| simplify(member, schemas));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| simplify(item, schemas)),
        _ => {}
    }
}

/// A text of a certain form, or null: two schemas, because generators take the form for null's, too, or for nobody's.
fn part_from_null(members: &mut Map<String, Value>) {
    if members.get("type") != Some(&json!(["string", "null"])) {
        return;
    }
    let forms = ["format", "pattern"].map(|name| (name.to_owned(), members.remove(name)));
    let mut text: Map<_, _> = forms.into_iter().filter_map(|(name, form)| Some((name, form?))).collect();
    if !text.is_empty() {
        text.insert("type".to_owned(), json!("string"));
        members.remove("type");
        members.insert("anyOf".to_owned(), json!([text, {"type": "null"}]));
    }
}

/// Makes one object of `parts`, some of which are only named.
fn join(whole: &mut Map<String, Value>, parts: &[Value], schemas: &Map<String, Value>) {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in parts {
        let name = part["$ref"].as_str().and_then(|name| name.strip_prefix(SCHEMAS));
        let part = name.and_then(|name| schemas.get(name)).unwrap_or(part);
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    whole.remove("allOf");
    whole.insert("type".to_owned(), json!("object"));
    whole.insert("properties".to_owned(), Value::Object(properties));
    whole.insert("required".to_owned(), Value::Array(required));
}

/// Adds to an operation what follows from its form.
fn complete(operation: &mut Map<String, Value>) {
    let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
    describe(operation, title(&id));
    accept_api_keys(operation);
    unwrap_optional_body(operation);
    refuse_empty_segments(operation);
    let common = refusals(operation);
    let is_signed = names_scheme(operation, "jitsi") || names_scheme(operation, "whereby");
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    for (status, description) in common {
        responses.entry(status).or_insert_with(|| json!({"description": description}));
    }
    for (status, response) in responses.iter_mut().filter(|(status, _)| status.as_str() >= "400") {
        let schema = if status == "422" && !is_signed { "HTTPValidationError" } else { "Problem" };
        let content = json!({PROBLEM_JSON: {"schema": {"$ref": format!("{SCHEMAS}{schema}")}}});
        if let Some(response) = response.as_object_mut() {
            response.entry("content").or_insert(content);
        }
    }
    // In the order of their numbers.
    let mut sorted: Vec<_> = std::mem::take(responses).into_iter().collect();
    sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
    responses.extend(sorted);
}

/// Generated clients show the summary; it is the one they know. What the handler says of itself is the description.
fn describe(operation: &mut Map<String, Value>, title: String) {
    let said: Vec<_> =
        ["summary", "description"].iter().filter_map(|key| operation.get(*key)?.as_str()).collect();
    let said = said.join("\n\n");
    operation.insert("summary".to_owned(), Value::String(title));
    if !said.is_empty() {
        operation.insert("description".to_owned(), Value::String(said));
    }
}

/// `v1_rooms_list` as `Rooms List`.
fn title(operation_id: &str) -> String {
    let words = operation_id.strip_prefix("v1_").unwrap_or(operation_id).split('_');
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect::<String>())
            .unwrap_or_default()
    };
    words.map(capital).collect::<Vec<_>>().join(" ")
}

fn names_scheme(operation: &Map<String, Value>, scheme: &str) -> bool {
    let security = operation.get("security").and_then(Value::as_array);
    security.is_some_and(|schemes| schemes.iter().any(|one| one.get(scheme).is_some()))
}

fn accept_api_keys(operation: &mut Map<String, Value>) {
    if names_scheme(operation, "bearer")
        && let Some(schemes) = operation.get_mut("security").and_then(Value::as_array_mut)
    {
        schemes.push(json!({"APIKeyHeader": []}));
    }
}

/// A body that may be missing is not one that may be null.
fn unwrap_optional_body(operation: &mut Map<String, Value>) {
    let schema =
        operation.get_mut("requestBody").map(|body| &mut body["content"]["application/json"]["schema"]);
    if let Some(schema) = schema
        && let Some(content) =
            schema["oneOf"].as_array().and_then(|forms| forms.iter().find(|form| form["$ref"].is_string()))
    {
        *schema = content.clone();
    }
}

/// A path with an empty segment is another path.
fn refuse_empty_segments(operation: &mut Map<String, Value>) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten().filter(|parameter| parameter["in"] == "path") {
        parameter["schema"]["minLength"] = json!(1);
    }
}

/// The refusals that an operation of this form has.
fn refusals(operation: &Map<String, Value>) -> Vec<(&'static str, &'static str)> {
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let has = |place: &str| parameters.is_some_and(|all| all.iter().any(|one| one["in"] == *place));
    let has_body = operation.contains_key("requestBody");
    let rules = [
        (operation.contains_key("security"), "401", "The caller is not known, or the signature is wrong"),
        (has("path"), "404", "There is no such thing"),
        (has_body, "413", "The body is too large"),
        (has_body, "415", "The body is of another content type"),
        (has_body || has("query"), "422", "The request is not valid"),
        (true, "429", "Too many requests; `Retry-After` says when to come back"),
        (true, "500", "The server failed; its log says why"),
        (true, "503", "Something that the server needs does not answer; try again after `Retry-After`"),
    ];
    rules.into_iter().filter_map(|(applies, status, text)| applies.then_some((status, text))).collect()
}

#[cfg(test)]
mod tests;
