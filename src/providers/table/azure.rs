//! Microsoft Azure: Azure OpenAI on both of its surfaces, and AI Foundry.

use super::faults::on;
use super::openai::{OWN_NAMES, SEARCHERS_LACK};
use super::usual::{
    BATCH, CHAT, COMPLETE, EMBED, FILE, IMAGE, IMAGE_EDIT, PASS, REALTIME, RESPOND, SPEECH, STORED, TRANSCRIBE,
    TRANSLATE,
};
use super::{NO_EVENTS, NO_HINTS, given, place, thinks_aloud, tts_1};
use crate::call::{Fault, Op};
use crate::config::Invalid;
use crate::providers::rework::{generations, images};
use crate::providers::settings::Settings;
use crate::providers::spec::Edit::{Body, Lacks, When};
use crate::providers::spec::{Auth, Discover, Owns, Place, Root, Spec, Var, Way, may, need};
use crate::wire::{Dialect, Native};

/// The version of Azure OpenAI's API that the reference calls, too: general availability.
const VERSION: &str = "2024-10-21";

/// Where Entra tokens come from; the names are those of Azure's own SDKs.
const TENANT: Var = may("tenant_id", &["AZURE_TENANT_ID"]);
const CLIENT: Var = may("client_id", &["AZURE_CLIENT_ID"]);
const SECRET: Var = may("client_secret", &["AZURE_CLIENT_SECRET"]);
const TOKEN_FILE: Var = may("token_file", &["AZURE_FEDERATED_TOKEN_FILE"]);
const AUTHORITY: Var = may("authority", &["AZURE_AUTHORITY_HOST"]);
const IDENTITY: Var = may("identity_endpoint", &["IDENTITY_ENDPOINT"]);
const IDENTITY_HEADER: Var = may("identity_header", &["IDENTITY_HEADER"]);
const METADATA: Var = may("metadata_host", &["AZURE_POD_IDENTITY_AUTHORITY_HOST"]);
const MANAGED: Var = may("managed_identity", &[]);

/// What authorises requests; a managed identity of App Service announces itself by its header.
const ANY_OF: &[&str] = &["api_key", "ad_token", "client_secret", "token_file", "identity_header", "managed_identity"];

/// Whether requests go to a deployment's own address; else the model in the body is the deployment.
fn by_deployment(settings: &Settings) -> Result<bool, Invalid> {
    match settings.get("surface") {
        Some("deployments") => Ok(true),
        Some("v1") => Ok(false),
        None | Some("auto") => Ok(match settings.get("api_version") {
            Some("v1" | "preview" | "latest") => false,
            Some(_) => true,
            None => settings.get("deployment").is_some(),
        }),
        Some(_) => Err(Invalid::at("options.surface".to_owned(), "must be auto, deployments or v1".to_owned())),
    }
}

fn openai(settings: &Settings) -> Result<Place, Invalid> {
    if let Some(given) = given(settings, "/openai/v1") {
        return given;
    }
    let endpoint = settings.get("endpoint").unwrap_or_default();
    // some paste the whole address of a deployment
    let endpoint = endpoint.split_once("/openai").map_or(endpoint, |(before, _)| before);
    let Place { base, .. } = place("endpoint", endpoint, "")?;
    let version = settings.get("api_version");
    if by_deployment(settings)? {
        let query = format!("api-version={}", version.unwrap_or(VERSION));
        return Ok(Place { base: format!("{base}/openai/deployments/{{model}}"), query: Some(query) });
    }
    let query = version.filter(|version| matches!(*version, "preview" | "latest"));
    Ok(Place { base: format!("{base}/openai/v1"), query: query.map(|version| format!("api-version={version}")) })
}

/// The configured deployment answers every chat, as in the reference; the other operations name theirs as the model.
fn deployment(_: &str, op: Op, settings: &Settings) -> Option<String> {
    matches!(op, Op::Chat | Op::Complete | Op::Respond).then(|| settings.get("deployment").map(str::to_owned)).flatten()
}

