//! Who is asked, in which order, how often, and when the next one is.

mod costs;
mod desk;
mod draws;
mod fastest;
mod rules;
mod ways;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ferrogw::call::redact::Redactor;
use ferrogw::call::{Body, Call, Fault, Op, Upstream};
use ferrogw::config::{self, Env, Format};
use ferrogw::pipeline::Rules;
use ferrogw::providers::auth::Fetcher;
use ferrogw::providers::client::{Client, Options};
use ferrogw::routing::retry::{Failover, Retry};
use ferrogw::routing::{Facts, Moment, Plan};
use ferrogw::server::build;
use proptest::prelude::*;

fn rules(strategy: &str, targets: &str) -> Rules {
    let yaml = format!("strategy: {{ mode: {strategy} }}\ntargets:\n{targets}");
    let config = config::parse(&yaml, Format::Yaml, "test.yaml").unwrap_or_else(|invalid| panic!("{invalid}")).config;
    let env: Env =
        [("OPENAI_API_KEY", "k"), ("OPENROUTER_API_KEY", "k"), ("DEEPSEEK_API_KEY", "k"), ("GROQ_API_KEY", "k")]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
    let client = Client::new(Options::default()).unwrap();
    let redactor = Arc::new(Redactor::new(std::iter::empty::<(&str, &str)>()));
    build::compile(&config, &env, &client, &redactor, &Fetcher::default()).unwrap_or_else(|invalid| panic!("{invalid}"))
}

/// The targets asked for a model, each with its own name for it.
fn asked(rules: &Rules, op: Op, model: &str) -> Vec<String> {
    let (model, now) = (Arc::from(model), Instant::now());
    let call = Call::new(op, Body::None, Arc::clone(&model), "id".into(), now);
    let mut plan = Plan::default();
    rules.routing.leg(&Facts::new(&call, &model), &model, Moment::default(), &mut || 0.5, &mut plan);
    let steps = plan.steps().filter(|step| !step.pick.spare);
    steps.map(|step| format!("{} {}", step.candidate.target.name, step.candidate.model)).collect()
}

/// One vendor with models of its own, one that only has a prefix, one that takes any name, one that lists exact names.
const TARGETS: &str = "
  - { virtual_key: any, provider: openrouter }
  - { virtual_key: groq }
  - { virtual_key: deep, provider: deepseek, models: [shared, deepseek-chat], model_map: { fast: deepseek-chat } }
  - { virtual_key: one, provider: openai, models: [shared] }
  - { virtual_key: two, provider: openai, models: [shared, vendor/shared], model_map: { shared: gpt-5-mini } }
";

#[test]
fn a_model_goes_to_those_who_own_it_and_to_nobody_else() {
    let rules = rules("fallback", TARGETS);
    let found = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<BTreeSet<Arc<str>>>();
    assert_eq!(asked(&rules, Op::Chat, "llama"), ["any llama"], "before anybody has told");
    rules.targets[0].tell(found(&["deepseek/listed", "gpt-listed"]));
    rules.targets[1].tell(found(&["llama", "listed"]));
    let check = |model: &str, expected: &[&str]| assert_eq!(asked(&rules, Op::Chat, model), expected, "{model}");
    // declared, in the order of the configuration, each under its own name
    check("shared", &["deep shared", "one shared", "two gpt-5-mini"]);
    check("fast", &["deep deepseek-chat"]);
    // discovered
    check("llama", &["groq llama"]);
    // then by those whose vendor's it is by its beginning and who have not told their list
    check("gpt-listed", &["any gpt-listed", "one gpt-listed", "two gpt-listed"]);
    // an exact name wins over the split, declared or discovered
    check("vendor/shared", &["two vendor/shared"]);
    check("deepseek/listed", &["any deepseek/listed"]);
    // provider/model, by the target's name or the provider's
    check("openai/x", &["one x", "two x"]);
    check("two/shared", &["two gpt-5-mini"]);
    check("openrouter/meta/llama", &["any meta/llama"]);
    check("deepseek/fast", &["deep deepseek-chat"]);
    // the beginning of the name
    check("gpt-5", &["one gpt-5", "two gpt-5"]);
    check("deepseek-reasoner", &["deep deepseek-reasoner"]);
    // those who take any name
    check("mystery", &["any mystery"]);
    check("anthropic/claude", &["any anthropic/claude"]);
    check("gpt", &["any gpt"]);
    check("", &["any "]);
}

