//! What a request will probably cost at a target: its prompt, the usual length of an answer, the usual share of the cache.

use jiff::Timestamp;

use super::candidates::Candidate;
use super::facts::Facts;
use crate::call::{Op, Usage, Usd};

/// Output tokens that are expected of a model that nobody knows yet.
const USUAL: u64 = 400;

/// One request, as far as its price goes.
pub struct Ask {
    op: Op,
    prompt: u64,
    most: Option<u64>,
    count: u32,
}

impl Ask {
    /// Of a request.
    pub fn of(facts: &Facts<'_>) -> Self {
        Self { op: facts.call.op, prompt: facts.tokens() + 1, most: facts.most_output(), count: facts.count() }
    }

    /// The expected cost; `None` if the price is not known.
    pub fn cost(&self, candidate: &Candidate, now: Timestamp) -> Option<Usd> {
        let at = u64::try_from(now.as_second()).unwrap_or(0);
        candidate.prices.as_ref()?.cost(&self.usage(candidate), at)
    }

    /// The expected usage.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an estimate of a share of the tokens"
    )]
    pub fn usage(&self, candidate: &Candidate) -> Usage {
        let habit = candidate.habit.as_deref();
        let tokens = || {
            let usual = habit.and_then(|habit| habit.output()).unwrap_or(USUAL);
            u64::from(self.count) * self.most.map_or(usual, |most| usual.min(most))
        };
        let characters = u32::try_from(self.prompt * 4).unwrap_or(u32::MAX);
        let usage = Usage { prompt: self.prompt, estimated: true, ..Usage::default() };
        match self.op {
            Op::Chat | Op::Complete | Op::Respond => {
                let cached = (self.prompt as f32 * habit.map_or(0.0, |habit| habit.cached())) as u64;
                Usage { completion: tokens(), cached, ..usage }
            }
            Op::Image | Op::ImageEdit | Op::ImageVariation => Usage { images: self.count, ..usage },
            Op::Speech => Usage { characters, ..usage },
            // a minute, since the length is only known to who hears it: enough to compare by
            Op::Transcribe | Op::Translate => Usage { millis: 60_000, ..usage },
            Op::Rerank => Usage { queries: 1, ..usage },
            Op::Embed | Op::Moderate | Op::Stored | Op::File | Op::Batch | Op::Pass => usage,
        }
    }
}
