//! Amazon Web Services: Bedrock.

use serde_json::Value;

use super::faults::on;
use super::{given, place};
use crate::call::{Fault, Op};
use crate::config::Invalid;
use crate::providers::auth::aws::region;
use crate::providers::rework::bedrock::target_options;
use crate::providers::settings::Settings;
use crate::providers::spec::Edit::Body;
use crate::providers::spec::{Auth, Desk, Discover, Jobs, Listing, Owns, Pace, Pages, Place, Root, Spec, Way, may};
use crate::wire::jobs::s3::Store;
use crate::wire::{Dialect, Native};

/// <https://docs.aws.amazon.com/general/latest/gr/bedrock.html>
fn bedrock(settings: &Settings) -> Result<Place, Invalid> {
    batches(settings)?;
    if let Some(given) = given(settings, "") {
        return given;
    }
    let region = region(settings);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty() || !region.bytes().all(plain) {
        return Err(Invalid::at("region".to_owned(), format!("`{region}` is no region: it must look like us-east-1")));
    }
    let on = |setting| settings.get(setting) == Some("true");
    let fips = if on("fips") { "-fips" } else { "" };
    let domain = match (on("dual_stack"), region.starts_with("cn-")) {
        (true, false) => "api.aws",
        (true, true) => "api.amazonwebservices.com.cn",
        (false, false) => "amazonaws.com",
        (false, true) => "amazonaws.com.cn",
    };
    Ok(Place { base: format!("https://bedrock-runtime{fips}.{region}.{domain}"), query: None })
}

/// What batches need, judged where it is given: <https://docs.aws.amazon.com/bedrock/latest/userguide/batch-iam-sr.html>.
fn batches(settings: &Settings) -> Result<(), Invalid> {
    let given = |setting: &str| settings.get(setting).filter(|value| !value.is_empty());
    let at = |setting: &str, why: String| Invalid::at(format!("options.{setting}"), why);
    if let Some(bucket) = given("batch_bucket") {
        Store::read(bucket).map_err(|why| at("batch_bucket", why.to_owned()))?;
    }
    if let Some(role) = given("batch_role") {
        let parts: Vec<_> = role.splitn(6, ':').collect();
        let [arn, partition, "iam", "", account, name] = parts[..] else {
            return Err(at(
                "batch_role",
                "must be the ARN of a role, as arn:aws:iam::111122223333:role/Batch".to_owned(),
            ));
        };
        let numbered = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        if arn != "arn" || !partition.starts_with("aws") || !numbered || !name.starts_with("role/") {
            return Err(at(
                "batch_role",
                "must be the ARN of a role, as arn:aws:iam::111122223333:role/Batch".to_owned(),
            ));
        }
    }
    given("s3_endpoint").map(|endpoint| place("options.s3_endpoint", endpoint, "")).transpose()?;
    Ok(())
}

/// Where a model is asked in its vendor's own words.
const INVOKE: &str = "/model/{model}/invoke";

/// Texts that one request for embeddings may have.
fn texts(model: &str) -> usize {
    if model.contains("cohere.embed") { 96 } else { 1 }
}

/// With `auto_profile: us`, a foundation model's chats are asked for by the inference profile of that geography: newer models
/// serve no other.
fn profile(model: &str, op: Op, settings: &Settings) -> Option<String> {
    let geography = settings.get("auto_profile").filter(|_| op == Op::Chat)?;
    let vendor = ["ai21", "amazon", "anthropic", "cohere", "deepseek", "meta", "mistral", "writer"];
    let plain = model.split_once('.').is_some_and(|(first, _)| vendor.contains(&first));
    plain.then(|| format!("{geography}.{model}"))
}

/// How its lists go on.
const TOKEN: Pages = Pages::Token("nextToken", "nextToken");

/// Where models are listed: at `control_url`, else at the host of the control plane that belongs to the runtime's. An
/// endpoint of a VPC (`vpce-….bedrock-runtime.…`) has an id that tells nothing of its neighbour's, so the usual name is
/// asked, which is inside the VPC where the other endpoint has private DNS. Any other address serves both.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/vpc-interface-endpoints.html>
fn control(runtime: &Place, settings: &Settings) -> Result<Desk, Invalid> {
    let at = |base: String| Ok(Desk { base, header: None });
    let own = settings.get("control_url").filter(|_| settings.gives("control_url") || !settings.gives("base_url"));
    if let Some(own) = own {
        return at(place("control_url", own, "")?.base);
    }
    let Some((scheme, rest)) = runtime.base.split_once("://") else { return at(runtime.base.clone()) };
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    for (runtime, control) in [("bedrock-runtime", "bedrock"), ("bedrock-runtime-fips", "bedrock-fips")] {
        if let Some(region) = host.strip_prefix(runtime).filter(|region| region.starts_with('.')) {
            return at(format!("{scheme}://{control}{region}"));
        }
        let inside = host.split_once(&format!(".{runtime}.")).map(|(_, below)| below);
        if let Some((region, domain)) = inside.and_then(|below| below.split_once(".vpce.")) {
            return at(format!("{scheme}://{control}.{region}.{domain}"));
        }
    }
    at(runtime.base.clone())
}

