//! The words a provider's row is written in.

pub use super::lists::{Desk, Discover, Listing, Pages};
pub use super::notes::{Notes, Policy};
pub use super::pace::Pace;
use super::settings::Settings;
use crate::call::{Error, Fault, Op, Usage};
use crate::config::{Env, Invalid};
use crate::wire::extras::batches::Kept;
pub use crate::wire::jobs::Jobs;
pub use crate::wire::media::Kind;
use crate::wire::multipart::Draft;
pub use crate::wire::openai::stream::{Follow, Mend, Trail};
use crate::wire::openai::think::Aloud;
use crate::wire::{Dialect, Extra, Native, Object};

/// A provider, as data. A new one that speaks a known dialect is a row and its fixtures.
#[derive(Clone, Copy)]
pub struct Spec {
    /// The id: the name in `targets[].provider` (or `virtual_key`), metrics, logs and headers.
    pub id: &'static str,
    /// Other names under which configurations and `provider/model` know it.
    pub aliases: &'static [&'static str],
    /// The wire format of its operations, where `ways` says nothing else.
    pub dialect: Dialect,
    /// Where its API stands.
    pub root: Root,
    /// The settings it reads, from the target's configuration or else from the environment.
    pub vars: &'static [Var],
    /// Settings of which it needs at least one; empty if there is no such choice.
    pub any_of: &'static [&'static str],
    /// How a request is authorised.
    pub auth: Auth,
    /// What it can do natively, and the path below the root, as in [`Way::path`].
    pub ops: &'static [(Op, &'static str)],
    /// Other hosts of the vendor's, as `https://audio.example.com`: paths of operations may begin with them.
    pub hosts: &'static [&'static str],
    /// What it keeps in forms of its own.
    pub kept: &'static [(Op, Kept)],
    /// Whose batches it has, where they are not OpenAI's.
    pub jobs: Option<Jobs>,
    /// Ends of the hosts that answers name for files, as `.example.com`: they are fetched there, without a credential.
    pub files: &'static [&'static str],
    /// Operations that are asked for in a form of their own.
    pub extras: &'static [(Op, Extra)],
    /// Where one operation goes different ways, by the model as the row is asked for it and whether it streams: other
    /// formats, other paths. What it says nothing about goes as `dialect` and `ops` say.
    pub ways: Option<Ways>,
    /// The most inputs that a request for embeddings may have, by model: longer lists are asked for in parts.
    pub batch: Option<fn(&str) -> usize>,
    /// Settings sent as headers of every request: header name and setting.
    pub headers: &'static [(&'static str, &'static str)],
    /// Headers of every request with a value that is always the same; a header of the target's wins.
    pub fixed_headers: &'static [(&'static str, &'static str)],
    /// What the provider is asked for instead of this model; `None`: for the model itself.
    pub model: fn(&str, Op, &Settings) -> Option<String>,
    /// The settings that name the models it serves, separated by commas, beside those it lists itself.
    pub lists: &'static [&'static str],
    /// Changes of a chat request, in order, for this provider's copy of it. This, `lacks`, `ignores` and `knows` are about
    /// chat; `completes` and `embeds` say all there is to say about the other operations.
    pub edits: &'static [Edit],
    /// Changes of a native completions request.
    pub completes: &'static [Edit],
    /// Changes of an embeddings request.
    pub embeds: &'static [Edit],
    /// Changes of requests for the operations that none of the above is about.
    pub others: &'static [(Op, &'static [Edit])],
    /// Changes of forms.
    pub forms: &'static [(Op, &'static [FormEdit])],
    /// Changes of whole answers of the operations beyond chat, completions and embeddings.
    pub answers: &'static [(Op, &'static [Mend])],
    /// Which media that callers give by address it takes only as data, by model, kind and address: they are fetched, if the
    /// configuration lets the gateway do that. `None`: it takes addresses, or nothing of the kind.
    pub fetches: Option<fn(&str, Kind, &str) -> bool>,
    /// Whether embeddings come as arrays of numbers only: base64, if asked for, is made here.
    pub floats_only: bool,
    /// Parameters it refuses: left out with a warning, or refused by `on_unsupported_param: reject`.
    pub lacks: &'static [&'static str],
    /// Parameters it accepts without effect: sent with a warning, left out by `drop`, refused by `reject`.
    pub ignores: &'static [&'static str],
    /// If not empty, all it knows: every other member is left out with a warning.
    pub knows: &'static [&'static str],
    /// Whether a tool's result must be followed by the assistant before a user speaks.
    pub reply_after_tool: bool,
    /// Whether a stream is asked for its usage with `stream_options.include_usage`.
    pub asks_usage: bool,
    /// Whether a whole answer can only be had as a stream, for this model and body: it is asked for one, and folded.
    pub streams_only: fn(&str, &Object) -> bool,
    /// Whether it speaks the Responses API over WebSockets, too.
    pub talks: bool,
    /// Whether thoughts may stand in front of a chat's answer as `<think>…</think>`, for this model and body, or the prompt
    /// may have opened them: they become `reasoning_content`; an answer that begins otherwise stays as it is.
    pub thinks_aloud: fn(&str, &Object) -> Aloud,
    /// Changes of whole answers and of each event of a stream, in order.
    pub mends: &'static [Mend],
    /// Changes, after the mends, that need to know what the same answer said before.
    pub follows: &'static [Follow],
    /// Reads the usage out of a whole answer or an event, where that takes more than the dialect's own way.
    pub usage: Option<fn(&Object) -> Option<Usage>>,
    /// Failures that mean something else here than their status says; the first match decides.
    pub faults: &'static [FaultRule],
    /// Where its list of models is found.
    pub discover: Discover,
    /// How an answer is come by, where that takes more than one request.
    pub exchange: Exchange,
    /// The models it is known to serve when nothing else is known about a name.
    pub owns: Owns,
    /// How long it may take.
    pub pace: Pace,
    /// The vendor's page about its API.
    pub docs: &'static str,
    /// What to look at when it refuses the credential, for the operator.
    pub hint: &'static str,
}

