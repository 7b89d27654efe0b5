//! Where requests go below a provider's host: the path and query of each operation, made once where that is possible.

use http::uri::PathAndQuery;

use super::root;
use super::spec::{Place, Spec};
use crate::call::Op;
use crate::config::Invalid;

/// The paths of one target.
#[derive(Default)]
pub struct Paths {
    /// What stands before every path: that of the root.
    root: String,
    /// What stands behind every path.
    query: Option<String>,
    known: Vec<(Op, Path)>,
}

/// The path and query of an operation.
enum Path {
    Fixed(PathAndQuery),
    PerModel(String),
}

impl Paths {
    /// Those of a row at a place. Fails if they are none, naming the root.
    pub fn of(spec: &Spec, place: &Place) -> Result<Self, Invalid> {
        let root = place.base.splitn(4, '/').nth(3).map(|below| format!("/{below}")).unwrap_or_default();
        let mut paths = Self { root, query: place.query.clone(), known: Vec::new() };
        for (op, path) in spec.ops {
            let mut full = paths.full(path);
            if !full.starts_with('/') {
                full.insert(0, '/');
            }
            let sample = PathAndQuery::try_from(fill(&full, "model")).map_err(|_| root::invalid(&place.base))?;
            let varies = full.contains('{');
            paths.known.push((*op, if varies { Path::PerModel(full) } else { Path::Fixed(sample) }));
        }
        Ok(paths)
    }

    /// The path of an operation for a model; `way` where the row says that it goes another one than usual. `None` if the
    /// provider has no such operation, or no path can be made of the model's name.
    pub fn find(&self, op: Op, way: Option<&'static str>, model: &str) -> Option<PathAndQuery> {
        if let Some(way) = way {
            return filled(&self.full(way), model);
        }
        match self.known.iter().find(|(known, _)| *known == op).map(|(_, path)| path)? {
            Path::Fixed(path) => Some(path.clone()),
            Path::PerModel(template) => filled(template, model),
        }
    }

    /// The path of an operation with what the caller's has below it, query included. `None` if the provider has no such
    /// operation, or if what is below is no path.
    pub fn below(&self, op: Op, way: Option<&'static str>, below: &str) -> Option<PathAndQuery> {
        let own = match (way, self.known.iter().find(|(known, _)| *known == op)?) {
            (Some(way), _) => self.full(way).try_into().ok()?,
            (None, (_, Path::Fixed(own))) => own.clone(),
            (None, (_, Path::PerModel(_))) => return None,
        };
        let (path, asked) = below.split_once('?').map_or((below, None), |(path, query)| (path, Some(query)));
        let queries = [asked, own.query()].into_iter().flatten().filter(|query| !query.is_empty());
        let query = queries.collect::<Vec<_>>().join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{query}", own.path().trim_end_matches('/')).try_into().ok()
    }

    /// A path of the provider's own, which no operation has: written as those of operations are. `None` if it is none.
    pub fn at(&self, path: &str) -> Option<PathAndQuery> {
        self.full(path).try_into().ok()
    }

    fn full(&self, path: &str) -> String {
        let project = self.root.split_once("/projects/").and_then(|(_, rest)| rest.split('/').next());
        match project.filter(|_| path.contains(PROJECT)) {
            Some(project) => self.placed(&path.replace(PROJECT, project)),
            None => self.placed(path),
        }
    }

    fn placed(&self, path: &str) -> String {
        if let Some(apart) = path.strip_prefix("//") {
            return format!("/{apart}");
        }
        if let Some((_, below)) = path.split_once("://") {
            return below.find('/').map_or("/", |at| &below[at..]).to_owned();
        }
        let (root, path) = match path.strip_prefix("..") {
            Some(aside) => (self.root.rsplit_once('/').map_or("", |(before, _)| before), aside),
            None => (self.root.as_str(), path),
        };
        match &self.query {
            None => format!("{root}{path}"),
            Some(query) if path.contains('?') => format!("{root}{path}&{query}"),
            Some(query) => format!("{root}{path}?{query}"),
        }
    }
}

/// A path with more in its query. `None` if that makes none.
pub fn asking(path: &PathAndQuery, query: &str) -> Option<PathAndQuery> {
    let mark = if path.query().is_some() { '&' } else { '?' };
    format!("{path}{mark}{query}").try_into().ok()
}

/// The project that the root names, in paths that stand elsewhere.
const PROJECT: &str = "{project}";

/// A path with the model filled in; `None` if it needs a project, and the root names none.
fn filled(template: &str, model: &str) -> Option<PathAndQuery> {
    fill(template, model).try_into().ok().filter(|_| !template.contains(PROJECT))
}

/// Fill the model in: percent-encoded as one segment, or with its slashes.
fn fill(template: &str, model: &str) -> String {
    let filled = template.replace("{model}", &escape(model, false)).replace("{path}", &escape(model, true));
    match filled.contains("{dotless}") {
        true => filled.replace("{dotless}", &escape(&model.replace('.', "_"), true)),
        false => filled,
    }
}

/// Percent-encode a model's name; with `slashes`, as several segments, of which none may climb.
fn escape(model: &str, slashes: bool) -> String {
    let mut out = String::with_capacity(model.len());
    let climbs = model.split('/').any(|segment| matches!(segment, "." | ".." | ""));
    for byte in model.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => out.push(char::from(byte)),
            b'/' if slashes && !climbs => out.push('/'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_elsewhere_names_the_project_of_the_root() {
        let of = |root: &str| {
            let paths = Paths { root: root.to_owned(), ..Paths::default() };
            let found = paths.find(Op::Rerank, Some("https://rank.example/v1/projects/{project}/x:rank"), "m");
            found.map(|path| path.to_string())
        };
        assert_eq!(of("/v1/projects/tides/locations/eu").as_deref(), Some("/v1/projects/tides/x:rank"));
        assert_eq!(of("/v1"), None);
    }

    #[test]
    fn a_path_is_filled_with_the_models_name() {
        let check = |root: &str, query: Option<&str>, way: &'static str, model: &str, expected: &str| {
            let paths = Paths { root: root.to_owned(), query: query.map(str::to_owned), known: Vec::new() };
            let found = paths.find(Op::Chat, Some(way), model);
            assert_eq!(found.map(|path| path.to_string()), Some(expected.to_owned()), "{way} {model}");
        };
        let sse = "/models/{model}:streamGenerateContent?alt=sse";
        check("/v1beta", None, sse, "gemini-3-pro", "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse");
        check("", Some("v=1"), sse, "a b", "/models/a%20b:streamGenerateContent?alt=sse&v=1");
        check("", Some("v=1"), "/chat", "m", "/chat?v=1");
        let arn = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.x-v1:0";
        let escaped = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x-v1%3A0/converse";
        check("", None, "/model/{model}/converse", arn, escaped);
        check("/v1", None, "/models/{path}/predictions", "meta/llama 3", "/v1/models/meta/llama%203/predictions");
        check("/v1", None, "/models/{path}/predictions", "../x", "/v1/models/..%2Fx/predictions");
    }
}
