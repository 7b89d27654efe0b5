//! Images as the caller wants to have them: what an answer only names is fetched where base64 was asked for.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};

use super::Provider;
use super::fault;
use super::predictions::files::Files;
use super::receive::Got;
use super::surface;
use super::trace::Trace;
use crate::call::{Call, Error, Fault, Upstream};
use crate::wire::Object;
use crate::wire::extras::base64;

/// No more images of one answer are fetched.
const MOST: usize = 16;

/// So many at once.
const AT_ONCE: usize = 4;

/// All of them together have no more than this, bytes.
const LARGEST: usize = 64 << 20;

/// Ask for images. As [`Provider::ask`], but that images come in base64 if that is wanted and the row says where its
/// answers keep them: <https://platform.openai.com/docs/api-reference/images/create>. Whatever can't be had so keeps its
/// address, and a warning says it: the image is paid.
pub(super) async fn ask(provider: &Provider, call: &Call, model: &str, trace: &mut Trace<'_>) -> Result<Got, Error> {
    let got = match &provider.keys {
        Some(keys) => keys.ask(provider, call, model, trace).await?,
        None => provider.ask_with(&provider.ready, call, model, trace.warnings).await?,
    };
    let (wanted, other) = match surface::asked_format(call).as_str() {
        "b64_json" => ("b64_json", "url"),
        "url" => ("url", "b64_json"),
        _ => return Ok(got),
    };
    // what is too long to be held has images in it
    let Got::Whole(body, usage) = got else { return Ok(got) };
    let Ok(mut answer) = Object::parse(body.clone()) else { return Ok(Got::Whole(body, usage)) };
    let mut images = answer.objects("data").unwrap_or_default();
    let lacks = |image: &Object| !says(image, wanted) && says(image, other);
    let missing: Vec<usize> = (0..images.len()).filter(|at| lacks(&images[*at])).collect();
    if missing.is_empty() {
        return Ok(Got::Whole(body, usage));
    }
    let mut found = 0;
    if let (Some(files), "b64_json") = (&provider.files, wanted) {
        let addresses = missing.iter().take(MOST).filter_map(|at| Some((*at, images[*at].get("url").ok()??)));
        for (at, image) in fetched(provider, files, call, addresses.collect()).await {
            images[at].remove("url");
            images[at].set_text("b64_json", &base64(&image));
            found += 1;
        }
        answer.set_objects("data", &images);
    }
    if found < missing.len() && !trace.warnings.iter().any(|said| said.starts_with("param=response_format;")) {
        provider.notes(model, call.stream, trace.warnings).warn("response_format", "dropped");
    }
    Ok(Got::Whole(if found > 0 { answer.encode() } else { body }, usage))
}

/// Whether an image has a member that is a text.
fn says(image: &Object, name: &str) -> bool {
    image.raw(name).is_some_and(|value| value.starts_with(b"\"") && value != b"\"\"")
}

/// Those of the images at these addresses that can be had in the time that a whole answer may take.
async fn fetched(
    provider: &Provider,
    files: &Files,
    call: &Call,
    addresses: Vec<(usize, String)>,
) -> Vec<(usize, Bytes)> {
    let most = LARGEST / addresses.len().max(1);
    let each =
        addresses.into_iter().map(|(at, url)| async move { (at, picture(provider, files, call, &url, most).await) });
    let mut asked = stream::iter(each).buffer_unordered(AT_ONCE);
    let mut found = Vec::new();
    let reading = async {
        while let Some((at, image)) = asked.next().await {
            match image {
                Ok(image) => found.push((at, image)),
                Err(error) => tracing::warn!(%error, "an image that an answer names was not fetched"),
            }
        }
    };
    let total: Duration = provider.total;
    if tokio::time::timeout(total, reading).await.is_err() {
        tracing::warn!(?total, "images that an answer names were not fetched in time");
    }
    found
}

/// The image at this address. Fails if it can't be had, is none, or is longer than `most` bytes.
async fn picture(
    provider: &Provider,
    files: &Files,
    call: &Call,
    url: &str,
    most: usize,
) -> Result<Bytes, Box<Upstream>> {
    let (kind, content) = files.read(provider, call, url, most).await?;
    let media = kind.split(';').next().unwrap_or_default().trim();
    let begins = media.get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case("image/"));
    let unsaid =
        ["", "application/octet-stream", "binary/octet-stream"].iter().any(|kind| media.eq_ignore_ascii_case(kind));
    match begins || unsaid {
        true => Ok(content),
        false => Err(fault::ours(provider, Fault::Server, format!("names a file of the type `{media}` as an image"))),
    }
}
