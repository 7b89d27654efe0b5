//! Google: the Gemini API, and Vertex AI with the publishers it serves.

use serde_json::Value;

use super::faults::on;
use super::{NO_HINTS, NO_MARKS, NO_THOUGHTS, ROLES, place};
use crate::call::{Fault, Op};
use crate::config::Invalid;
use crate::providers::auth;
use crate::providers::rework::{embeddings, mistral, params};
use crate::providers::settings::Settings;
use crate::providers::spec::Edit;
use crate::providers::spec::Edit::{Mentions, Messages, When};
use crate::providers::spec::{
    Auth, Desk, Discover, FaultRule, Jobs, Listing, Owns, Pages, Place, Root, Spec, Way, may, need,
};
use crate::wire::anthropic::Hosting;
use crate::wire::extras::google;
use crate::wire::gemini::{Host, embeddings::takes_one, takes_address};
use crate::wire::{Dialect, Extra, Native};

/// <https://ai.google.dev/gemini-api/docs/troubleshooting>; a bad key is answered 400.
const FAULTS: &[FaultRule] = &[
    on(400, "API key not valid", Fault::Auth),
    on(400, "API key expired", Fault::Auth),
    on(400, "location is not supported", Fault::Auth),
    on(400, "input token count", Fault::ContextLength),
    on(499, "", Fault::Server),
];

/// How Google's lists go on.
const TOKEN: Pages = Pages::Token("nextPageToken", "pageToken");

/// Where images are asked for: predictions of Imagen, content of Gemini.
fn image_way(model: &str, paths: [&'static str; 2]) -> Option<Way> {
    let path = paths[usize::from(google::predicts(model))];
    Some(Way { dialect: Dialect::Native(Native::Extra(Extra::GoogleImage)), path })
}

fn gemini_way(op: Op, model: &str, stream: bool, _: &Settings) -> Option<Way> {
    if op == Op::Image {
        return image_way(model, ["/models/{model}:generateContent", "/models/{model}:predict"]);
    }
    let native = match op {
        Op::Chat => Native::Gemini(Host::Api),
        Op::Transcribe | Op::Translate => Native::Extra(Extra::GoogleTranscript(Host::Api)),
        _ => return None,
    };
    let path = "/models/{model}:streamGenerateContent?alt=sse";
    stream.then_some(Way { dialect: Dialect::Native(native), path })
}

/// The id alone, where the caller gives the resource's name.
fn gemini_model(model: &str, _: Op, _: &Settings) -> Option<String> {
    model.strip_prefix("models/").map(str::to_owned)
}

/// <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/api/models>.
pub(super) static GEMINI: Spec = Spec {
    aliases: &["google"],
    auth: Auth::KeyOrToken("x-goog-api-key"),
    ops: &[
        (Op::Chat, "/models/{model}:generateContent"),
        (Op::Embed, "/models/{model}:batchEmbedContents"),
        (Op::Image, "/models/{model}:predict"),
        (Op::Speech, "/models/{model}:generateContent"),
        (Op::Transcribe, "/models/{model}:generateContent"),
        (Op::Translate, "/models/{model}:generateContent"),
        (Op::File, "/files"),
        (Op::Batch, "/batches"),
    ],
    jobs: Some(Jobs::Gemini),
    extras: &[
        (Op::Speech, Extra::GoogleSpeech),
        (Op::Transcribe, Extra::GoogleTranscript(Host::Api)),
        (Op::Translate, Extra::GoogleTranscript(Host::Api)),
    ],
    ways: Some(gemini_way),
    fetches: Some(|model, _, url| !takes_address(model, url)),
    batch: Some(|_| 100),
    floats_only: true,
    model: gemini_model,
    faults: FAULTS,
    discover: Discover::Lists(&[Listing::of("/models?pageSize=1000", "models", "name").paged(TOKEN)]),
    owns: Owns::Prefixes(&["gemini-", "gemma-", "imagen-", "veo-", "learnlm-", "text-embedding-004", "embedding-001"]),
    docs: "https://ai.google.dev/api/generate-content",
    hint: "check GEMINI_API_KEY: a key of Google AI Studio",
    ..Spec::native(
        Native::Gemini(Host::Api),
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        &[need("api_key", &["GEMINI_API_KEY", "GOOGLE_API_KEY"]), may("base_url", &["GEMINI_BASE_URL"])],
    )
};

/// The path below which everything of a project stands, and that of keys that belong to no project.
const EXPRESS: &str = "/v1";

fn plain(text: &str, more: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || more.contains(c))
}

