//! What a configuration may say. The comments here are the descriptions that editors show.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalog::Catalog;
use super::media::Media;
use super::period;
use super::routes::{Group, Route};
use super::several::Several;
use super::strategy::{Mode, Strategy};
use super::target::{Failure, Target};

/// The body cap when the configuration names none: agents send 30 MB.
const MAX_REQUEST_BYTES: u64 = 64 << 20;

/// The cap of files when the configuration names none. They may be larger than other bodies, since they never are in
/// memory: OpenAI takes 512 MiB.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Configuration of the ferrogw AI gateway.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["targets"]))]
pub struct Config {
    /// Address of the JSON Schema of this file, for editors. `ferrogw config schema` prints it.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Version of this format. There is one: `v1`, also the default.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// How the target of a request is chosen.
    pub strategy: Strategy,
    /// Whom the gateway can call, in the order of preference. At least one.
    pub targets: Vec<Target>,
    /// Targets under one name, with a strategy of their own. A group can stand wherever a target's name can.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// Requests that go their own way. The first route that matches takes a request; the others go by `strategy`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Other names for models: `fast: gpt-5-mini`. A list is a chain: when all targets of a model have failed, those of
    /// the next are asked. Read once, before everything else; an alias cannot name an alias.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub aliases: BTreeMap<String, Several<String>>,
    /// Which failures of a target move a request on to the next one: statuses (`429`), classes of them (`5xx`) and the
    /// words `timeout`, `connect` and `broken`. Default: 401, 403, 404, 408, 409, 429, 5xx, timeout, connect, broken.
    /// An empty list means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover_on: Option<Vec<Failure>>,
    /// The target that keeps files and batches: requests under `/v1/files` and `/v1/batches` go there. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_target: Option<String>,
    /// The target that keeps responses: requests under `/v1/responses/` go there. New responses are routed by their model.
    /// Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub responses_target: Option<String>,
    /// Largest request body in bytes. Default, also for 0: 67108864 (64 MiB).
    pub max_request_bytes: u64,
    /// Largest body of a request under `/v1/files`, in bytes. Default, also for 0: 1073741824 (1 GiB).
    pub max_file_bytes: u64,
    /// Longest time a request that is not streamed may take, all attempts together, and longest time until a stream
    /// starts: `30s`, `5m`. Default: none.
    #[serde(with = "period::option", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "period::schema")]
    pub request_timeout: Option<Duration>,
    /// What happens where providers differ.
    pub compatibility: Compatibility,
    /// What becomes of tools and what they said.
    pub tools: Tools,
    /// What is known of models beside what the binary knows: limits, capabilities, prices.
    #[serde(skip_serializing_if = "Catalog::is_default")]
    pub catalog: Catalog,
    /// Media that callers give by address.
    #[serde(skip_serializing_if = "Media::is_default")]
    pub media: Media,
    /// How this process treats its own connections.
    pub server: Server,
    /// The folder of the file it was read from: what is not absolute is beside it. Empty is the working directory.
    #[serde(skip)]
    pub dir: PathBuf,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            schema: None,
            api_version: "v1".to_owned(),
            strategy: Strategy::of(Mode::default()),
            targets: Vec::new(),
            groups: Vec::new(),
            routes: Vec::new(),
            aliases: BTreeMap::new(),
            failover_on: None,
            batch_target: None,
            responses_target: None,
            max_request_bytes: MAX_REQUEST_BYTES,
            max_file_bytes: MAX_FILE_BYTES,
            request_timeout: None,
            compatibility: Compatibility::default(),
            tools: Tools::default(),
            catalog: Catalog::default(),
            media: Media::default(),
            server: Server::default(),
            dir: PathBuf::new(),
        }
    }
}

impl Config {
    /// The newer catalog it names.
    pub fn catalog_file(&self) -> Option<PathBuf> {
        self.catalog.file.as_ref().map(|file| self.dir.join(file))
    }

    /// The members that name a target for what only one can keep, and the names; an empty one counts as none.
    pub fn keepers(&self) -> [(&'static str, Option<&str>); 2] {
        let named = [("batch_target", &self.batch_target), ("responses_target", &self.responses_target)];
        named.map(|(member, name)| (member, name.as_deref().filter(|name| !name.is_empty())))
    }

    /// The largest request body in bytes.
    pub fn body_cap(&self) -> u64 {
        if self.max_request_bytes == 0 { MAX_REQUEST_BYTES } else { self.max_request_bytes }
    }

    /// The largest body under `/v1/files` in bytes.
    pub fn file_cap(&self) -> u64 {
        if self.max_file_bytes == 0 { MAX_FILE_BYTES } else { self.max_file_bytes }
    }
}

/// What happens where providers differ.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Compatibility {
    /// A parameter that the provider cannot take is left out and named in `x-ferro-warnings` (`warn`), left out (`drop`),
    /// or the request is refused with status 400 (`reject`). Default: `warn`.
    pub on_unsupported_param: OnUnsupported,
}

/// What becomes of a parameter the provider cannot take.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnsupported {
    /// Left out, and the answer says so.
    #[default]
    Warn,
    /// Left out.
    Drop,
    /// The request is refused.
    Reject,
}

/// What becomes of tools and what they said.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Tools {
    /// Make histories whole that providers refuse: a tool call without a result gets one that says so, and where a vendor
    /// insists on a message of the user or the assistant between others, a neutral one is added. Each is named in
    /// `x-ferro-warnings`. Default: false.
    pub repair_history: bool,
}

/// How this process treats its own connections.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// How long requests and streams may go on after the process was told to stop; then they are cut. Default: `15s`.
    #[serde(with = "period")]
    #[schemars(schema_with = "period::schema")]
    pub drain: Duration,
    /// A stream that is silent this long gets a comment that keeps proxies from closing it. 0 = never. Default: `15s`.
    #[serde(with = "period")]
    #[schemars(schema_with = "period::schema")]
    pub keep_alive: Duration,
    /// A WebSocket on which nothing has passed for this long, in either direction, is closed. 0 = never. Default: `10m`.
    #[serde(with = "period")]
    #[schemars(schema_with = "period::schema")]
    pub tunnel_idle: Duration,
    /// Whether answers carry the `x-gateway-*` and `x-ferro-*` headers: target, model, attempts, cost, overhead, warnings.
    /// Default: true.
    pub expose_headers: bool,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            drain: Duration::from_secs(15),
            keep_alive: Duration::from_secs(15),
            tunnel_idle: Duration::from_secs(600),
            expose_headers: true,
        }
    }
}
