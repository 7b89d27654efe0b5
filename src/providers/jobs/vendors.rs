//! Who does it: one `match` over the vendors for each thing that can be asked for.

use super::upload::{Input, Sheet};
use super::{
    Batch, Desk, File, Jobs, Order, Page, anthropic, bedrock, cohere, fireworks, for_batches_alone, gemini, vertex,
};
use crate::call::Error;
use crate::providers::receive::Got;

/// Keep an input whose lines are the vendor's own already.
pub(super) async fn keep_input(desk: &mut Desk<'_>, jobs: Jobs, input: Input) -> Result<File, Error> {
    match jobs {
        Jobs::Anthropic => anthropic::keep_input(desk, input),
        Jobs::Gemini => gemini::keep_input(desk, input).await,
        Jobs::Vertex => vertex::keep_input(desk, input).await,
        Jobs::Bedrock => bedrock::keep_input(desk, input).await,
        Jobs::Cohere => cohere::keep_input(desk, input).await,
        Jobs::Fireworks => fireworks::keep_input(desk, input).await,
    }
}

/// Keep any other file.
pub(super) async fn keep_file(desk: &mut Desk<'_>, jobs: Jobs, sheet: Sheet<'_>) -> Result<File, Error> {
    match jobs {
        Jobs::Anthropic => anthropic::keep_file(desk, sheet).await,
        Jobs::Gemini => gemini::keep_file(desk, sheet).await,
        Jobs::Bedrock | Jobs::Cohere | Jobs::Fireworks | Jobs::Vertex => Err(for_batches_alone(desk)),
    }
}

/// A part of the files, and whether there are more behind it.
pub(super) async fn files(desk: &mut Desk<'_>, jobs: Jobs, page: &Page) -> Result<(Vec<File>, bool), Error> {
    match jobs {
        Jobs::Anthropic => anthropic::files(desk, page).await,
        Jobs::Gemini => gemini::files(desk, page).await,
        Jobs::Vertex => vertex::files(desk, page).await,
        Jobs::Bedrock => bedrock::files(desk, page).await,
        Jobs::Cohere => cohere::files(desk, page).await,
        Jobs::Fireworks => fireworks::list_files(desk, page).await,
    }
}

/// What is known of a file.
pub(super) async fn file(desk: &mut Desk<'_>, jobs: Jobs, id: &str) -> Result<File, Error> {
    match jobs {
        Jobs::Anthropic => anthropic::file(desk, id).await,
        Jobs::Gemini => gemini::file(desk, id).await,
        Jobs::Vertex => vertex::file(desk, id).await,
        Jobs::Bedrock => bedrock::file(desk, id).await,
        Jobs::Cohere => cohere::file(desk, id).await,
        Jobs::Fireworks => fireworks::file(desk, id).await,
    }
}

/// What is in a file, as it comes.
pub(super) async fn content(desk: &mut Desk<'_>, jobs: Jobs, id: &str) -> Result<Got, Error> {
    match jobs {
        Jobs::Anthropic => anthropic::content(desk, id).await,
        Jobs::Gemini => gemini::content(desk, id).await,
        Jobs::Vertex => vertex::content(desk, id).await,
        Jobs::Bedrock => bedrock::content(desk, id).await,
        Jobs::Cohere => cohere::content(desk, id).await,
        Jobs::Fireworks => fireworks::content(desk, id).await,
    }
}

/// Delete a file.
pub(super) async fn delete(desk: &mut Desk<'_>, jobs: Jobs, id: &str) -> Result<(), Error> {
    match jobs {
        Jobs::Anthropic => anthropic::delete(desk, id).await,
        Jobs::Gemini => gemini::delete(desk, id).await,
        Jobs::Vertex => vertex::delete(desk, id).await,
        Jobs::Bedrock => bedrock::delete(desk, id).await,
        Jobs::Cohere => cohere::delete(desk, id).await,
        Jobs::Fireworks => fireworks::delete(desk, id).await,
    }
}

/// Make a batch.
pub(super) async fn make(desk: &mut Desk<'_>, jobs: Jobs, order: Order) -> Result<Batch, Error> {
    match jobs {
        Jobs::Anthropic => anthropic::make(desk, order).await,
        Jobs::Gemini => gemini::make(desk, order).await,
        Jobs::Vertex => vertex::make(desk, order).await,
        Jobs::Bedrock => bedrock::make(desk, order).await,
        Jobs::Cohere => cohere::make(desk, order).await,
        Jobs::Fireworks => fireworks::make(desk, order).await,
    }
}

/// A part of the batches, and whether there are more behind it.
pub(super) async fn batches(desk: &mut Desk<'_>, jobs: Jobs, page: &Page) -> Result<(Vec<Batch>, bool), Error> {
    match jobs {
        Jobs::Anthropic => anthropic::batches(desk, page).await,
        Jobs::Gemini => gemini::batches(desk, page).await,
        Jobs::Vertex => vertex::batches(desk, page).await,
        Jobs::Bedrock => bedrock::batches(desk, page).await,
        Jobs::Cohere => cohere::batches(desk, page).await,
        Jobs::Fireworks => fireworks::batches(desk, page).await,
    }
}

/// How a batch is doing.
pub(super) async fn batch(desk: &mut Desk<'_>, jobs: Jobs, id: &str) -> Result<Batch, Error> {
    match jobs {
        Jobs::Anthropic => anthropic::batch(desk, id).await,
        Jobs::Gemini => gemini::batch(desk, id).await,
        Jobs::Vertex => vertex::batch(desk, id).await,
        Jobs::Bedrock => bedrock::batch(desk, id).await,
        Jobs::Cohere => cohere::batch(desk, id).await,
        Jobs::Fireworks => fireworks::batch(desk, id).await,
    }
}

/// End a batch before its time, and say how it is doing then.
pub(super) async fn cancel(desk: &mut Desk<'_>, jobs: Jobs, id: &str) -> Result<Batch, Error> {
    match jobs {
        Jobs::Anthropic => anthropic::cancel(desk, id).await,
        Jobs::Gemini => gemini::cancel(desk, id).await,
        Jobs::Vertex => vertex::cancel(desk, id).await,
        Jobs::Bedrock => bedrock::cancel(desk, id).await,
        Jobs::Cohere => cohere::cancel(desk, id).await,
        Jobs::Fireworks => fireworks::cancel(desk, id).await,
    }
}