/// <https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations>
fn vertex(settings: &Settings) -> Result<Place, Invalid> {
    let region = settings.get("region").unwrap_or("global");
    if !plain(region, "") {
        return Err(Invalid::at(
            "options.region".to_owned(),
            "must be a region, as europe-west4, eu or global".to_owned(),
        ));
    }
    let own = settings.get("project_id").map(str::to_owned);
    // a key alone is good for its own project only
    let keyed = settings.get("api_key").is_some_and(|key| !key.is_empty());
    let project = own.or_else(|| auth::google_project(settings).filter(|_| !keyed));
    let host = match region {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("https://aiplatform.{region}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    };
    let below = match &project {
        Some(project) if plain(project, ":._") => format!("{EXPRESS}/projects/{project}/locations/{region}"),
        Some(_) => {
            return Err(Invalid::at("options.project_id".to_owned(), "must be a project's id or number".to_owned()));
        }
        None if keyed => EXPRESS.to_owned(),
        None => {
            let why = "missing; set VERTEX_AI_PROJECT_ID in the environment or `project_id` at the target";
            return Err(Invalid::at("options.project_id".to_owned(), why.to_owned()));
        }
    };
    match settings.get("base_url") {
        // an address with a path of its own is the whole root
        Some(given) => place("base_url", given.trim_end_matches('/').trim_end_matches(EXPRESS), &below),
        None => Ok(Place { base: format!("{host}{below}"), query: None }),
    }
}

/// Who publishes a model, as far as its name tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Publisher {
    Google,
    Anthropic,
    Mistral,
    /// A tuned model behind an endpoint of its own.
    Endpoint,
    /// Llama, Qwen, DeepSeek and others: all behind one address that speaks OpenAI.
    Others,
}

const GOOGLES: &[&str] =
    &["gemini", "gemma", "imagen", "text-embedding-", "text-multilingual-embedding-", "multimodalembedding"];
const MISTRALS: &[&str] = &["mistral", "codestral", "ministral"];

/// The publisher, and the name below it.
fn published(model: &str) -> (Publisher, &str) {
    let model = model.strip_prefix("publishers/").map_or(model, |rest| rest);
    if let Some(id) = model.strip_prefix("endpoints/").filter(|id| *id != "openapi") {
        return (Publisher::Endpoint, id);
    }
    let (owner, name) = match model.split_once('/') {
        Some((owner, rest)) => (Some(owner), rest.strip_prefix("models/").unwrap_or(rest)),
        None => (None, model),
    };
    let begins = |with: &[&str]| with.iter().any(|prefix| name.starts_with(prefix));
    match owner {
        Some("google") if !name.ends_with("-maas") => (Publisher::Google, name),
        Some("anthropic") => (Publisher::Anthropic, name),
        Some("mistralai") if !name.ends_with("-maas") => (Publisher::Mistral, name),
        None if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) => (Publisher::Endpoint, name),
        None if begins(GOOGLES) => (Publisher::Google, name),
        None if begins(&["claude"]) => (Publisher::Anthropic, name),
        None if begins(MISTRALS) => (Publisher::Mistral, name),
        _ => (Publisher::Others, model),
    }
}

/// Whether Gemini is asked through the address that speaks OpenAI, too, as the reference does.
fn by_openapi(settings: &Settings) -> bool {
    settings.get("gemini_surface") == Some("openapi")
}

/// Where Google ranks, which is the same for all regions: <https://cloud.google.com/generative-ai-app-builder/docs/ranking>.
const DISCOVERY: &str = "https://discoveryengine.googleapis.com";
const RANKING: &str = "https://discoveryengine.googleapis.com/v1/projects/{project}/locations/global/rankingConfigs/default_ranking_config:rank";

/// Where models of many publishers are asked alike.
const OPENAPI: &str = "/endpoints/openapi/chat/completions";

