//! `GET /v1/capabilities`: what the providers that are served can do.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::call::Error;
use crate::http::error::Failure;
use crate::pipeline::Gateway;
use crate::providers::capabilities::{self, CLASSIC, Effect};
use crate::providers::spec::Spec;

/// What is asked about.
#[derive(Deserialize)]
pub struct About {
    /// Only this provider.
    provider: Option<String>,
    /// As this model is asked: some parameters depend on its name.
    model: Option<String>,
}

#[derive(Serialize)]
struct Matrix {
    /// The formats of images of providers that have no choice.
    image_response_formats: BTreeMap<&'static str, &'static [&'static str]>,
    /// The parameters that the matrix has always had, as `forward`, `translate` or `unsupported`.
    providers: BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>,
    /// All parameters; also `ignored`, for what is accepted and has no effect.
    parameters: BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>,
    /// Of the model that was asked about, where it is known: whether it takes images, sound, videos and files, by the
    /// names of those capabilities.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    content: BTreeMap<&'static str, BTreeMap<&'static str, bool>>,
    /// The operations, each as `native` or by which other one it is served.
    surfaces: BTreeMap<&'static str, BTreeMap<&'static str, &'static str>>,
}

/// The providers that targets name, each once.
pub async fn list(State(gateway): State<Arc<Gateway>>, about: Result<Query<About>, QueryRejection>) -> Response {
    let about = match about {
        Ok(Query(about)) => about,
        Err(rejection) => {
            let (param, message) = ("query".to_owned(), rejection.body_text());
            return Failure::from(Error::Invalid { param, message }).into_response();
        }
    };
    let rules = &gateway.snapshot().rules;
    let wanted = |spec: &&'static Spec| about.provider.as_deref().is_none_or(|name| spec.is_called(name));
    let served: BTreeMap<_, _> =
        rules.targets.iter().map(|target| target.provider.spec).filter(wanted).map(|spec| (spec.id, spec)).collect();
    if served.is_empty() && about.provider.is_some() {
        return Failure::NotFound.into_response();
    }
    let mut matrix = Matrix {
        image_response_formats: BTreeMap::new(),
        providers: BTreeMap::new(),
        parameters: BTreeMap::new(),
        content: BTreeMap::new(),
        surfaces: BTreeMap::new(),
    };
    for (id, spec) in served {
        let all = capabilities::parameters(spec, about.model.as_deref());
        let classic = all[..CLASSIC].iter().map(|(name, effect)| {
            let effect = if *effect == Effect::Ignored { Effect::Unsupported } else { *effect };
            (*name, effect.name())
        });
        matrix.providers.insert(id, classic.collect());
        matrix.parameters.insert(id, all.iter().map(|(name, effect)| (*name, effect.name())).collect());
        let surfaces = capabilities::surfaces(spec).into_iter();
        let surfaces = surfaces.map(|(op, native)| (op.name(), if native { "native" } else { "chat" }));
        matrix.surfaces.insert(id, surfaces.collect());
    }
    for target in about.model.iter().flat_map(|_| &rules.targets) {
        let (provider, model) = (&target.provider, about.model.as_deref().unwrap_or_default());
        if wanted(&provider.spec) {
            let known = provider.content(model);
            matrix.content.entry(provider.spec.id).or_insert_with(|| known.collect());
        }
    }
    matrix.content.retain(|_, known| !known.is_empty());
    Json(matrix).into_response()
}
