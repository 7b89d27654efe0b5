//! `GET /v1/models`: every name that can be asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::call::Error;
use crate::http::error::Failure;
use crate::pipeline::{Gateway, Rules};

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Clone, Serialize)]
struct Model {
    id: Arc<str>,
    object: &'static str,
    created: u64,
    owned_by: Arc<str>,
}

/// All of them: the first target that lists a name owns it; aliases belong to the owner of what they stand for.
pub async fn list(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let data = known(&gateway.snapshot().rules).into_values().collect();
    Json(List { object: "list", data })
}

/// One of them, or a name that would be routed although nobody lists it.
pub async fn retrieve(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    let rules = &gateway.snapshot().rules;
    let id: Arc<str> = id.into();
    let listed = known(rules).remove(&id);
    let routed = || {
        let (target, _) = rules.strategy.plan(&rules.targets, crate::call::Op::Chat, &id).into_iter().next()?;
        Some(Model { id: id.clone(), object: "model", created: 0, owned_by: target.name.clone() })
    };
    match listed.or_else(routed) {
        Some(model) => Json(model).into_response(),
        None => Failure::from(Error::NoTarget(id)).into_response(),
    }
}

fn known(rules: &Rules) -> BTreeMap<Arc<str>, Model> {
    let mut models = BTreeMap::new();
    for target in rules.strategy.reachable(&rules.targets) {
        for id in target.names() {
            let model = Model { id: id.clone(), object: "model", created: 0, owned_by: target.name.clone() };
            models.entry(id).or_insert(model);
        }
    }
    for (alias, model) in &rules.aliases {
        let owner = models.get(model).map_or_else(|| "alias".into(), |model: &Model| model.owned_by.clone());
        models.insert(alias.clone(), Model { id: alias.clone(), object: "model", created: 0, owned_by: owner });
    }
    models
}
