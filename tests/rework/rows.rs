//! The table: what holds of every row, and what a row makes of settings and failures.

use std::collections::{BTreeMap, BTreeSet};

use ferrogw::call::{Fault, Op};
use ferrogw::config::{Env, Text};
use ferrogw::providers::settings::Settings;
use ferrogw::providers::spec::{Discover, Place, Root};
use ferrogw::providers::table::PROVIDERS;

use super::{env, row, settings, text};

#[test]
fn ids_are_unique_and_alphabetical_and_openai_stands_before_azures() {
    let mut ids: Vec<_> = PROVIDERS.iter().map(|spec| spec.id).collect();
    let at = ids.iter().position(|id| *id == "azure-openai").unwrap();
    assert_eq!(ids[at - 1], "openai");
    ids.remove(at);
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(ids, sorted);
    let names: Vec<_> = PROVIDERS.iter().flat_map(|spec| spec.aliases.iter().chain([&spec.id])).collect();
    assert_eq!(names.len(), names.iter().collect::<BTreeSet<_>>().len(), "an alias belongs to one row");
    assert!(row("hugging-face").is_called("hugging_face") && row("hugging-face").is_called("hugging-face"));
}

#[test]
fn every_row_is_complete() {
    for spec in PROVIDERS {
        let id = spec.id;
        assert!(spec.path(Op::Chat).is_some(), "{id} chats");
        assert!(!spec.hint.is_empty(), "{id} has a hint");
        assert!(spec.docs.starts_with("https://"), "{id} names its vendor's page");
        let known: BTreeSet<_> = spec.vars.iter().map(|var| var.setting).collect();
        assert_eq!(known.len(), spec.vars.len(), "{id}: a setting is there once");
        assert!(known.contains("base_url") && known.contains("api_key"), "{id}: every target may give both");
        for var in spec.vars.iter().filter(|var| var.needed) {
            assert!(!var.names.is_empty(), "{id}: {} can be set in the environment", var.setting);
        }
        let mentioned = spec.headers.iter().map(|(_, setting)| setting).chain(spec.any_of).chain(spec.lists);
        for setting in mentioned {
            assert!(known.contains(setting), "{id}: {setting} is a setting");
        }
        for param in spec.lacks {
            assert!(!spec.knows.contains(param), "{id}: {param} is known and lacking");
            assert!(!spec.ignores.contains(param), "{id}: {param} is ignored and lacking");
        }
        for (op, path) in spec.ops {
            assert!(
                *op == Op::Pass && path.is_empty()
                    || (path.starts_with('/') || path.starts_with("../") || path.starts_with("https://"))
                        && !path.ends_with('/'),
                "{id}: {path}"
            );
        }
        for name in spec.headers.iter().map(|(name, _)| name).chain(spec.fixed_headers.iter().map(|(name, _)| name)) {
            assert_eq!(*name, name.to_ascii_lowercase(), "{id}: header names are lower case");
        }
    }
}

fn place(id: &str, given: &[(&str, &str)]) -> Place {
    let spec = row(id);
    match spec.root {
        Root::At(root) => Place { base: settings(spec, given).fill(root).unwrap(), query: None },
        Root::By(place) => place(&settings(spec, given)).unwrap(),
        Root::Inside => panic!("{id} has no address"),
    }
}

#[test]
fn default_roots_are_https_and_filled() {
    for spec in PROVIDERS.iter().filter(|spec| spec.id != "ollama") {
        let Place { base, .. } = place(spec.id, &[]);
        assert!(base.starts_with("https://") && !base.ends_with('/'), "{base}");
        let rest = base.replace("{model}", "");
        assert!(!rest.contains(['{', '}']), "{base}");
        let paths: Vec<&str> = match spec.discover {
            Discover::Known(_) => Vec::new(),
            Discover::List(path) => vec![path],
            Discover::Lists(lists) | Discover::By(_, lists) => lists.iter().map(|list| list.path).collect(),
        };
        for path in paths {
            settings(spec, &[]).fill(path).unwrap();
        }
    }
}

#[test]
fn azure_openai_has_two_surfaces() {
    let check = |given: &[(&str, &str)], base: &str, query: Option<&str>| {
        let given: Vec<_> = [("endpoint", "https://r.openai.azure.com/")].iter().chain(given).copied().collect();
        let got = place_with_key("azure-openai", &given);
        assert_eq!((got.base.as_str(), got.query.as_deref()), (base, query), "{given:?}");
    };
    let (v1, deployments) =
        ("https://r.openai.azure.com/openai/v1", "https://r.openai.azure.com/openai/deployments/{model}");
    check(&[], v1, None);
    check(&[("deployment", "d")], deployments, Some("api-version=2024-10-21"));
    check(&[("api_version", "2024-12-01-preview")], deployments, Some("api-version=2024-12-01-preview"));
    check(&[("api_version", "preview"), ("deployment", "d")], v1, Some("api-version=preview"));
    check(&[("surface", "v1"), ("deployment", "d")], v1, None);
    check(&[("surface", "deployments")], deployments, Some("api-version=2024-10-21"));
    check(&[("base_url", "http://127.0.0.1:9/x")], "http://127.0.0.1:9/x", None);
    let settings =
        settings(row("azure-openai"), &[("endpoint", "https://r.example"), ("api_key", "k"), ("deployment", "d")]);
    let asked = |op| (row("azure-openai").model)("gpt-4o", op, &settings);
    assert_eq!((asked(Op::Chat), asked(Op::Embed)), (Some("d".to_owned()), None));
    assert_eq!(settings.models(row("azure-openai")), ["d"]);
}