/// One of the ways in which an operation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The wire format.
    pub dialect: Dialect,
    /// The path below the root, with a query if it needs one; one that begins with `//` stands below the root's host, and
    /// the root's query does not go along; one that begins with `..` stands beside the last segment of the root; one that
    /// begins with one of [`Spec::hosts`] stands there, unless the target names a `base_url`: then at that host. `{model}`
    /// is filled in percent-encoded, `{path}` is the model with its slashes left as they are, `{dotless}` the same with `_`
    /// for each dot, `{project}` is the project that the root names.
    pub path: &'static str,
}

/// The way of an operation for a model, streamed or not; `None` for the usual one.
pub type Ways = fn(Op, &str, bool, &Settings) -> Option<Way>;

/// Where an API stands.
#[derive(Clone, Copy)]
pub enum Root {
    /// At a fixed address, unless the setting `base_url` says otherwise; `{setting}` is filled in.
    /// An address without a path gets the path of this one.
    At(&'static str),
    /// At an address that follows from the settings.
    By(fn(&Settings) -> Result<Place, Invalid>),
    /// Nowhere: the answers are made in the process.
    Inside,
}

/// A resolved API root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Scheme, authority and path without a trailing slash; may hold `{model}`.
    pub base: String,
    /// Appended to every request, as `api-version=2024-10-21`.
    pub query: Option<String>,
}

/// One setting of a provider.
#[derive(Clone, Copy, Debug)]
pub struct Var {
    /// Its name in the configuration: `api_key`, `base_url`, or a key of `options`.
    pub setting: &'static str,
    /// The environment variables it is read from; the first that is set wins.
    pub names: &'static [&'static str],
    /// Whether the provider cannot work without it.
    pub needed: bool,
}

impl Var {
    /// Its value in the environment.
    pub fn of(self, env: &Env) -> Option<&str> {
        self.names.iter().find_map(|name| env.get(name))
    }
}