fn text<'a>(of: &'a Value, member: &str) -> Option<&'a str> {
    of.get(member).and_then(Value::as_str)
}

/// A foundation model, if it can be asked for by its own name: with `auto_profile`, also one that is only served by
/// profiles. <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_FoundationModelSummary.html>
fn foundation(model: &Value, settings: &Settings) -> Vec<String> {
    let by_profile = settings.get("auto_profile").is_some();
    let ways: Option<Vec<&str>> = model
        .get("inferenceTypesSupported")
        .and_then(Value::as_array)
        .map(|ways| ways.iter().filter_map(Value::as_str).collect());
    let fits = |way: &&str| *way == "ON_DEMAND" || (by_profile && *way == "INFERENCE_PROFILE");
    let callable = ways.is_none_or(|ways| ways.is_empty() || ways.iter().any(fits));
    text(model, "modelId").filter(|_| callable).map(str::to_owned).into_iter().collect()
}

/// A profile: AWS' own by its id, one of the account's by its ARN, which is all it can be asked for by.
/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_InferenceProfileSummary.html>
fn inference_profile(profile: &Value, _: &Settings) -> Vec<String> {
    let active = text(profile, "status").is_none_or(|status| status == "ACTIVE");
    let name = if text(profile, "type") == Some("APPLICATION") { "inferenceProfileArn" } else { "inferenceProfileId" };
    text(profile, name).filter(|_| active).map(str::to_owned).into_iter().collect()
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ProvisionedModelSummary.html>
fn provisioned(model: &Value, _: &Settings) -> Vec<String> {
    let serves = text(model, "status").is_none_or(|status| matches!(status, "InService" | "Updating"));
    text(model, "provisionedModelArn").filter(|_| serves).map(str::to_owned).into_iter().collect()
}

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>,
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>. Models are part of the
/// path, whatever form their ids have. Lists of models are another host's, and need permissions of their own.
pub(super) static BEDROCK: Spec = Spec {
    aliases: &["aws-bedrock", "amazon-bedrock"],
    root: Root::By(bedrock),
    any_of: &["api_key", "region", "access_key_id"],
    auth: Auth::BearerOrAws("bedrock"),
    ops: &[
        (Op::Chat, "/model/{model}/converse"),
        (Op::Embed, INVOKE),
        (Op::Image, INVOKE),
        (Op::Rerank, INVOKE),
        (Op::Respond, RESPONSES),
        (Op::File, JOBS),
        (Op::Batch, JOBS),
    ],
    jobs: Some(Jobs::Bedrock),
    ways: Some(streams),
    batch: Some(texts),
    fetches: Some(|_, _, _| true),
    model: profile,
    edits: &[Body(target_options)],
    floats_only: true,
    faults: &[
        on(400, "model identifier is invalid", Fault::NotFound),
        on(0, "content filtering policy", Fault::ContentPolicy),
        on(400, "too many input tokens", Fault::ContextLength),
        on(429, "too many tokens per day", Fault::Billing),
        on(400, "ServiceQuotaExceeded", Fault::RateLimited),
        on(0, "ModelNotReady", Fault::Overloaded),
        on(400, "ExpiredToken", Fault::Auth),
        on(400, "UnrecognizedClient", Fault::Auth),
        on(400, "InvalidSignature", Fault::Auth),
        on(400, "IncompleteSignature", Fault::Auth),
        on(400, "MissingAuthenticationToken", Fault::Auth),
        on(400, "AccessDenied", Fault::Auth),
        // of S3
        on(400, "InvalidToken", Fault::Auth),
        on(404, "UnknownOperation", Fault::Server),
    ],
    discover: Discover::By(
        control,
        &[
            Listing::of("/foundation-models", "modelSummaries", "").called(foundation),
            Listing::of("/inference-profiles?maxResults=1000", "inferenceProfileSummaries", "")
                .called(inference_profile)
                .paged(TOKEN),
            Listing::of("/imported-models?maxResults=1000", "modelSummaries", "modelArn").paged(TOKEN),
            Listing::of("/provisioned-model-throughputs?maxResults=1000", "provisionedModelSummaries", "")
                .called(provisioned)
                .paged(TOKEN),
        ],
    ),
    owns: Owns::Prefixes(&[
        "ai21.",
        "amazon.",
        "anthropic.",
        "cohere.",
        "deepseek.",
        "google.",
        "luma.",
        "meta.",
        "minimax.",
        "mistral.",
        "moonshot.",
        "moonshotai.",
        "nvidia.",
        "openai.",
        "qwen.",
        "stability.",
        "twelvelabs.",
        "writer.",
        "zai.",
        "us.",
        "eu.",
        "apac.",
        "global.",
        "us-gov.",
        "jp.",
        "au.",
        "ca.",
        "sa.",
        "mx.",
        "arn:aws:bedrock:",
        "arn:aws-us-gov:bedrock:",
        "arn:aws-cn:bedrock:",
        "arn:aws:sagemaker:",
    ]),
    // some think for minutes before they say anything
    pace: Pace::Slow,
    docs: "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
    hint: "check AWS_BEARER_TOKEN_BEDROCK, or the AWS keys and their permissions bedrock:InvokeModel and \
           bedrock:InvokeModelWithResponseStream; to list models, bedrock:List*; for batches, \
           bedrock:*ModelInvocationJob*, iam:PassRole and s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject",
    ..Spec::native(
        Native::Bedrock,
        "bedrock",
        "",
        &[
            may("api_key", &["AWS_BEARER_TOKEN_BEDROCK"]),
            may("region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
            may("base_url", &["BEDROCK_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"]),
            may("control_url", &["AWS_ENDPOINT_URL_BEDROCK"]),
            may("fips", &["AWS_USE_FIPS_ENDPOINT"]),
            may("dual_stack", &["AWS_USE_DUALSTACK_ENDPOINT"]),
            may("access_key_id", &["AWS_ACCESS_KEY_ID"]),
            may("secret_access_key", &["AWS_SECRET_ACCESS_KEY"]),
            may("session_token", &["AWS_SESSION_TOKEN"]),
            may("profile", &["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]),
            may("config_file", &["AWS_CONFIG_FILE"]),
            may("credentials_file", &["AWS_SHARED_CREDENTIALS_FILE"]),
            may("sso_endpoint", &["AWS_SSO_ENDPOINT"]),
            may("role_arn", &["AWS_ROLE_ARN"]),
            may("web_identity_token_file", &["AWS_WEB_IDENTITY_TOKEN_FILE"]),
            may("role_session_name", &["AWS_ROLE_SESSION_NAME"]),
            may("assume_role_arn", &[]),
            may("external_id", &[]),
            may("sts_endpoint", &["AWS_ENDPOINT_URL_STS"]),
            may("container_relative_uri", &["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]),
            may("container_full_uri", &["AWS_CONTAINER_CREDENTIALS_FULL_URI"]),
            may("container_token", &["AWS_CONTAINER_AUTHORIZATION_TOKEN"]),
            may("container_token_file", &["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]),
            may("metadata_disabled", &["AWS_EC2_METADATA_DISABLED"]),
            may("metadata_endpoint", &["AWS_EC2_METADATA_SERVICE_ENDPOINT"]),
            may("home", &["HOME", "USERPROFILE"]),
            may("auto_profile", &[]),
            may("base_model", &[]),
            may("guardrail", &[]),
            may("guardrail_version", &[]),
            may("batch_bucket", &["BEDROCK_BATCH_BUCKET"]),
            may("batch_role", &["BEDROCK_BATCH_ROLE_ARN"]),
            may("s3_endpoint", &["AWS_ENDPOINT_URL_S3"]),
        ],
    )
};

/// Batches are jobs of the control plane, and their files are at S3.
const JOBS: &str = "/model-invocation-job";

/// OpenAI's Responses API on the runtime's own host:
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html>.
const RESPONSES: &str = "/openai/v1/responses";

fn streams(op: Op, _: &str, stream: bool, _: &Settings) -> Option<Way> {
    if op == Op::Respond {
        return Some(Way { dialect: Dialect::OpenAi, path: RESPONSES });
    }
    let dialect = Dialect::Native(Native::Bedrock);
    (op == Op::Chat && stream).then_some(Way { dialect, path: "/model/{model}/converse-stream" })
}
