//! Formats as laws: what must hold for any bytes, and tables of what servers are known to send.

mod anthropic;
pub(crate) mod bedrock;
mod bytes_of_all_kinds;
mod completions;
mod errors;
mod events;
mod forms;
mod frames;
mod gemini;
mod natives;
mod object;
mod replicate;
mod think;
mod typed;
mod usage;

use bytes::Bytes;
use ferrogw::wire::Object;
use proptest::prelude::*;
use proptest::sample::Index;

fn object(json: impl Into<Vec<u8>>) -> Object {
    Object::parse(Bytes::from(json.into())).unwrap()
}

/// The same bytes in pieces, wherever they were cut.
fn cut<'a>(whole: &'a [u8], places: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(whole.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places.into_iter().chain([whole.len()]) {
        pieces.push(&whole[from..place]);
        from = place;
    }
    pieces
}

fn places() -> impl Strategy<Value = Vec<Index>> {
    prop::collection::vec(any::<Index>(), 0..24)
}

/// Bytes that are nearly a stream of events: most of what can go wrong with one happens in a few of them.
fn scraps() -> impl Strategy<Value = Vec<u8>> {
    let scrap = prop::sample::select(vec![
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\r",
        "\u{feff}",
        ":",
        ": ping\n\n",
        "data",
        "data:",
        "data: ",
        "data: [DONE]",
        "event: error",
        "event: message\n",
        "id: 1",
        "retry: 5",
        "{}",
        "{\"choices\":[{\"delta\":",
        "{\"content\":\"hi\"}",
        "}]}",
        "{\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}",
        "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}",
        "{\"error\":{\"message\":\"no\",\"code\":503}}",
        "nonsense",
        "é",
    ]);
    prop::collection::vec(scrap, 0..24).prop_map(|scraps| scraps.concat().into_bytes())
}