/// What is stored, the Responses API and everything else that is passed on are on the newer surface alone, which takes no
/// dated version.
fn openai_ways(op: Op, _: &str, _: bool, settings: &Settings) -> Option<Way> {
    let path = match op {
        Op::Respond | Op::Stored => "//openai/v1/responses",
        Op::File => "//openai/v1/files",
        Op::Batch => "//openai/v1/batches",
        Op::Realtime => "//openai/v1/realtime",
        Op::Pass => "//openai/v1",
        _ => return None,
    };
    let apart = settings.get("base_url").is_none() && by_deployment(settings).unwrap_or_default();
    apart.then_some(Way { dialect: Dialect::OpenAi, path })
}

/// <https://learn.microsoft.com/azure/ai-services/openai/reference>, <https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>,
/// <https://learn.microsoft.com/azure/foundry/openai/how-to/realtime-audio-websockets>.
/// `GET /models` lists what could be deployed, not what is, so the deployment is all that is known.
pub(super) static OPENAI: Spec = Spec {
    aliases: &["azure_openai", "azure"],
    root: Root::By(openai),
    any_of: ANY_OF,
    auth: Auth::KeyOrEntra("api-key", "https://cognitiveservices.azure.com/.default"),
    ops: &[
        CHAT, COMPLETE, EMBED, RESPOND, STORED, IMAGE, IMAGE_EDIT, SPEECH, TRANSCRIBE, TRANSLATE, FILE, BATCH,
        REALTIME, PASS,
    ],
    // <https://learn.microsoft.com/en-us/azure/foundry/openai/how-to/websockets>
    talks: true,
    ways: Some(openai_ways),
    model: deployment,
    lists: &["deployment"],
    others: &[
        (Op::Image, &[When(generations::draws, &[Body(images::always_base64)])]),
        (Op::Speech, &[When(tts_1, &[NO_EVENTS])]),
    ],
    edits: &[Body(generations::azure), When(generations::searches, &[Lacks(SEARCHERS_LACK)])],
    faults: &[
        on(400, "ResponsibleAIPolicyViolation", Fault::ContentPolicy),
        on(404, "DeploymentNotFound", Fault::NotFound),
        on(429, "NoCapacity", Fault::Overloaded),
        on(0, "invalid subscription key or wrong API endpoint", Fault::Auth),
    ],
    discover: Discover::Known(&[]),
    owns: Owns::Prefixes(OWN_NAMES),
    docs: "https://learn.microsoft.com/azure/ai-services/openai/reference",
    hint: "check AZURE_OPENAI_API_KEY and AZURE_OPENAI_ENDPOINT: a key belongs to one resource; an Entra identity needs the \
           role `Cognitive Services OpenAI User` there",
    ..Spec::openai(
        "azure-openai",
        "",
        &[
            may("api_key", &["AZURE_OPENAI_API_KEY"]),
            need("endpoint", &["AZURE_OPENAI_ENDPOINT"]),
            may("base_url", &[]),
            may("deployment", &["AZURE_OPENAI_DEPLOYMENT"]),
            may("api_version", &["AZURE_OPENAI_API_VERSION"]),
            may("surface", &[]),
            may("base_model", &[]),
            may("ad_token", &["AZURE_OPENAI_AD_TOKEN"]),
            TENANT,
            CLIENT,
            SECRET,
            TOKEN_FILE,
            AUTHORITY,
            IDENTITY,
            IDENTITY_HEADER,
            METADATA,
            MANAGED,
        ],
    )
};

/// Serverless endpoints have a host for each model, and no `/openai` below it.
const SERVERLESS: &str = ".models.ai.azure.com";

fn is_serverless(base: &str) -> bool {
    let authority = base.split_once("://").map_or(base, |(_, rest)| rest).split('/').next().unwrap_or_default();
    authority.split(':').next().is_some_and(|host| host.ends_with(SERVERLESS))
}

