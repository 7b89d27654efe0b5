//! A second attempt beside one that is silent: the first content wins, the other attempt is stopped and counted.

use std::iter::Peekable;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

use super::hold::Hold;
use super::walk::{Met, Miss, Way, attempts, has_more, next, tried};
use crate::call::{Error, Op, Route};
use crate::providers::receive::Got;
use crate::routing::Step;
use crate::routing::hedge::Hedge;

/// How a step ended.
type Ended = Result<(Got, Hold), Miss>;

/// The rule of a plan, if it has one and the call may be asked twice: what makes something that stays may not.
pub(super) fn applies<'w>(way: &Way<'w, '_>) -> Option<&'w Hedge> {
    let hedge = way.plan.legs.first()?.route.hedge.as_ref()?;
    let harmless = matches!(way.call.op, Op::Chat | Op::Complete | Op::Embed | Op::Rerank | Op::Moderate);
    harmless.then_some(hedge)
}

/// Ask the first target of a plan, and the second as well while the first is silent. `None` if neither has answered and
/// the rest of the plan is to be asked; what was met is noted.
pub(super) async fn first<'p>(
    way: Way<'_, '_>,
    hedge: &Hedge,
    steps: &mut Peekable<impl Iterator<Item = Step<'p>>>,
    route: &mut Route,
    met: &mut Met,
) -> Result<Option<(Got, Hold)>, Error> {
    let Some(step) = next(steps, route, met) else { return Ok(None) };
    let others = has_more(steps);
    hedge.budget.earn();
    let patience = hedge.patience(step.candidate, way.call.stream).filter(|_| others);
    let begun = Instant::now();
    let mut own = route.clone();
    let ended = {
        let mut one = pin!(attempts(way, &step, others, &mut own));
        let waited = match patience {
            None => Some(one.as_mut().await),
            Some(patience) => tokio::time::timeout(patience, one.as_mut()).await.ok(),
        };
        match waited {
            Some(ended) => Raced::First(ended),
            None if !hedge.budget.spend(Instant::now()) => Raced::First(one.await),
            None => match next(steps, route, met) {
                None => Raced::First(one.await),
                Some(second) => {
                    let others = has_more(steps);
                    let mut theirs = route.clone();
                    let since = Instant::now();
                    let raced = {
                        let mut two = pin!(attempts(way, &second, others, &mut theirs));
                        match select(one.as_mut(), two.as_mut()).await {
                            Either::Left((Ok(got), _)) => Both::FirstWon(got),
                            Either::Right((Ok(got), _)) => Both::SecondWon(got),
                            Either::Left((Err(miss), _)) if miss.is_final(&step) => Both::FirstEnded(miss),
                            Either::Left((Err(miss), _)) => Both::FirstFailed(miss, two.await),
                            Either::Right((Err(miss), _)) => Both::SecondFailed(one.await, miss),
                        }
                    };
                    match &raced {
                        Both::FirstWon(_) | Both::FirstEnded(_) => {
                            theirs.tried.push(tried(&second, "outpaced", None, since))
                        }
                        Both::SecondWon(_) => theirs.tried.push(tried(&step, "outpaced", None, begun)),
                        Both::FirstFailed(..) | Both::SecondFailed(..) => {}
                    }
                    Raced::Both(Box::new((second, theirs, raced)), since.elapsed())
                }
            },
        }
    };
    match ended {
        Raced::First(ended) => {
            *route = own;
            answered(ended, &step, others, met)
        }
        Raced::Both(both, beside) => {
            let (second, theirs, raced) = *both;
            let attempts = own.attempts + theirs.attempts;
            let retries = own.retries + theirs.retries;
            let tried: Vec<_> = own.tried.iter().chain(&theirs.tried).cloned().collect();
            let more = has_more(steps);
            let at = &second.candidate.target;
            let count = |result| way.metrics.hedged(at.provider.spec.id, &at.name, result);
            // it was asked, so its prompt is paid for
            let stopped = |step: &Step<'_>| {
                let target = &step.candidate.target;
                way.metrics.stopped(target.provider.spec.id, &target.name, (way.call.body.size() / 4) as u64);
            };
            let (winner, result) = match raced {
                Both::FirstWon(got) => {
                    count("lost");
                    stopped(&second);
                    (own, Ok(Some(got)))
                }
                Both::SecondWon(got) => {
                    count("won");
                    stopped(&step);
                    (theirs, Ok(Some(got)))
                }
                Both::FirstEnded(miss) => {
                    count("lost");
                    stopped(&second);
                    (own, answered(Err(miss), &step, more, met))
                }
                Both::FirstFailed(miss, ended) => {
                    count(if ended.is_ok() { "won" } else { "failed" });
                    let noted = met.note(miss, &step, false);
                    (theirs, noted.and_then(|()| answered(ended, &second, more, met)))
                }
                Both::SecondFailed(Ok(got), _) => {
                    count("failed");
                    (own, Ok(Some(got)))
                }
                // as if they had been asked one after the other
                Both::SecondFailed(Err(first), miss) => {
                    count("failed");
                    let last = if first.is_final(&step) { own } else { theirs };
                    let noted = met.note(first, &step, false);
                    (last, noted.and_then(|()| answered(Err(miss), &second, more, met)))
                }
            };
            *route = winner;
            (route.attempts, route.retries, route.tried) = (attempts, retries, tried);
            // the second began later: the time of both is that of the first until then and of the winner since
            route.upstream = route.upstream.max(patience.unwrap_or(Duration::ZERO) + beside);
            result
        }
    }
}

/// How it went.
enum Raced<'p> {
    First(Ended),
    Both(Box<(Step<'p>, Route, Both)>, Duration),
}

/// How it went with two.
enum Both {
    FirstWon((Got, Hold)),
    SecondWon((Got, Hold)),
    FirstEnded(Miss),
    FirstFailed(Miss, Ended),
    SecondFailed(Ended, Miss),
}

fn answered(ended: Ended, step: &Step<'_>, others: bool, met: &mut Met) -> Result<Option<(Got, Hold)>, Error> {
    match ended {
        Ok(got) => Ok(Some(got)),
        Err(miss) => met.note(miss, step, !others).map(|()| None),
    }
}
