//! Orders of a few candidates, as pure functions of weights, standings and chance. They allocate nothing but `out`.

use smallvec::SmallVec;

use super::pace::{SECOND, Standing};

/// Places of candidates in their turn; as many as any configuration has, without an allocation.
pub type Turns = SmallVec<[u16; 32]>;

/// One call in so many goes where no call has told anything for longest.
const EXPLORE: f64 = 1.0 / 50.0;
/// Nobody is explored who has told something within this time, ticks.
const FRESH: u32 = 5 * SECOND;
/// Whoever has failed without ever telling how fast it is is not tried first within this time, ticks.
const SCARED: u32 = 10 * SECOND;
/// Two of those whose score is at most so many times the best are drawn, and the better one goes first. Calls under way
/// raise a score, so that more of them come into reach the more there is to do; a slow one is not in reach without need.
const REACH: f64 = 2.0;

/// The share of whoever has the most weight.
const WHOLE: f64 = (1_u64 << 47) as f64;

/// Weights as whole numbers: they are quicker to go through, and what is taken from their sum leaves no error.
#[derive(Debug)]
pub struct Shares {
    /// Of those that are ever drawn: the share, and the index among the weights.
    each: SmallVec<[(u64, u16); 8]>,
    total: u64,
    /// Whether all have the same.
    even: bool,
}

impl Shares {
    /// Of these weights. What is not a positive number is never drawn.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares are whole numbers")]
    pub fn of(weights: &[f64]) -> Self {
        let counts = |weight: &f64| *weight > 0.0 && weight.is_finite();
        let unit = weights.iter().copied().filter(counts).fold(0.0, f64::max) / WHOLE;
        let share = |weight: f64| ((weight / unit) as u64).max(1);
        let each = (0_u16..).zip(weights).filter(|(_, weight)| counts(weight)).map(|(at, weight)| (share(*weight), at));
        let each: SmallVec<[(u64, u16); 8]> = each.collect();
        let even = each.iter().all(|(share, _)| *share == each[0].0);
        Self { total: each.iter().map(|(share, _)| share).sum(), each, even }
    }

    /// Draw all, one after the other: at each place, each of those left comes with a chance in proportion to its weight.
    /// Indices into the weights are put into `out`, whatever was there. `chance` tells even numbers of [0, 1); the first
    /// of them alone says who comes first.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "no chance is as fine as shares are"
    )]
    pub fn draw(&self, chance: &mut impl FnMut() -> f64, out: &mut Turns) {
        out.clear();
        if self.even {
            out.extend(self.each.iter().map(|(_, at)| *at));
            for place in 0..out.len() {
                let drawn = place + below(out.len() - place, chance);
                out.swap(place, drawn);
            }
            return;
        }
        let mut left: SmallVec<[(u64, u16); 32]> = SmallVec::from_slice(&self.each);
        let mut total = self.total;
        for place in 0..left.len() {
            let mut mark = (chance() * total as f64) as u64;
            let mut drawn = left.len() - 1;
            for (at, (share, _)) in left.iter().enumerate().skip(place) {
                if mark < *share {
                    drawn = at;
                    break;
                }
                mark -= share;
            }
            left.swap(place, drawn);
            total -= left[place].0;
            out.push(left[place].1);
        }
    }
}

/// Order by what is expected of each, the least score first. Indices into `standings` are put into `out`, whatever was
/// there; all appear. `chance` tells even numbers of [0, 1).
///
/// - Before all others come those nobody knows anything of and nobody is asking, in random order.
/// - Then those with a score, ascending; but the first place goes to the better of two drawn among the best, or, once
///   in fifty calls, to the one that has told nothing for longest.
/// - Last come the unknown that are being asked or have just failed, those with fewer calls under way first: one call
///   finds out, the others do not wait for what it finds. Where nobody has a score, this spreads the calls evenly.
pub fn least(standings: &[Standing], chance: &mut impl FnMut() -> f64, out: &mut Turns) {
    start(out, standings.len());
    if standings.iter().all(|standing| standing.score.is_some_and(f64::is_finite)) {
        ascending(standings, out);
        return lead(standings, out, chance);
    }
    let of = |at: u16| &standings[usize::from(at)];
    let scored = |at: u16| of(at).score.is_some_and(f64::is_finite);
    // equals stay in the order they are shuffled into
    for place in (1..out.len()).rev() {
        out.swap(place, below(place + 1, chance));
    }
    let key = |at: u16| {
        let standing = of(at);
        match standing.score.filter(|score| score.is_finite()) {
            Some(score) => (1, score),
            None if standing.in_flight == 0 && standing.quiet >= SCARED => (0, 0.0),
            None => (2, f64::from(standing.in_flight)),
        }
    };
    // the few there are: insertion neither allocates nor disturbs equals
    for place in 1..out.len() {
        let (moved, own) = (out[place], key(out[place]));
        let mut at = place;
        while at > 0 && own < key(out[at - 1]) {
            out[at] = out[at - 1];
            at -= 1;
        }
        out[at] = moved;
    }
    if out.first().is_some_and(|first| scored(*first)) {
        lead(standings, out, chance);
    }
}

