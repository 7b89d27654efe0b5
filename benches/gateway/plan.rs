//! The role that plans: each strategy over thirty targets that all serve the model, in one process.

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use ferrogw::call::redact::Redactor;
use ferrogw::call::{Body, Call};
use ferrogw::config::{self, Env, Format};
use ferrogw::pipeline::Rules;
use ferrogw::providers::auth::Fetcher;
use ferrogw::providers::client::{Client, Options};
use ferrogw::routing::{Facts, Moment, Plan, random};
use ferrogw::server::build;
use ferrogw::wire::{Object, Op};
use serde::{Deserialize, Serialize};

use crate::child;
use crate::report::median;

const TARGETS: usize = 30;

/// Plans that are timed together, and how often.
const PLANS: u32 = 500;
const RUNS: usize = 101;

/// Plans are made for so long before they are timed.
const WARM_UP: Duration = Duration::from_millis(100);

const ASK: &str = r#"{"model":"gpt-5-mini","max_tokens":256,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Which rivers flow through Berlin?"}]}"#;

/// The strategies, as the configuration words them.
const STRATEGIES: [(&str, &str); 8] = [
    ("fallback", "{ mode: fallback }"),
    ("loadbalance", "{ mode: loadbalance }"),
    ("loadbalance by weight", "{ mode: loadbalance, weights: { t0: 2, t1: 7, t2: 0.5, t29: 30 } }"),
    ("least-latency", "{ mode: least-latency }"),
    ("cost-optimized", "{ mode: cost-optimized }"),
    ("conditional", "{ mode: conditional, conditions: [{ key: model_prefix, value: gpt-, target_key: t7 }] }"),
    (
        "content-based",
        "{ mode: content-based, content_conditions: [{ type: prompt_contains, value: river, target_key: t7 }] }",
    ),
    ("ab-test", "{ mode: ab-test, ab_variants: [{ target_key: t3, label: a }, { target_key: t7, label: b }] }"),
];

/// One strategy.
#[derive(Serialize, Deserialize, Clone)]
pub(crate) struct Figures {
    pub(crate) strategy: String,
    /// One plan, µs.
    pub(crate) took: f64,
    /// Allocations of one plan.
    pub(crate) allocations: u64,
}

/// Prints the figures as one line of JSON.
pub(crate) fn main() -> anyhow::Result<()> {
    child::end_with_the_driver();
    let figures = STRATEGIES.iter().map(|(name, words)| measure(name, words)).collect::<anyhow::Result<Vec<_>>>()?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&figures)?)?;
    Ok(())
}

fn measure(name: &str, words: &str) -> anyhow::Result<Figures> {
    let rules = rules(words)?;
    let model: Arc<str> = "gpt-5-mini".into();
    let body = Body::Json(Object::parse(Bytes::from_static(ASK.as_bytes()))?);
    let call = Call::new(Op::Chat, body, model.clone(), "id".into(), Instant::now());
    let once = || {
        let mut plan = Plan::default();
        rules.routing.leg(&Facts::new(&call, &model), &model, Moment::default(), &mut random::chance, &mut plan);
        black_box(plan);
    };
    // every target has been measured, as in a gateway at work
    for target in &rules.targets {
        target.vitals.pace.track(&model, false).record(Duration::from_millis(20), Instant::now());
    }
    // the clock of a core that was idle takes its time to rise
    let since = Instant::now();
    while since.elapsed() < WARM_UP {
        once();
    }
    let run = |_| {
        let since = Instant::now();
        (0..PLANS).for_each(|_| once());
        since.elapsed().as_secs_f64() * 1e6 / f64::from(PLANS)
    };
    let took = median((0..RUNS).map(run).collect());
    let allocations = allocation_counter::measure(once).count_total;
    Ok(Figures { strategy: name.to_owned(), took, allocations })
}

fn rules(strategy: &str) -> anyhow::Result<Rules> {
    let target = |at| format!("  - {{ virtual_key: t{at}, provider: openai, models: [gpt-5-mini], api_key: k }}\n");
    let targets: String = (0..TARGETS).map(target).collect();
    let yaml = format!("strategy: {strategy}\ntargets:\n{targets}");
    let config = config::parse(&yaml, Format::Yaml, "bench.yaml").map_err(|invalid| anyhow::anyhow!("{invalid}"))?;
    let env: Env = [("OPENAI_API_KEY".to_owned(), "k".to_owned())].into_iter().collect();
    let client = Client::new(Options::default()).context("a client")?;
    let redactor = Arc::new(Redactor::new(std::iter::empty::<(&str, &str)>()));
    let compiled = build::compile(&config.config, &env, &client, &redactor, &Fetcher::default());
    compiled.map_err(|invalid| anyhow::anyhow!("{invalid}"))
}
