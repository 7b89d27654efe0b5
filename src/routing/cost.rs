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
        if let (Some(price), Op::Chat | Op::Complete | Op::Respond) = (candidate.per_token, self.op) {
            let (cached, output) = self.tokens(candidate);
            let fresh = self.prompt.saturating_sub(cached);
            let picos = [(fresh, price.input), (cached, price.cached), (output, price.output)];
            return Some(Usd::of_picos(picos.iter().map(|(count, each)| u128::from(*count) * u128::from(*each)).sum()));
        }
        let at = u64::try_from(now.as_second()).unwrap_or(0);
        candidate.prices.as_ref()?.cost(&self.usage(candidate), at)
    }

    /// The tokens of the prompt that are expected to come from the cache, and those of the answer.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an estimate of a share of the tokens"
    )]
    fn tokens(&self, candidate: &Candidate) -> (u64, u64) {
        let habit = candidate.habit.as_deref();
        let usual = habit.and_then(|habit| habit.output()).unwrap_or(USUAL);
        let output = u64::from(self.count) * self.most.map_or(usual, |most| usual.min(most));
        ((self.prompt as f32 * habit.map_or(0.0, |habit| habit.cached())) as u64, output)
    }

    /// The expected usage.
    pub fn usage(&self, candidate: &Candidate) -> Usage {
        let characters = u32::try_from(self.prompt * 4).unwrap_or(u32::MAX);
        let usage = Usage { prompt: self.prompt, estimated: true, ..Usage::default() };
        match self.op {
            Op::Chat | Op::Complete | Op::Respond => {
                let (cached, completion) = self.tokens(candidate);
                Usage { completion, cached, ..usage }
            }
            Op::Image | Op::ImageEdit | Op::ImageVariation => Usage { images: self.count, ..usage },
            Op::Speech => Usage { characters, ..usage },
            // a minute, since the length is only known to who hears it: enough to compare by
            Op::Transcribe | Op::Translate => Usage { millis: 60_000, ..usage },
            Op::Rerank => Usage { queries: 1, ..usage },
            Op::Embed | Op::Moderate | Op::Stored | Op::File | Op::Batch | Op::Realtime | Op::Pass => usage,
        }
    }
}