#[test]
fn nobody_is_asked_for_what_nobody_owns() {
    let rules = rules("fallback", "  - virtual_key: deepseek\n  - virtual_key: openai\n");
    for model in ["claude-sonnet-4-5", "mystery", "anthropic/claude", "x-gpt-5", "/gpt-5", "unknown/gpt-5", ""] {
        assert_eq!(asked(&rules, Op::Chat, model), [""; 0], "{model}");
    }
}

#[test]
fn who_cannot_do_what_is_asked_is_passed_over() {
    let rules = rules("fallback", TARGETS);
    assert_eq!(asked(&rules, Op::Embed, "shared"), ["one shared", "two gpt-5-mini"]);
    assert_eq!(asked(&rules, Op::Complete, "shared"), ["deep shared", "one shared", "two gpt-5-mini"], "through chat");
}

#[test]
fn single_asks_the_first_target_only() {
    let rules = rules(
        "single",
        "  - { virtual_key: a, provider: openai, models: [m] }\n  - { virtual_key: b, provider: openai, models: [m, n] }\n",
    );
    assert_eq!(asked(&rules, Op::Chat, "m"), ["a m"]);
    assert_eq!(asked(&rules, Op::Chat, "n"), [""; 0]);
}

#[test]
fn a_drained_target_is_never_asked() {
    let rules = rules(
        "fallback",
        "  - { virtual_key: a, provider: openai, models: [m], weight: 0 }\n  - { virtual_key: b, provider: openai, models: [m] }\n  \
         - { virtual_key: any, provider: openrouter, weight: 0 }\n",
    );
    assert_eq!(asked(&rules, Op::Chat, "m"), ["b m"]);
    assert_eq!(asked(&rules, Op::Chat, "a/m"), [""; 0]);
    assert_eq!(asked(&rules, Op::Chat, "mystery"), [""; 0]);
}

fn failed(fault: Fault, status: Option<u16>) -> Upstream {
    Upstream {
        provider: "p",
        target: "t".into(),
        fault,
        status,
        message: String::new(),
        param: None,
        code: None,
        retry_after: None,
        request_id: None,
    }
}

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

const RETRY: Retry =
    Retry { attempts: 3, on_status: None, backoff: Duration::from_millis(100), longest: HALF_A_MINUTE };

#[test]
fn every_failure_has_its_consequence() {
    // asked again; the next target is asked
    let check = |fault: Fault, status: Option<u16>, again: bool, next: bool| {
        let failed = failed(fault, status);
        assert_eq!(RETRY.pause(1, &failed, false, 0.5).is_some(), again, "again after {fault:?}");
        assert_eq!(Failover::default().moves_on(&failed), next, "next after {fault:?}");
    };
    check(Fault::BadRequest, Some(400), false, false);
    check(Fault::Unprocessable, Some(422), false, false);
    check(Fault::TooLarge, Some(413), false, false);
    check(Fault::ContextLength, Some(400), false, false);
    check(Fault::ContentPolicy, Some(400), false, false);
    check(Fault::Auth, Some(401), false, true);
    check(Fault::Billing, Some(402), false, true);
    check(Fault::NotFound, Some(404), false, true);
    check(Fault::Conflict, Some(409), false, true);
    check(Fault::RateLimited, Some(429), true, true);
    check(Fault::Overloaded, Some(503), true, true);
    check(Fault::Timeout, Some(408), true, true);
    check(Fault::Timeout, None, true, true);
    check(Fault::Server, Some(500), true, true);
    check(Fault::Unreachable, None, true, true);
    check(Fault::Truncated, None, true, true);
}