/// A setting the provider cannot work without.
pub const fn need(setting: &'static str, names: &'static [&'static str]) -> Var {
    Var { setting, names, needed: true }
}

/// A setting that is optional.
pub const fn may(setting: &'static str, names: &'static [&'static str]) -> Var {
    Var { setting, names, needed: false }
}

/// How a request is authorised.
#[derive(Clone, Copy, Debug)]
pub enum Auth {
    /// `Authorization: Bearer` with the setting `api_key`, if there is one.
    Bearer,
    /// This header with the setting `api_key`; with an access token of Google's if there is no key.
    KeyOrGoogle(&'static str),
    /// This header with the setting `api_key`; with a token of Microsoft Entra for this scope if there is no key.
    KeyOrEntra(&'static str, &'static str),
    /// This header with the setting `api_key`; `Authorization: Bearer` with the setting `auth_token` if there is no key.
    KeyOrToken(&'static str),
    /// `Authorization: Bearer` with `api_key`, or an OAuth client credential exchanged below the root's host.
    BearerOrClient,
    /// `Authorization: Bearer` with `api_key`, or a signature of AWS for this service.
    BearerOrAws(&'static str),
    /// As the address asks for it.
    By(fn(&Place) -> Auth),
    /// Nothing: the provider is not behind a network.
    None,
}

/// One change of a request.
#[derive(Clone, Copy)]
pub enum Edit {
    /// A top-level member has another name there; a member that has that name already is replaced.
    Rename(&'static str, &'static str),
    /// The messages look different there. Returns whether anything was changed.
    Messages(fn(&mut [Object]) -> Result<bool, Error>),
    /// Anything else.
    Body(fn(&mut Object, &mut Notes<'_>) -> Result<(), Error>),
    /// Only for models whose name fits (as the provider is asked for it).
    When(fn(&str) -> bool, &'static [Edit]),
    /// Only if the messages, as they came, contain one of these texts somewhere: keeps what is rare from being parsed.
    /// A text that is written with needless escapes is not found.
    Mentions(&'static [&'static str], &'static [Edit]),
    /// As [`Spec::lacks`].
    Lacks(&'static [&'static str]),
    /// As [`Spec::ignores`].
    Ignores(&'static [&'static str]),
    /// Parameters that can be left out without a word, because nothing is lost.
    Drop(&'static [&'static str]),
}

/// One change of a form.
#[derive(Clone, Copy)]
pub enum FormEdit {
    /// A field has another name there.
    Rename(&'static str, &'static str),
    /// Fields it refuses: left out with a warning, or refused by `on_unsupported_param: reject`.
    Lacks(&'static [&'static str]),
    /// A field must come after all others.
    Last(&'static str),
    /// Anything else.
    Check(fn(&mut Draft<'_>) -> Result<(), Error>),
    /// The content of this field is sent alone, as its own content type: every other field is lost. Stands last.
    Alone(&'static str),
}

/// A failure that means something else than its status says.
#[derive(Clone, Copy, Debug)]
pub struct FaultRule {
    /// The status; 0 fits every status.
    pub status: u16,
    /// Looked for, case-insensitively, in the code, type and message of the error; empty fits all.
    pub text: &'static str,
    /// What it means.
    pub fault: Fault,
}

/// How an answer is come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// With one request.
    Once,
    /// A prediction is made, waited for or listened to, and cancelled when nobody wants it any more.
    Predictions,
    /// An answer may be promised instead (202, `nvcf-reqid`): it is asked for below this address until it is there. A
    /// target with a `base_url` of its own asks that host at the same path.
    Promised(&'static str),
    /// Images may be promised by a `task_id` instead: that is appended to this path below the host until it has ended.
    Tasks(&'static str),
}

/// Which model names belong to a provider without being listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owns {
    /// Names that begin so.
    Prefixes(&'static [&'static str]),
    /// Any name that nobody else owns.
    Any,
    /// Names that begin so, and besides any name that nobody else owns.
    PrefixesAndAny(&'static [&'static str]),
}

impl Spec {
    /// A row with the defaults of a hosted provider that speaks OpenAI's dialect.
    pub const fn openai(id: &'static str, root: &'static str, vars: &'static [Var]) -> Self {
        Self {
            id,
            aliases: &[],
            dialect: Dialect::OpenAi,
            root: Root::At(root),
            vars,
            any_of: &[],
            auth: Auth::Bearer,
            ops: &[(Op::Chat, "/chat/completions")],
            hosts: &[],
            kept: &[],
            jobs: None,
            files: &[],
            extras: &[],
            ways: None,
            batch: None,
            headers: &[],
            fixed_headers: &[],
            model: |_, _, _| None,
            lists: &[],
            edits: &[],
            completes: &[],
            embeds: &[],
            others: &[],
            forms: &[],
            answers: &[],
            fetches: None,
            floats_only: false,
            lacks: &[],
            ignores: &[],
            knows: &[],
            asks_usage: true,
            streams_only: |_, _| false,
            reply_after_tool: false,
            talks: false,
            thinks_aloud: |_, _| Aloud::No,
            mends: &[],
            follows: &[],
            usage: None,
            faults: &[],
            discover: Discover::List("/models"),
            exchange: Exchange::Once,
            owns: Owns::Prefixes(&[]),
            pace: Pace::Hosted,
            docs: "",
            hint: "",
        }
    }

    /// A row with the defaults of a hosted provider that speaks a format of its own.
    pub const fn native(native: Native, id: &'static str, root: &'static str, vars: &'static [Var]) -> Self {
        Self { dialect: Dialect::Native(native), ops: &[], asks_usage: false, ..Self::openai(id, root, vars) }
    }

    /// The path of an operation, if the provider has it natively.
    pub fn path(&self, op: Op) -> Option<&'static str> {
        self.ops.iter().find(|(known, _)| *known == op).map(|(_, path)| *path)
    }

    /// The way in which an operation is asked for, if it is not the usual one.
    pub fn way(&self, op: Op, model: &str, stream: bool, settings: &Settings) -> Option<Way> {
        let extra = || self.extras.iter().find(|(known, _)| *known == op).map(|(_, extra)| *extra);
        let way = |extra| Some(Way { dialect: Dialect::Native(Native::Extra(extra)), path: self.path(op)? });
        self.ways.and_then(|ways| ways(op, model, stream, settings)).or_else(|| extra().and_then(way))
    }

    /// Whether an operation can be served, natively or through another one.
    pub fn serves(&self, op: Op) -> bool {
        self.path(op).is_some() || (op == Op::Complete && self.path(Op::Chat).is_some())
    }

    /// Whether the name of a model alone says that it belongs here.
    pub fn owns(&self, model: &str) -> bool {
        match self.owns {
            Owns::Prefixes(prefixes) | Owns::PrefixesAndAny(prefixes) => {
                // `qwen/…` is somebody else's name for a model of Qwen's
                let fits =
                    |prefix: &str| model.starts_with(prefix) && (prefix.contains(['/', ':']) || !model.contains('/'));
                prefixes.iter().any(|prefix| fits(prefix))
            }
            Owns::Any => false,
        }
    }

    /// Whether this is its id, or another name for it.
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.aliases.contains(&name)
    }

    /// Whether it takes the names that nobody owns.
    pub fn takes_any(&self) -> bool {
        matches!(self.owns, Owns::Any | Owns::PrefixesAndAny(_))
    }
}