/// Which of those with a score, which come first and in their order, leads.
fn lead(standings: &[Standing], out: &mut Turns, chance: &mut impl FnMut() -> f64) {
    let of = |at: u16| &standings[usize::from(at)];
    let scored = |at: u16| of(at).score.is_some_and(f64::is_finite);
    if out.is_empty() {
        return;
    }
    let known = out.iter().take_while(|at| scored(**at)).count();
    let first = if chance() < EXPLORE { longest_quiet(standings, &out[..known]) } else { None };
    let first = first.unwrap_or_else(|| {
        let best = of(out[0]).score.unwrap_or_default();
        let reach = out[..known].partition_point(|at| of(*at).score.unwrap_or_default() <= best * REACH).max(1);
        if reach < 3 { 0 } else { better_of_two(reach, chance) }
    });
    out[..=first].rotate_right(1);
}

fn start(out: &mut Turns, len: usize) {
    out.clear();
    out.extend(0..u16::try_from(len).unwrap_or(u16::MAX));
}

/// All of them, who have a score, as it is in a gateway at work: measures are hardly ever equal, so nothing needs to be
/// shuffled. Scores are not negative, so their bits are in their order, too, and there is room for the place behind them.
#[expect(
    clippy::cast_possible_truncation,
    reason = "measures are no finer than that, places are the last sixteen bits"
)]
fn ascending(standings: &[Standing], out: &mut Turns) {
    let rank = |at: u16| {
        let score = standings[usize::from(at)].score.unwrap_or_default() as f32;
        u64::from(score.to_bits()) << 16 | u64::from(at)
    };
    let mut ranks: SmallVec<[u64; 32]> = out.iter().map(|at| rank(*at)).collect();
    ranks.sort_unstable();
    out.iter_mut().zip(ranks).for_each(|(turn, rank)| *turn = rank as u16);
}

/// An even index below `len`.
fn below(len: usize, chance: &mut impl FnMut() -> f64) -> usize {
    ((chance() * len as f64) as usize).min(len.saturating_sub(1))
}

/// The smaller of two different places: where places are in order, that is the better one.
fn better_of_two(len: usize, chance: &mut impl FnMut() -> f64) -> usize {
    let one = below(len, chance);
    let other = below(len - 1, chance);
    let other = if other >= one { other + 1 } else { other };
    one.min(other)
}

/// The place of the one that has told nothing for longest, if it is worth a call.
fn longest_quiet(standings: &[Standing], order: &[u16]) -> Option<usize> {
    let of = |place: usize| &standings[usize::from(order[place])];
    let idle = (0..order.len()).filter(|place| of(*place).in_flight == 0 && of(*place).quiet >= FRESH);
    idle.max_by_key(|place| of(*place).quiet)
}

#[cfg(test)]
mod tests {
    use super::super::random::Dice;
    use super::*;

    const DRAWS: usize = 50_000;

    /// How often each is first.
    fn firsts(len: usize, mut order: impl FnMut(&mut Turns)) -> Vec<usize> {
        let (mut counts, mut out) = (vec![0; len], Turns::new());
        for _ in 0..DRAWS {
            order(&mut out);
            counts[usize::from(out[0])] += 1;
        }
        counts
    }

    /// Whether a count is within three sigma of its share.
    fn within(count: usize, share: f64) {
        let sigma = (DRAWS as f64 * share * (1.0 - share)).sqrt();
        let off = count as f64 - DRAWS as f64 * share;
        assert!(off.abs() <= 3.0 * sigma, "{count} of {DRAWS} is not {share}");
    }

    #[test]
    fn each_place_is_drawn_by_the_weights_that_are_left() {
        let weights = [5.0, 3.0, 0.0, 2.0];
        let mut dice = Dice::new(1);
        let (mut first, mut after_first) = ([0; 4], [0; 4]);
        let mut out = Turns::new();
        for _ in 0..DRAWS {
            Shares::of(&weights).draw(&mut || dice.chance(), &mut out);
            assert_eq!(out.len(), 3);
            first[usize::from(out[0])] += 1;
            if out[0] == 0 {
                after_first[usize::from(out[1])] += 1;
            }
        }
        assert_eq!(first[2] + after_first[2], 0, "drained");
        for (at, share) in [(0, 0.5), (1, 0.3), (3, 0.2)] {
            within(first[at], share);
        }
        // given that 0 is first, which it is half of the time
        let second = after_first[1] as f64 / first[0] as f64;
        assert!((second - 0.6).abs() < 3.0 * (0.6 * 0.4 / first[0] as f64).sqrt(), "{second}");
    }