#[test]
fn attempts_are_counted_and_pauses_grow() {
    let failed = failed(Fault::Server, Some(500));
    let pause = |retry: &Retry, made| retry.pause(made, &failed, false, 1.0);
    assert_eq!(pause(&Retry::default(), 1), None, "once is the default");
    assert_eq!(pause(&RETRY, 1), Some(Duration::from_millis(100)));
    assert_eq!(pause(&RETRY, 2), Some(Duration::from_millis(200)));
    assert_eq!(pause(&RETRY, 3), None);
    let endless = Retry { attempts: u32::MAX, ..RETRY };
    assert_eq!(pause(&endless, 12), Some(Duration::from_secs(30)), "no pause is longer");
    assert_eq!(RETRY.pause(1, &failed, false, 0.0), Some(Duration::ZERO), "jitter is full");
}

#[test]
fn a_hint_to_come_back_is_followed_unless_it_takes_too_long() {
    let hinted =
        |wait: u64| Upstream { retry_after: Some(Duration::from_secs(wait)), ..failed(Fault::RateLimited, Some(429)) };
    assert_eq!(RETRY.pause(1, &hinted(7), false, 0.0), Some(Duration::from_secs(7)));
    assert_eq!(RETRY.pause(1, &hinted(31), false, 0.0), None);
    assert_eq!(RETRY.pause(1, &hinted(7), true, 0.0), None, "somebody else can be asked at once");
    assert_eq!(RETRY.pause(1, &hinted(1), true, 0.0), Some(Duration::from_secs(1)));
    let auth = Upstream { retry_after: Some(Duration::from_secs(1)), ..failed(Fault::Auth, Some(401)) };
    assert_eq!(RETRY.pause(1, &auth, false, 0.0), None, "a hint makes no failure worth another attempt");
}

#[test]
fn listed_statuses_replace_the_rule_where_there_is_a_status() {
    let listed = Retry { on_status: Some(vec![404, 500]), ..RETRY };
    let again = |fault, status| listed.pause(1, &failed(fault, status), false, 0.5).is_some();
    assert!(again(Fault::NotFound, Some(404)));
    assert!(again(Fault::Server, Some(500)));
    assert!(!again(Fault::Overloaded, Some(503)));
    assert!(again(Fault::Unreachable, None));
    assert!(again(Fault::Timeout, None));
}

#[test]
fn failover_on_says_what_moves_on() {
    let moves = |words: &[&str], fault, status| {
        let on = Some(words.iter().map(|word| word.parse().unwrap()).collect());
        Failover { on }.moves_on(&failed(fault, status))
    };
    assert!(moves(&["429"], Fault::RateLimited, Some(429)));
    assert!(!moves(&["429"], Fault::Server, Some(500)));
    assert!(moves(&["4xx"], Fault::BadRequest, Some(400)), "the operator may send a caller's mistake on");
    assert!(moves(&["5xx"], Fault::Overloaded, Some(529)));
    assert!(!moves(&["5xx"], Fault::Unreachable, None));
    assert!(moves(&["timeout"], Fault::Timeout, None));
    assert!(moves(&["timeout"], Fault::Timeout, Some(408)));
    assert!(moves(&["429", "connect"], Fault::Unreachable, None));
    assert!(moves(&["broken"], Fault::Truncated, None));
    assert!(moves(&["broken"], Fault::Server, Some(200)), "an answer that is none");
    assert!(!moves(&["broken"], Fault::Server, Some(500)));
    assert!(!moves(&[], Fault::Server, Some(500)), "an empty list is one");
}

proptest! {
    #[test]
    fn no_pause_is_longer_than_half_a_minute(
        made in 1_u32.., attempts in any::<u32>(), millis in any::<u64>(), chance in 0.0..=1.0, hint in prop::option::of(any::<u64>()),
    ) {
        let retry = Retry { attempts, on_status: None, backoff: Duration::from_millis(millis), longest: HALF_A_MINUTE };
        let failed = Upstream { retry_after: hint.map(Duration::from_secs), ..failed(Fault::Server, Some(500)) };
        let pause = retry.pause(made, &failed, false, chance);
        prop_assert!(pause.is_none_or(|pause| pause <= Duration::from_secs(30)));
        prop_assert!(made < attempts || pause.is_none());
    }
}
