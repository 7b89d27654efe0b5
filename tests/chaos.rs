//! Five thousand requests while one target dies and comes back, one is slow, one refuses most, and the configuration is
//! changed again and again: nobody sees an error that somebody could have made good, each request has one outcome, and in
//! the end nothing is left over.

mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ferrogw::config;
use ferrogw::server::reload::Follow;
use http::StatusCode;

use self::trouble::{Trouble, Troubled};
use crate::support::{ASK, ASK_STREAM, TestGateway, events};

const REQUESTS: usize = 5_000;
const CALLERS: usize = 64;
/// After so many requests the configuration changes.
const CHANGE: usize = 400;

/// Every way to choose, each with a route of its own, and with what it needs.
const WAYS: [&str; 7] = [
    "{ mode: fallback, hedge: { after: 40ms, max_percent: 10 } }",
    "{ mode: loadbalance }",
    "{ mode: least-latency, hedge: { max_percent: 10 } }",
    "{ mode: cost-optimized }",
    "{ mode: conditional, on_failure: leave, conditions: [{ key: model, value: m, target_key: dying }] }",
    "{ mode: content-based, on_failure: leave, content_conditions: [{ type: prompt_contains, value: hi, target_key: limited }] }",
    "{ mode: ab-test, ab_variants: [{ target_key: dying }, { target_key: limited, label: b }] }",
];

/// The configuration after so many changes; every third cannot be used.
fn changed(text: &str, changes: usize) -> String {
    match changes % 3 {
        2 => format!("{text}strategy: {{ mode: none-such }}\n"),
        _ => format!("{text}request_timeout: {}s\n", 30 + changes),
    }
}

fn configuration(upstreams: &[(&str, &Troubled)]) -> String {
    let target = |(name, upstream): &(&str, &Troubled)| {
        format!(
            "  - virtual_key: {name}\n    provider: openai\n    base_url: {}/v1\n    api_key: sk-test-0123456789\n    \
             models: [m]\n    retry: {{ attempts: 2, initial_backoff_ms: 1 }}\n    \
             circuit_breaker: {{ failure_threshold: 4, timeout: 40ms }}\n    concurrency: {{ max_concurrency: 40 }}\n",
            upstream.url
        )
    };
    let targets: String = upstreams.iter().map(target).collect();
    let route = |(at, strategy): (usize, &&str)| {
        format!(
            "  - name: way-{at}\n    match: {{ header: {{ x-way: '{at}' }} }}\n    targets: [limited, dying, slow]\n    strategy: {strategy}\n"
        )
    };
    let routes: String = WAYS.iter().enumerate().map(route).collect();
    format!("targets:\n{targets}routes:\n{routes}")
}

/// What callers have seen.
#[derive(Default)]
struct Seen {
    whole: AtomicUsize,
    streams: AtomicUsize,
    broken: AtomicUsize,
    left: AtomicUsize,
}

async fn ask(http: &reqwest::Client, url: &str, number: usize, seen: &Seen) {
    let stream = number % 2 == 1;
    let request = http.post(url).header("content-type", "application/json").header("x-way", number / 2 % WAYS.len());
    let response = request.body(if stream { ASK_STREAM } else { ASK }).send().await.unwrap();
    let (status, target) = (response.status(), response.headers().get("x-ferro-target").cloned());
    if stream && number % 50 == 1 {
        drop(response);
        seen.left.fetch_add(1, Ordering::Relaxed);
        return assert_eq!(status, StatusCode::OK);
    }
    let body = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "request {number} at {target:?}: {body}");
    if !stream {
        assert!(body.contains("tide"), "{body}");
        seen.whole.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let (done, errors) = (events(&body).contains(&"[DONE]"), body.matches("data: {\"error\"").count());
    if errors == 0 {
        assert!(done && body.contains("\"!\""), "request {number} at {target:?}: {body}");
        seen.streams.fetch_add(1, Ordering::Relaxed);
    } else {
        assert_eq!((errors, done, target.unwrap().to_str().unwrap()), (1, false, "dying"), "request {number}: {body}");
        seen.broken.fetch_add(1, Ordering::Relaxed);
    }
}