    #[test]
    fn weights_may_differ_a_billion_times() {
        let weights = [1e9, 1.0, 3.0, f64::NAN, -1.0, f64::INFINITY, 1e-9];
        let mut dice = Dice::new(2);
        let (mut second, mut out) = ([0; 7], Turns::new());
        for _ in 0..DRAWS {
            Shares::of(&weights).draw(&mut || dice.chance(), &mut out);
            assert_eq!((out.len(), out[0]), (4, 0));
            second[usize::from(out[1])] += 1;
        }
        within(second[2], 0.75);
    }

    #[test]
    fn nothing_to_choose_from_is_no_fault() {
        let mut out = Turns::from_slice(&[7]);
        Shares::of(&[]).draw(&mut || 0.5, &mut out);
        assert!(out.is_empty());
        Shares::of(&[0.0]).draw(&mut || 0.5, &mut out);
        assert!(out.is_empty());
        least(&[], &mut || 0.5, &mut out);
        assert!(out.is_empty());
        // a generator that rounds up to 1
        Shares::of(&[1.0, 1.0]).draw(&mut || 1.0, &mut out);
        assert_eq!(out.len(), 2);
        least(&[score(1.0); 3], &mut || 1.0, &mut out);
        assert_eq!(out.len(), 3);
    }

    fn score(score: f64) -> Standing {
        Standing { score: Some(score), in_flight: 1, quiet: 0 }
    }

    fn unknown(in_flight: u32, quiet: u32) -> Standing {
        Standing { score: None, in_flight, quiet: quiet * SECOND }
    }

    #[test]
    fn the_unknown_come_first_but_only_one_call_finds_out() {
        let standings =
            [score(1.0), Standing::NEW, unknown(2, 99), Standing::NEW, unknown(1, 99), score(9.0), unknown(0, 1)];
        let mut dice = Dice::new(3);
        let counts = firsts(7, |out| {
            least(&standings, &mut || dice.chance(), out);
            assert_eq!(out[2..], [0, 5, 6, 4, 2]);
        });
        assert_eq!(counts[1] + counts[3], DRAWS);
        within(counts[1], 0.5);
    }

    #[test]
    fn where_nobody_knows_anything_the_least_busy_comes_first() {
        let standings = [unknown(1, 99), unknown(3, 99), unknown(1, 99)];
        let mut dice = Dice::new(4);
        let counts = firsts(3, |out| least(&standings, &mut || dice.chance(), out));
        assert_eq!(counts[1], 0);
        within(counts[0], 0.5);
    }

    #[test]
    fn the_better_of_two_drawn_among_the_best_is_first() {
        let standings = [score(2.0), score(1.0), score(1.5), score(2.1)];
        let mut dice = Dice::new(5);
        let counts = firsts(4, |out| {
            least(&standings, &mut || dice.chance(), out);
            let rest: Vec<u16> = [1, 2, 0, 3].into_iter().filter(|at| *at != out[0]).collect();
            assert_eq!(out[1..], rest[..], "the others ascend");
        });
        assert_eq!((counts[0], counts[3]), (0, 0), "the worst in reach, and one out of reach");
        within(counts[1], 2.0 / 3.0);
        let pair = [score(1.9), score(1.0)];
        assert_eq!(firsts(2, |out| least(&pair, &mut || dice.chance(), out)), [0, DRAWS]);
    }

    #[test]
    fn one_call_in_fifty_goes_where_it_has_been_quiet_for_longest() {
        let quiet = |score, in_flight, secs| Standing { score: Some(score), in_flight, ..unknown(0, secs) };
        let standings = [quiet(0.1, 0, 1), quiet(9.0, 0, 60), quiet(8.0, 0, 70), quiet(7.0, 1, 80)];
        let mut dice = Dice::new(6);
        let counts = firsts(4, |out| least(&standings, &mut || dice.chance(), out));
        assert_eq!((counts[1], counts[3]), (0, 0));
        within(counts[2], EXPLORE);
        let fresh = [quiet(0.1, 0, 1), quiet(9.0, 0, 4)];
        assert_eq!(firsts(2, |out| least(&fresh, &mut || dice.chance(), out)), [DRAWS, 0]);
    }
}