fn place_with_key(id: &str, given: &[(&str, &str)]) -> Place {
    let given: Vec<_> = given.iter().chain(&[("api_key", "k")]).copied().collect();
    place(id, &given)
}

#[test]
fn addresses_follow_from_settings() {
    let check = |id: &str, given: &[(&str, &str)], base: &str| {
        assert_eq!(place_with_key(id, given).base, base, "{id} {given:?}")
    };
    check(
        "azure-foundry",
        &[("endpoint", "https://r.services.ai.azure.com/models")],
        "https://r.services.ai.azure.com/openai/v1",
    );
    check(
        "azure-foundry",
        &[("endpoint", "https://m.eastus.models.ai.azure.com")],
        "https://m.eastus.models.ai.azure.com/v1",
    );
    check("databricks", &[("host", "adb.example.net")], "https://adb.example.net/serving-endpoints");
    check(
        "databricks",
        &[("host", "https://adb.example.net/ai-gateway/mlflow/v1/")],
        "https://adb.example.net/ai-gateway/mlflow/v1",
    );
    check("qwen", &[("region", "cn")], "https://dashscope.aliyuncs.com/compatible-mode/v1");
    check("ollama", &[("host", "0.0.0.0")], "http://127.0.0.1:11434/v1");
    check("ollama", &[("base_url", "http://gpu.lan:1")], "http://gpu.lan:1/v1");
}

#[test]
fn every_variable_of_the_reference_is_read() {
    const NAMES: &[&str] = &[
        "AI21_API_KEY",
        "AI21_BASE_URL",
        "AZURE_FOUNDRY_API_KEY",
        "AZURE_FOUNDRY_ENDPOINT",
        "AZURE_FOUNDRY_API_VERSION",
        "AZURE_OPENAI_API_KEY",
        "AZURE_OPENAI_ENDPOINT",
        "AZURE_OPENAI_DEPLOYMENT",
        "AZURE_OPENAI_API_VERSION",
        "CEREBRAS_API_KEY",
        "CEREBRAS_BASE_URL",
        "CLOUDFLARE_API_KEY",
        "CLOUDFLARE_ACCOUNT_ID",
        "CLOUDFLARE_BASE_URL",
        "COHERE_API_KEY",
        "COHERE_BASE_URL",
        "DATABRICKS_TOKEN",
        "DATABRICKS_HOST",
        "DEEPINFRA_API_KEY",
        "DEEPINFRA_BASE_URL",
        "DEEPSEEK_API_KEY",
        "DEEPSEEK_BASE_URL",
        "FIREWORKS_API_KEY",
        "FIREWORKS_BASE_URL",
        "GROQ_API_KEY",
        "GROQ_BASE_URL",
        "HUGGING_FACE_API_KEY",
        "HUGGING_FACE_ENDPOINT",
        "MISTRAL_API_KEY",
        "MISTRAL_BASE_URL",
        "MOONSHOT_API_KEY",
        "MOONSHOT_BASE_URL",
        "NOVITA_API_KEY",
        "NOVITA_BASE_URL",
        "NVIDIA_NIM_API_KEY",
        "NVIDIA_NIM_BASE_URL",
        "OLLAMA_HOST",
        "FERRO_OLLAMA_MODELS",
        "OLLAMA_MODELS",
        "OLLAMA_API_KEY",
        "OLLAMA_CLOUD_BASE_URL",
        "OLLAMA_CLOUD_MODELS",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "OPENROUTER_API_KEY",
        "OPENROUTER_BASE_URL",
        "PERPLEXITY_API_KEY",
        "PERPLEXITY_BASE_URL",
        "QWEN_API_KEY",
        "QWEN_BASE_URL",
        "SAMBANOVA_API_KEY",
        "SAMBANOVA_BASE_URL",
        "TOGETHER_API_KEY",
        "TOGETHER_BASE_URL",
        "XAI_API_KEY",
        "XAI_BASE_URL",
    ];
    let read: BTreeSet<_> = PROVIDERS.iter().flat_map(|spec| spec.vars.iter().flat_map(|var| var.names)).collect();
    for name in NAMES {
        assert!(read.contains(name), "{name}");
    }
}

#[test]
fn a_credential_of_the_environment_is_not_sent_to_another_address() {
    let spec = row("azure-openai");
    let resolve = |given: &[(&str, &str)]| {
        let given: BTreeMap<String, Text> =
            given.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
        Settings::resolve(spec, &given, &env(spec))
    };
    let of_env = resolve(&[]).unwrap();
    assert_eq!(of_env.get("api_key"), Some("api_key-of-azure-openai"));
    assert!(resolve(&[("endpoint", "https://elsewhere.example")]).is_err());
    let same = resolve(&[("endpoint", "${AZURE_OPENAI_ENDPOINT}")]).unwrap();
    assert_eq!(same.get("api_key"), Some("api_key-of-azure-openai"));
    let keyless = resolve(&[("endpoint", "https://elsewhere.example"), ("api_key", "")]).unwrap();
    assert_eq!(keyless.get("api_key"), None);
}

