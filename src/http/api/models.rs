//! `GET /v1/models`: every name that can be asked for, with what is known of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::Error;
use crate::catalog::known::Owner;
use crate::catalog::view::{pricing_now, status};
use crate::catalog::{Row, date};
use crate::http::error::Failure;
use crate::pipeline::{Gateway, Rules};
use crate::routing::Target;
use crate::wire::Tier;

/// What to list; without any of them, everything.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Filter {
    /// The id of a provider or the name of a target.
    pub provider: Option<String>,
    /// What a model must be able to do; several, with commas between them, must all be there.
    pub capability: Option<String>,
    /// Parts of the id or the name, in any case, with blanks between them.
    pub search: Option<String>,
}

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Model>,
}

/// A name that can be asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Model {
    id: Arc<str>,
    object: &'static str,
    created: u64,
    owned_by: Arc<str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<&'static str>,
    /// What it stands for, if it is an alias.
    #[serde(skip_serializing_if = "Option::is_none")]
    alias_of: Option<Arc<str>>,
    #[serde(flatten)]
    known: Known,
}

/// What the catalog knows; what it does not know is left out, but for a price, which is `null` then.
#[derive(Clone, Debug, Default, Serialize)]
struct Known {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<&'static str>,
    /// The content it is known not to take, by the capability that this would be; what is in neither list is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lacks: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deprecated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation_date: Option<String>,
    pricing: Option<Map<String, Value>>,
}

/// All of them: the first target that lists a name owns it; aliases belong to the owner of what they stand for.
pub async fn list(State(gateway): State<Arc<Gateway>>, filter: Result<Query<Filter>, QueryRejection>) -> Response {
    let Ok(Query(filter)) = filter else {
        let message = "the filters are `provider`, `capability` and `search`, each at most once".to_owned();
        return Failure::from(Error::Invalid { param: "query".to_owned(), message }).into_response();
    };
    Json(List { object: "list", data: all(&gateway.snapshot().rules, &filter) }).into_response()
}

/// All that the filter lets through, by name.
pub fn all(rules: &Rules, filter: &Filter) -> Vec<Model> {
    listed(rules).into_values().filter(|model| filter.takes(model)).collect()
}

/// One of them, or a name that would be routed although nobody lists it.
pub async fn retrieve(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    let rules = &gateway.snapshot().rules;
    let id: Arc<str> = id.into();
    let model = rules.aliases.get(&id).and_then(|chain| chain.first()).unwrap_or(&id);
    let found = match rules.routing.server(model) {
        Some((target, asked)) => {
            let alias_of = (*model != id).then(|| model.clone());
            Some(Model { alias_of, ..Model::of(rules, &id, &target, &asked, now()) })
        }
        // some serve it in other ways than chat
        None => listed(rules).remove(&id),
    };
    match found {
        Some(model) => Json(model).into_response(),
        None => Failure::from(Error::NoTarget(id)).into_response(),
    }
}

impl Filter {
    fn takes(&self, model: &Model) -> bool {
        let owner = |wanted: &str| *model.owned_by == *wanted || model.provider == Some(wanted);
        let able = |wanted: &str| model.known.capabilities.contains(&wanted.trim());
        let named = |wanted: &str| {
            let names = [&model.id, model.known.name.as_deref().unwrap_or_default()].map(str::to_lowercase);
            let part = |part: &str| names.iter().any(|name| name.contains(part));
            wanted.to_lowercase().split_whitespace().all(part)
        };
        self.provider.as_deref().is_none_or(owner)
            && self.capability.as_deref().is_none_or(|wanted| wanted.split(',').all(able))
            && self.search.as_deref().is_none_or(named)
    }
}

fn now() -> u64 {
    date::unix(SystemTime::now())
}

fn listed(rules: &Rules) -> BTreeMap<Arc<str>, Model> {
    let now = now();
    let mut models: BTreeMap<Arc<str>, Model> = BTreeMap::new();
    let targets = rules.routing.reachable();
    // what a target is known to serve comes before what it may serve
    let known = targets.iter().flat_map(|target| target.names().into_iter().map(move |id| (target, id)));
    let may = targets.iter().flat_map(|target| target.catalogued().into_iter().map(move |id| (target, id)));
    for (target, id) in known.chain(may) {
        models.entry(id).or_insert_with_key(|id| Model::of(rules, id, target, &target.upstream_model(id), now));
    }
    for (alias, chain) in &rules.aliases {
        let Some(model) = chain.first() else { continue };
        let mut stands_for = match models.get(model) {
            Some(known) => Model { id: alias.clone(), ..known.clone() },
            None => match rules.routing.server(model) {
                Some((target, asked)) => Model::of(rules, alias, &target, &asked, now),
                None => Model::unknown(alias),
            },
        };
        stands_for.alias_of = Some(model.clone());
        models.insert(alias.clone(), stands_for);
    }
    models
}

impl Model {
    /// A name as one target serves it, which asks its provider for `asked`.
    fn of(rules: &Rules, id: &Arc<str>, target: &Target, asked: &str, now: u64) -> Self {
        let provider = target.provider.spec.id;
        let owner = Owner { provider, target: &target.name };
        let mut known = rules.catalog.facts(owner, asked).map(|row| Known::of(row, now)).unwrap_or_default();
        // what is only known from somebody else has everything but a price
        let prices = rules.catalog.prices(owner, asked);
        known.lacks = target.provider.lacks(asked).names().collect();
        known.pricing = prices.map(|prices| pricing_now(&prices.rates(now, Tier::Standard, 0)));
        Self { owned_by: target.name.clone(), provider: Some(provider), known, ..Self::unknown(id) }
    }

    fn unknown(id: &Arc<str>) -> Self {
        Self {
            id: id.clone(),
            object: "model",
            created: 0,
            owned_by: "alias".into(),
            provider: None,
            alias_of: None,
            known: Known::default(),
        }
    }
}

impl Known {
    fn of(row: Row<'_>, now: u64) -> Self {
        let tokens = |number: u32| Some(number).filter(|number| *number > 0);
        let (today, ..) = date::of_unix(now);
        Self {
            name: row.name().map(str::to_owned),
            mode: Some(mode(row.mode())),
            context_window: tokens(row.context()),
            max_output_tokens: tokens(row.max_output()),
            capabilities: row.capabilities().collect(),
            lacks: Vec::new(),
            // of those that are gone, clients of the reference know no other word
            status: Some(if row.is_retired() { "deprecated" } else { status(row) }),
            deprecated: row.is_retired() || row.deprecated().is_some_and(|day| day <= today),
            deprecation_date: row.deprecated().map(date::render),
            pricing: None,
        }
    }
}

/// The words that clients of the reference know.
fn mode(ours: &'static str) -> &'static str {
    match ours {
        "transcription" => "audio_in",
        "speech" => "audio_out",
        other => other,
    }
}