/// The sum of the lines of a metric with this label.
fn sum(metrics: &str, name: &str, label: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_what_another_target_can_make_good_and_nothing_is_left_over() {
    let [dying, slow, limited] = [Trouble::Dying, Trouble::Slow, Trouble::Limited].map(Troubled::with);
    let (dying, slow, limited) = (dying.await, slow.await, limited.await);
    let upstreams = [("dying", &dying), ("slow", &slow), ("limited", &limited)];
    let (text, dir) = (configuration(&upstreams), tempfile::tempdir().unwrap());
    let file = dir.path().join("config.yaml");
    std::fs::write(&file, &text).unwrap();
    let loaded = config::load(&file).unwrap_or_else(|invalid| panic!("{invalid}"));
    let hash = Some(loaded.source.hash().to_owned());
    let follow = Follow { file: Some(file.clone()), hash, every: Duration::from_millis(10) };
    let gateway = TestGateway::following(loaded.config, follow, &[]).await;
    let runtime = tokio::runtime::Handle::current().metrics();
    let base = runtime.num_alive_tasks();
    let (url, next, seen) = (format!("{}/v1/chat/completions", gateway.url), AtomicUsize::new(0), Seen::default());
    let (next, seen) = (Arc::new(next), Arc::new(seen));
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(CALLERS).build().unwrap();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let http = client.clone();
            let (url, next, seen) = (url.clone(), next.clone(), seen.clone());
            let (text, file) = (text.clone(), file.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= REQUESTS {
                        break;
                    }
                    if number % CHANGE == CHANGE - 1 {
                        let new = file.with_extension(number.to_string());
                        std::fs::write(&new, changed(&text, number / CHANGE)).unwrap();
                        std::fs::rename(&new, &file).unwrap();
                    }
                    ask(&http, &url, number, &seen).await;
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    drop(client);
    let count = |cell: &AtomicUsize| cell.load(Ordering::Relaxed);
    let (broken, left) = (count(&seen.broken), count(&seen.left));
    assert_eq!(count(&seen.whole) + count(&seen.streams) + broken + left, REQUESTS);
    assert!([&dying, &slow, &limited].iter().all(|one| count(&one.asked) > 10), "each has had its part in it");

    // one outcome each
    let metrics = &gateway.running.gateway.metrics;
    let total = |label: &str| sum(&metrics.render(), "gateway_requests_total", label) as usize;
    until("one outcome each", || total("") == REQUESTS).await;
    let succeeded = total("status=\"success\"");
    let whole = count(&seen.whole) + count(&seen.streams);
    assert!((whole..=whole + left).contains(&succeeded), "{succeeded} of {whole}, {left} left");
    let surface = |status: &str| sum(&metrics.render(), "gateway_surface_requests_total", status) as usize;
    assert_eq!(surface("surface=\"chat\""), REQUESTS);

    let reloads = |result: &str| sum(&metrics.render(), "gateway_config_reloads_total", result);
    until("good files are served", || reloads("result=\"ok\"") >= 2.0).await;
    assert!(reloads("result=\"error\"") >= 1.0, "and bad ones are not");

    // gauges
    until("nothing in flight", || metrics.render().contains("\ngateway_requests_in_flight 0\n")).await;
    for target in &gateway.running.gateway.snapshot().rules.targets {
        let slots = target.vitals.slots.as_ref().unwrap();
        until("no slot is taken", || (slots.in_use(), slots.waiting()) == (0, 0)).await;
        let tracks = [false, true].map(|stream| target.vitals.pace.track("m", stream));
        until("no call is under way", || tracks.iter().all(|track| track.in_flight() == 0)).await;
        // a circuit whose time is over lets a probe through: none is taken for good
        let breaker = target.vitals.breaker.as_ref().unwrap();
        until("no probe is lost", || !breaker.is_open(Instant::now())).await;
    }

    // sockets and tasks
    let open = || upstreams.iter().map(|(_, upstream)| count(&upstream.open)).sum::<usize>();
    until("tasks are those of before and of connections at rest", || runtime.num_alive_tasks() <= base + open()).await;
    assert!(open() <= upstreams.len() * CALLERS, "{} connections", open());
    gateway.running.handle.shutdown();
    gateway.running.handle.join().await;
    drop(gateway.running.gateway);
    until("no connection is left", || open() == 0).await;
}
