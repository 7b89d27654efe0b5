//! Plans without sockets: a configuration, a request, a moment, and who would be asked.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ferrogw::call::redact::Redactor;
use ferrogw::call::{Body, Call, Op};
use ferrogw::config::{self, Format};
use ferrogw::pipeline::Rules;
use ferrogw::providers::auth::Fetcher;
use ferrogw::providers::client::{Client, Options};
use ferrogw::routing::random::Dice;
use ferrogw::routing::{Facts, Moment, Plan};
use ferrogw::server::build;
use ferrogw::wire::Object;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;

/// Plans that are drawn where a share is measured.
pub(super) const DRAWS: usize = 20_000;

/// Whether a count is within three sigma of its share of so many.
pub(super) fn within(count: usize, of: usize, share: f64) {
    let sigma = (of as f64 * share * (1.0 - share)).sqrt();
    let off = count as f64 - of as f64 * share;
    assert!(off.abs() <= 3.0 * sigma, "{count} of {of} is not {share}");
}

/// An `openai` target that serves the model `m` where nothing else is said.
pub(super) fn target(name: &str, more: &str) -> String {
    let models = if more.contains("models:") { "" } else { ", models: [m]" };
    format!("  - {{ virtual_key: {name}, provider: openai, api_key: sk-test-0123456789{models}{more} }}\n")
}

/// Somebody who takes any model.
pub(super) const ANY: &str = "  - { virtual_key: any, provider: openrouter, api_key: sk-test-0123456789 }\n";

/// A configuration, compiled.
pub(super) fn rules(yaml: &str) -> Rules {
    let config = config::parse(yaml, Format::Yaml, "test.yaml").unwrap_or_else(|invalid| panic!("{invalid}")).config;
    let client = Client::new(Options::default()).unwrap();
    let redactor = Arc::new(Redactor::new(std::iter::empty::<(&str, &str)>()));
    let env = std::collections::BTreeMap::<String, String>::new().into_iter().collect();
    build::compile(&config, &env, &client, &redactor, &Fetcher::default()).unwrap_or_else(|invalid| panic!("{invalid}"))
}

/// What somebody asks for.
#[derive(Clone)]
pub(super) struct Ask {
    pub(super) call: Call,
    pub(super) moment: Moment,
}

/// Who is asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) target: String,
    pub(super) model: String,
    pub(super) spare: bool,
    pub(super) label: Option<String>,
    pub(super) route: Option<String>,
}

impl Ask {
    pub(super) fn of(op: Op, model: &str, body: &str) -> Self {
        let body = match body {
            "" => Body::None,
            body => Body::Json(Object::parse(Bytes::copy_from_slice(body.as_bytes())).unwrap()),
        };
        Self { call: Call::new(op, body, model.into(), "id".into(), Instant::now()), moment: Moment::default() }
    }

    /// A chat with the model `m`.
    pub(super) fn chat(body: &str) -> Self {
        Self::of(Op::Chat, "m", body)
    }

    /// A chat in which the user says this.
    pub(super) fn saying(text: &str) -> Self {
        Self::chat(&format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#))
    }

    pub(super) fn model(mut self, model: &str) -> Self {
        self.call.model = model.into();
        self
    }

    pub(super) fn streamed(mut self) -> Self {
        self.call.stream = true;
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.call.headers.push((HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        self
    }

    pub(super) fn key(mut self, key: &str) -> Self {
        self.call.key = Some(key.into());
        self
    }

    pub(super) fn at(mut self, now: Instant, clock: &str) -> Self {
        self.moment = Moment::at(now, clock.parse::<Timestamp>().unwrap());
        self
    }

    /// The whole plan, for one model after another.
    pub(super) fn plan(&self, rules: &Rules, models: &[&str], dice: &mut Dice) -> Vec<Taken> {
        let mut plan = Plan::default();
        for model in models {
            let model = Arc::from(*model);
            let facts = Facts::new(&self.call, &model);
            rules.routing.leg(&facts, &model, self.moment, &mut || dice.chance(), &mut plan);
        }
        let text = |text: &Arc<str>| text.to_string();
        plan.steps()
            .map(|step| Taken {
                target: text(&step.candidate.target.name),
                model: text(&step.candidate.model),
                spare: step.pick.spare,
                label: step.label().map(text),
                route: step.route.name.as_ref().map(text),
            })
            .collect()
    }

    /// The plan for its own model.
    pub(super) fn drawn(&self, rules: &Rules, dice: &mut Dice) -> Vec<Taken> {
        self.plan(rules, &[&self.call.model], dice)
    }

    /// The names of those asked when all goes well with the circuits, in order.
    pub(super) fn asked(&self, rules: &Rules, dice: &mut Dice) -> Vec<String> {
        self.drawn(rules, dice).into_iter().filter(|taken| !taken.spare).map(|taken| taken.target).collect()
    }

    /// The same where nothing is left to chance, in one line; those in brackets only stand in.
    pub(super) fn order(&self, rules: &Rules) -> String {
        let taken = self.drawn(rules, &mut Dice::new(0)).into_iter();
        let names = taken.map(|one| if one.spare { format!("({})", one.target) } else { one.target });
        names.collect::<Vec<_>>().join(" ")
    }
}