fn vertex_way(op: Op, model: &str, stream: bool, settings: &Settings) -> Option<Way> {
    let hears = matches!(op, Op::Transcribe | Op::Translate);
    let native = |path| {
        let transcript = Native::Extra(Extra::GoogleTranscript(Host::Vertex));
        let native = if hears { transcript } else { Native::Gemini(Host::Vertex) };
        Some(Way { dialect: Dialect::Native(native), path })
    };
    let openai = |path| Some(Way { dialect: Dialect::OpenAi, path });
    let (publisher, name) = published(model);
    match (op, publisher) {
        (Op::Image, _) => image_way(
            name,
            ["/publishers/google/models/{model}:generateContent", "/publishers/google/models/{model}:predict"],
        ),
        // as the row's extras say
        (Op::Speech | Op::Rerank, _) => None,
        (Op::Embed, _) if takes_one(name) => native("/publishers/google/models/{model}:embedContent"),
        (Op::Embed, _) => native("/publishers/google/models/{model}:predict"),
        // only Google's own hear, so the usual place is as good as any to be told so
        (Op::Transcribe | Op::Translate, Publisher::Anthropic | Publisher::Mistral | Publisher::Others) => None,
        (_, Publisher::Google) if by_openapi(settings) && !hears => openai(OPENAPI),
        (_, Publisher::Google) if stream => native("/publishers/google/models/{model}:streamGenerateContent?alt=sse"),
        (_, Publisher::Google) => native("/publishers/google/models/{model}:generateContent"),
        (_, Publisher::Endpoint) if stream => native("/endpoints/{model}:streamGenerateContent?alt=sse"),
        (_, Publisher::Endpoint) => native("/endpoints/{model}:generateContent"),
        (_, Publisher::Anthropic) => Some(Way {
            dialect: Dialect::Native(Native::Anthropic(Hosting::Vertex)),
            path: match stream {
                true => "/publishers/anthropic/models/{model}:streamRawPredict",
                false => "/publishers/anthropic/models/{model}:rawPredict",
            },
        }),
        (_, Publisher::Mistral) if stream => openai("/publishers/mistralai/models/{model}:streamRawPredict"),
        (_, Publisher::Mistral) => openai("/publishers/mistralai/models/{model}:rawPredict"),
        (_, Publisher::Others) => openai(OPENAPI),
    }
}

fn vertex_model(model: &str, op: Op, settings: &Settings) -> Option<String> {
    let (publisher, name) = published(model);
    let name = match publisher {
        Publisher::Google if by_openapi(settings) && op == Op::Chat => format!("google/{name}"),
        _ => name.to_owned(),
    };
    (name != model).then_some(name)
}

fn is_mistral(model: &str) -> bool {
    published(model).0 == Publisher::Mistral
}

fn is_others(model: &str) -> bool {
    published(model).0 == Publisher::Others || model.starts_with("google/")
}

/// What hosts of open models take: <https://cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis>.
const OTHERS: &[Edit] = &[ROLES, NO_MARKS, NO_THOUGHTS, NO_HINTS, super::MAX_TOKENS];

/// <https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/mistral>
const MISTRAL: &[Edit] = &[
    ROLES,
    NO_MARKS,
    NO_THOUGHTS,
    NO_HINTS,
    Mentions(
        &["\"assistant\"", "\"tool\""],
        &[Messages(mistral::tool_names), Messages(mistral::short_ids), Messages(mistral::prefix)],
    ),
    Edit::Body(params::any_for_required),
    super::MAX_TOKENS,
    Edit::Rename("seed", "random_seed"),
    // the schema forbids what it does not know
    Edit::Lacks(&["user", "safety_identifier", "logit_bias", "logprobs", "top_logprobs", "store", "service_tier"]),
    Edit::Drop(&["stream_options"]),
];

/// Lists belong to no project: who asks as a user has to say whose quota it is, and a service account may not be allowed to.
fn vertex_desk(place: &Place, settings: &Settings) -> Result<Desk, Invalid> {
    let header = settings.get("project_id").map(|project| ("x-goog-user-project", project.to_owned()));
    Ok(Desk { base: place.base.clone(), header })
}

/// <https://cloud.google.com/vertex-ai/docs/reference/rest/v1beta1/publishers.models/list>
const fn published_by(path: &'static str) -> Listing {
    Listing::of(path, "publisherModels", "name").paged(TOKEN)
}

/// Of the models of other publishers those that are served without being deployed first, as calls name them.
fn maas(model: &Value, _: &Settings) -> Vec<String> {
    let name = model.get("name").and_then(Value::as_str).and_then(|name| name.strip_prefix("publishers/"));
    let called = name.and_then(|name| name.split_once("/models/")).filter(|(_, model)| model.ends_with("-maas"));
    called.map(|(publisher, model)| format!("{publisher}/{model}")).into_iter().collect()
}

