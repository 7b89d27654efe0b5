//! What is known of the models that were asked: their descriptions, for an hour.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Method;

use super::Shared;
use super::address::Place;
use super::line::Line;
use crate::providers::client::Lines;
use crate::wire::replicate::model::{self, Model, Name};

/// How long a description is believed.
const MEMORY: Duration = Duration::from_secs(3600);

/// How long it is believed that there is none to be had.
const DOUBT: Duration = Duration::from_secs(60);

/// A call does not wait longer for a description: it can be made without.
const LIMIT: Duration = Duration::from_secs(5);

/// The most models that are remembered: they are named by callers.
const MOST: usize = 256;

/// The models of one target.
#[derive(Default)]
pub(super) struct Models(ArcSwap<Vec<Entry>>);

#[derive(Clone)]
struct Entry {
    name: Arc<str>,
    known: Known,
    until: Instant,
}

/// What is known of a model.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// Its description; empty if there is none to be had.
    pub(super) model: Shared,
    /// Whether it runs only when it is asked by its version.
    pub(super) by_version: bool,
}

impl Models {
    /// What is known of a model; it is asked about if nothing is.
    pub(super) async fn of(&self, line: &Line, place: &Place, name: &Name<'_>, text: &str) -> Known {
        let now = Instant::now();
        let found = self.0.load().iter().find(|entry| *entry.name == *text && entry.until > now).cloned();
        if let Some(entry) = found {
            return entry.known;
        }
        let model = tokio::time::timeout(LIMIT, describe(line, place, name)).await.ok().flatten();
        let until = now + if model.is_some() { MEMORY } else { DOUBT };
        let known = Known { model: model.unwrap_or_default().into(), by_version: false };
        self.put(Entry { name: text.into(), known: known.clone(), until });
        known
    }

    /// A model was found to run only by its version.
    pub(super) fn runs_by_version(&self, text: &str) {
        let entry = self.0.load().iter().find(|entry| *entry.name == *text).cloned();
        if let Some(mut entry) = entry {
            entry.known.by_version = true;
            self.put(entry);
        }
    }

    /// Two that learn at once may forget what one of them has learned: it is asked again.
    fn put(&self, entry: Entry) {
        let now = Instant::now();
        let others = |known: &&Entry| known.until > now && known.name != entry.name;
        let mut entries: Vec<Entry> = self.0.load().iter().filter(others).cloned().collect();
        entries.truncate(MOST - 1);
        entries.push(entry);
        self.0.store(entries.into());
    }
}

/// Ask for the description of a model, of a deployment's for that of the model behind it.
async fn describe(line: &Line, place: &Place, name: &Name<'_>) -> Option<Model> {
    let model = fetch(line, place, name).await?;
    match model.behind.as_deref().map(Name::read) {
        None => Some(model),
        Some(behind) => fetch(line, place, &behind?).await,
    }
}

async fn fetch(line: &Line, place: &Place, name: &Name<'_>) -> Option<Model> {
    let path = place.below(&name.description()?)?;
    let said = line.ask(Method::GET, &path, &Lines::default(), Bytes::new()).await.ok()?;
    model::read(said.body).ok().filter(|_| said.status.is_success())
}