#[test]
fn a_provider_without_any_credential_is_not_configured() {
    let resolve = |id: &str, env: Env| Settings::resolve(row(id), &BTreeMap::new(), &env).map(drop);
    let missing = resolve("databricks", Env::from([("DATABRICKS_HOST", "h.example")])).unwrap_err().to_string();
    assert!(missing.contains("DATABRICKS_TOKEN or DATABRICKS_CLIENT_SECRET"), "{missing}");
    assert!(resolve("azure-openai", Env::from([("AZURE_OPENAI_ENDPOINT", "https://r.example")])).is_err());
    let entra = [("AZURE_OPENAI_ENDPOINT", "https://r.example"), ("AZURE_CLIENT_SECRET", "s")];
    assert!(resolve("azure-openai", Env::from(entra)).is_ok());
}

#[test]
fn models_are_named_by_a_list_unless_it_is_a_folder() {
    let models = |list: &str| settings(row("ollama"), &[("models", list)]).models(row("ollama"));
    assert_eq!(models("llama3.2, qwen3:8b,"), ["llama3.2", "qwen3:8b"]);
    assert!(models("/usr/share/ollama").is_empty() && models("C:\\ollama").is_empty() && models("~/models").is_empty());
}

#[test]
fn a_bare_name_belongs_to_the_vendor_that_makes_it() {
    let owners = |model: &str| PROVIDERS.iter().filter(|spec| spec.owns(model)).map(|spec| spec.id).collect::<Vec<_>>();
    let check = |model: &str, expected: &[&str]| assert_eq!(owners(model), expected, "{model}");
    check("gpt-4o", &["openai", "azure-openai"]);
    check("o3-mini", &["openai", "azure-openai"]);
    check("deepseek-v4-pro", &["deepseek"]);
    check("deepseek-ai/DeepSeek-V3", &[]);
    check("qwen-plus", &["qwen"]);
    check("qwen/qwen3-32b", &[]);
    check("text-embedding-v4", &["qwen"]);
    check("text-embedding-3-small", &["openai", "azure-openai"]);
    check("@cf/meta/llama-3.1-8b-instruct", &["cloudflare"]);
    check("accounts/fireworks/models/x", &["fireworks"]);
    check("sonar-pro", &["perplexity"]);
    check("claude-sonnet-4-5", &["anthropic"]);
    check("unheard-of", &[]);
    let any: Vec<_> = PROVIDERS.iter().filter(|spec| spec.takes_any()).map(|spec| spec.id).collect();
    assert_eq!(any, ["azure-foundry", "cloudflare", "databricks", "hugging-face", "ollama", "openrouter"]);
}

#[test]
fn fireworks_models_have_an_account() {
    let spec = row("fireworks");
    let asked = |model: &str| (spec.model)(model, Op::Chat, &settings(spec, &[]));
    assert_eq!(asked("llama-v3p1-8b-instruct").as_deref(), Some("accounts/fireworks/models/llama-v3p1-8b-instruct"));
    assert_eq!(asked("accounts/me/models/x"), None);
}

#[test]
fn failures_mean_what_the_vendor_means() {
    let check = |id: &str, status: u16, said: &str, expected: Fault| {
        let words = said.to_ascii_lowercase();
        let rule = row(id).faults.iter().find(|rule| {
            (rule.status == 0 || rule.status == status) && words.contains(&rule.text.to_ascii_lowercase())
        });
        assert_eq!(rule.map(|rule| rule.fault), Some(expected), "{id} {status} {said}");
    };
    check("openai", 503, "slow_down", Fault::Overloaded);
    check("azure-openai", 404, "DeploymentNotFound", Fault::NotFound);
    check("groq", 498, "", Fault::Overloaded);
    check("groq", 413, "rate_limit_exceeded", Fault::RateLimited);
    check("groq", 400, "tool_use_failed", Fault::Server);
    check("moonshot", 429, "engine_overloaded_error", Fault::Overloaded);
    check("moonshot", 429, "exceeded_current_quota_error", Fault::Billing);
    check("qwen", 400, "Arrearage", Fault::Billing);
    check("qwen", 400, "data_inspection_failed", Fault::ContentPolicy);
    check("xai", 403, "Content violates usage guidelines", Fault::ContentPolicy);
    check("xai", 400, "Incorrect API key provided", Fault::Auth);
    check("cloudflare", 400, "5007", Fault::NotFound);
    check("cloudflare", 429, "3040", Fault::Overloaded);
    check("databricks", 403, "PERMISSION_DENIED", Fault::Auth);
    check("databricks", 503, "TEMPORARILY_UNAVAILABLE", Fault::Overloaded);
    check("hugging-face", 503, "Model a/b is currently loading", Fault::Overloaded);
}