/// <https://cloud.google.com/vertex-ai/docs/reference/rest>. What one publisher's models take, another's do not.
pub(super) static VERTEX: Spec = Spec {
    aliases: &["vertex_ai", "vertex"],
    root: Root::By(vertex),
    any_of: &["api_key", "service_account_json", "project_id"],
    auth: Auth::KeyOrGoogle("x-goog-api-key"),
    asks_usage: true,
    ops: &[
        (Op::Chat, "/publishers/google/models/{model}:generateContent"),
        (Op::Embed, "/publishers/google/models/{model}:predict"),
        (Op::Image, "/publishers/google/models/{model}:predict"),
        (Op::Speech, "/publishers/google/models/{model}:generateContent"),
        (Op::Rerank, RANKING),
        (Op::Transcribe, "/publishers/google/models/{model}:generateContent"),
        (Op::Translate, "/publishers/google/models/{model}:generateContent"),
        (Op::File, "/batchPredictionJobs"),
        (Op::Batch, "/batchPredictionJobs"),
    ],
    jobs: Some(Jobs::Vertex),
    hosts: &[DISCOVERY],
    extras: &[
        (Op::Speech, Extra::GoogleSpeech),
        (Op::Rerank, Extra::GoogleRerank),
        (Op::Transcribe, Extra::GoogleTranscript(Host::Vertex)),
        (Op::Translate, Extra::GoogleTranscript(Host::Vertex)),
    ],
    ways: Some(vertex_way),
    // Claude alone: <https://platform.claude.com/docs/en/build-with-claude/vision>
    fetches: Some(|model, _, _| published(model).0 == Publisher::Anthropic),
    batch: Some(|model| match published(model).1 {
        name if takes_one(name) || name.starts_with("gemini-embedding") => 1,
        _ => 250,
    }),
    floats_only: true,
    model: vertex_model,
    headers: &[("x-goog-user-project", "quota_project")],
    edits: &[When(is_mistral, MISTRAL), When(is_others, OTHERS)],
    embeds: &[Edit::Body(embeddings::text_only)],
    faults: FAULTS,
    discover: Discover::By(
        vertex_desk,
        &[
            published_by("//v1beta1/publishers/google/models?pageSize=300"),
            published_by("//v1beta1/publishers/anthropic/models?pageSize=300"),
            published_by("//v1beta1/publishers/mistralai/models?pageSize=300"),
            published_by("//v1beta1/publishers/meta/models?pageSize=300").called(maas),
        ],
    ),
    owns: Owns::Prefixes(&["google/", "publishers/", "endpoints/", "semantic-ranker-"]),
    docs: "https://cloud.google.com/vertex-ai/docs/reference/rest",
    hint: "check VERTEX_AI_PROJECT_ID and the credential: a service account needs the role `Vertex AI User` there; a model \
           that exists and is not found stands in another region",
    ..Spec::native(
        Native::Gemini(Host::Vertex),
        "vertex-ai",
        "",
        &[
            may("api_key", &["VERTEX_AI_API_KEY"]),
            may("service_account_json", &["VERTEX_AI_SERVICE_ACCOUNT_JSON"]),
            may("project_id", &["VERTEX_AI_PROJECT_ID", "GOOGLE_CLOUD_PROJECT"]),
            may("region", &["VERTEX_AI_REGION", "GOOGLE_CLOUD_LOCATION"]),
            may("base_url", &[]),
            may("gemini_surface", &[]),
            // of Claude, where a request does not say
            may("max_tokens", &[]),
            may("credentials_file", &["GOOGLE_APPLICATION_CREDENTIALS"]),
            may("cloudsdk_config", &["CLOUDSDK_CONFIG"]),
            may("appdata", &["APPDATA"]),
            may("home", &["HOME"]),
            may("metadata_host", &["GCE_METADATA_HOST"]),
            may("metadata_server", &[]),
            may("token_host", &[]),
            may("quota_project", &["GOOGLE_CLOUD_QUOTA_PROJECT"]),
            may("batch_bucket", &["VERTEX_BATCH_BUCKET"]),
            may("storage_endpoint", &["STORAGE_EMULATOR_HOST"]),
        ],
    )
};