fn foundry(settings: &Settings) -> Result<Place, Invalid> {
    if let Some(given) = given(settings, "/openai/v1") {
        return given;
    }
    let endpoint = settings.get("endpoint").unwrap_or_default();
    if is_serverless(endpoint) {
        return place("endpoint", endpoint, "/v1");
    }
    // projects and the older inference route stand below the same resource
    let cut = |at: &str| endpoint.find(at);
    let end =
        [cut("/openai"), cut("/models"), cut("/api/projects")].into_iter().flatten().min().unwrap_or(endpoint.len());
    let Place { base, .. } = place("endpoint", &endpoint[..end], "")?;
    let query = settings.get("api_version").filter(|version| matches!(*version, "preview" | "latest"));
    Ok(Place { base: format!("{base}/openai/v1"), query: query.map(|version| format!("api-version={version}")) })
}

fn foundry_auth(place: &Place) -> Auth {
    match is_serverless(&place.base) {
        true => Auth::Bearer,
        false => Auth::KeyOrEntra("api-key", "https://ai.azure.com/.default"),
    }
}

/// Where a resource ranks: its deployments of Cohere's models are asked in Cohere's own form.
const COHERE_RERANK: &str = "//providers/cohere/v2/rerank";

/// <https://docs.cohere.com/docs/cohere-on-microsoft-azure>, <https://learn.microsoft.com/azure/ai-studio/how-to/deploy-models-cohere-rerank>
fn foundry_way(op: Op, _: &str, _: bool, settings: &Settings) -> Option<Way> {
    let given = settings.get("base_url").or(settings.get("endpoint")).unwrap_or_default();
    let path = if is_serverless(given) { "//v2/rerank" } else { COHERE_RERANK };
    (op == Op::Rerank).then_some(Way { dialect: Dialect::Native(Native::Cohere), path })
}

/// <https://learn.microsoft.com/azure/ai-foundry/foundry-models/how-to/use-chat-completions>. Any deployment of any
/// vendor's model: what it takes follows from the model, and the service leaves out what it does not know. A dated
/// `AZURE_FOUNDRY_API_VERSION` belongs to the older inference route and is read without effect.
pub(super) static FOUNDRY: Spec = Spec {
    aliases: &["azure_foundry", "azure_ai"],
    root: Root::By(foundry),
    any_of: ANY_OF,
    auth: Auth::By(foundry_auth),
    ops: &[
        CHAT,
        EMBED,
        RESPOND,
        STORED,
        IMAGE,
        IMAGE_EDIT,
        SPEECH,
        TRANSCRIBE,
        TRANSLATE,
        (Op::Rerank, COHERE_RERANK),
        FILE,
        BATCH,
        REALTIME,
        PASS,
    ],
    talks: true,
    ways: Some(foundry_way),
    fixed_headers: &[("extra-parameters", "drop")],
    edits: &[Body(generations::azure), NO_HINTS],
    lacks: &["service_tier", "prediction", "modalities", "audio"],
    ignores: &["metadata", "store"],
    thinks_aloud,
    faults: &[
        on(400, "ResponsibleAIPolicyViolation", Fault::ContentPolicy),
        on(404, "DeploymentNotFound", Fault::NotFound),
        on(424, "", Fault::Server),
    ],
    discover: Discover::Known(&[]),
    owns: Owns::Any,
    docs: "https://learn.microsoft.com/azure/ai-foundry/foundry-models/how-to/use-chat-completions",
    hint: "check AZURE_FOUNDRY_API_KEY and AZURE_FOUNDRY_ENDPOINT: a key belongs to one resource",
    ..Spec::openai(
        "azure-foundry",
        "",
        &[
            may("api_key", &["AZURE_FOUNDRY_API_KEY"]),
            need("endpoint", &["AZURE_FOUNDRY_ENDPOINT"]),
            may("base_url", &[]),
            may("api_version", &["AZURE_FOUNDRY_API_VERSION"]),
            may("base_model", &[]),
            may("ad_token", &["AZURE_FOUNDRY_AD_TOKEN"]),
            TENANT,
            CLIENT,
            SECRET,
            TOKEN_FILE,
            AUTHORITY,
            IDENTITY,
            IDENTITY_HEADER,
            METADATA,
            MANAGED,
        ],
    )
};
