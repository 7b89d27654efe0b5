//! Who can be asked for a model, and how sure that is: found once for a model, then read for every call.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use super::digest::Digests;
use super::habits::Habit;
use super::order::Group;
use super::pace::Track;
use super::pool::Pool;
use super::target::Target;
use crate::call::Op;
use crate::catalog::Inputs;
use crate::catalog::price::{PerToken, Prices};

/// Models that are remembered; further ones are looked up for every call, since callers can name any.
const MOST: usize = 1000;

/// How sure it is that a target serves a model. A more certain one is asked first, and with few exceptions alone: a
/// prompt must not go to whoever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// The configuration says so.
    Declared,
    /// Its provider lists the name.
    Listed,
    /// The name is `provider/model`, and means it.
    Addressed,
    /// The name begins as its vendor's do, and the provider has not told which models it serves.
    Likely,
    /// The name begins as its vendor's do.
    Owned,
    /// The catalog knows the name.
    Catalogued,
    /// It takes any name.
    Any,
}

impl Claim {
    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The claims that stand beside this one, if it is the best there is.
    const fn peers(self) -> Claims {
        Claims(match self {
            Claim::Declared => Claim::Declared.bit() | Claim::Listed.bit(),
            // only the providers that have told their lists have said who serves it: the others may as well
            Claim::Listed => Claim::Listed.bit() | Claim::Likely.bit(),
            Claim::Likely | Claim::Owned => Claim::Likely.bit() | Claim::Owned.bit(),
            other => other.bit(),
        })
    }
}

/// A set of claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims(u8);

impl Claims {
    /// Those that count beside the best of these.
    pub fn best(of: impl Iterator<Item = Claim>) -> Self {
        of.min().map_or(Self::default(), Claim::peers)
    }

    /// Whether a claim is among them.
    pub fn has(self, claim: Claim) -> bool {
        self.0 & claim.bit() != 0
    }
}

/// A target that can be asked for a model.
pub struct Candidate {
    /// The target.
    pub target: Arc<Target>,
    /// Its own name for the model.
    pub model: Arc<str>,
    /// How sure that is.
    pub claim: Claim,
    /// What the model costs there, if that is known and somebody asks.
    pub prices: Option<Prices>,
    /// What a token costs there, where nothing else does.
    pub per_token: Option<PerToken>,
    /// How fast it has been, whole and streamed, if somebody asks.
    pub tracks: Option<[Arc<Track>; 2]>,
    /// How long its answers usually are, if somebody asks.
    pub habit: Option<Arc<Habit>>,
    /// The content that the model is known not to take.
    pub lacks: Inputs,
}

/// The targets of a route that can be asked for one model.
#[derive(Default)]
pub struct Candidates {
    /// In the order of the configuration.
    pub list: Vec<Candidate>,
    /// For each leaf of the route its place in the list and one more, or 0.
    places: Box<[u16]>,
    /// For each group of the route who of its members can be asked, once somebody has wanted to know.
    pools: Box<[OnceLock<Pool>]>,
}

impl Candidates {
    /// Those who can be asked. `leaves` are the targets of a route, which has so many `groups`; `make` adds what its
    /// strategies go by.
    pub fn of(
        (leaves, groups): (&[Arc<Target>], u16),
        op: Op,
        model: &Arc<str>,
        make: impl Fn(&Arc<Target>, Arc<str>, Claim) -> Candidate,
    ) -> Self {
        let pools = (0..groups).map(|_| OnceLock::new()).collect();
        let mut candidates = Self { list: Vec::new(), places: vec![0; leaves.len()].into(), pools };
        // for whom the name means, and can't do it, those who take any name do not stand in
        let head = model.split_once('/').map(|(head, _)| head);
        let means = |one: &Arc<Target>| {
            let spec = one.provider.spec;
            let owns = || one.lists(model) || spec.owns(model) || one.may_serve(model);
            head.is_some_and(|head| one.is_called(head)) || (!spec.serves(op) && owns())
        };
        let meant = leaves.iter().any(means);
        for (leaf, target) in leaves.iter().enumerate() {
            if let Some((claim, model)) = target.claim(op, model)
                && !(meant && claim == Claim::Any)
            {
                candidates.list.push(make(target, model, claim));
                candidates.places[leaf] = u16::try_from(candidates.list.len()).unwrap_or(0);
            }
        }
        candidates
    }

    /// The one that is asked, whatever it serves.
    pub fn only(target: &Arc<Target>, op: Op, model: &Arc<str>) -> Self {
        let model = target.claim(op, model).map_or_else(|| target.upstream_model(model), |(_, own)| own);
        let lacks = if op == Op::Respond { target.provider.lacks(&model) } else { Inputs::default() };
        let only = Candidate {
            target: target.clone(),
            model,
            claim: Claim::Declared,
            prices: None,
            per_token: None,
            tracks: None,
            habit: None,
            lacks,
        };
        Self { list: vec![only], ..Self::default() }
    }

    /// Who of a group's members can be asked; `None` for a group of another route.
    pub fn pool(&self, group: &Group) -> Option<&Pool> {
        let known = self.pools.get(usize::from(group.number))?;
        Some(known.get_or_init(|| Pool::of(group, self, None)))
    }

    /// Where a leaf stands in the list.
    pub fn place(&self, leaf: u16) -> Option<u16> {
        self.places.get(usize::from(leaf)).copied().unwrap_or(0).checked_sub(1)
    }
}

/// What was found for the models that were asked for, of one route.
#[derive(Default)]
pub struct Memo(ArcSwap<Known>);

#[derive(Default)]
struct Known {
    /// How often providers had told their models by then.
    told: u64,
    models: HashMap<(Op, Arc<str>), Arc<Candidates>, Digests>,
}

impl Memo {
    /// What is known, or what is found now. Forgotten when a provider has told its models since: `told` is how often
    /// that was.
    pub fn get(&self, op: Op, model: &Arc<str>, told: u64, find: impl FnOnce() -> Candidates) -> Arc<Candidates> {
        // borrowed look-ups of pairs do not exist: the name's count goes up and down instead
        let key = (op, model.clone());
        let known = self.0.load();
        if let Some(candidates) = known.models.get(&key).filter(|_| known.told == told) {
            return candidates.clone();
        }
        let found = Arc::new(find());
        if !found.list.is_empty() && (known.told != told || known.models.len() < MOST) {
            self.0.rcu(|known| {
                let mut models = if known.told == told { known.models.clone() } else { HashMap::default() };
                models.insert(key.clone(), found.clone());
                Known { told, models }
            });
        }
        found
    }
}
