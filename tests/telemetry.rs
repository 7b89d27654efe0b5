//! What metrics and log lines say about calls.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ferrogw::call::redact::Redactor;
use ferrogw::call::{Fault, Op, Outcome, Route, Usage, Usd};
use ferrogw::telemetry::connections::Counts;
use ferrogw::telemetry::{AccessLog, Format, Level, Line, Metrics, Sink, logs};

/// Long enough for any machine; nothing waits this long unless it fails.
const LONG: Duration = Duration::from_secs(20);

fn route(provider: &'static str, target: &str, model: &str) -> Route {
    let upstream = Duration::from_millis(40);
    Route { provider, target: target.into(), model: model.into(), attempts: 1, upstream, ..Route::default() }
}

fn outcome(route: Route) -> Outcome {
    Outcome {
        op: Op::Chat,
        model: route.model.clone(),
        route,
        stream: false,
        error: None,
        abandoned: false,
        took: Duration::from_micros(40_250),
        first_token: None,
        usage: Some(Usage { prompt: 12, completion: 3, ..Usage::default() }),
        cost: Some(Usd::of_picos(57_000_000)),
    }
}

fn line<'a>(path: &'a str, status: u16, outcome: Option<&'a Outcome>) -> Line<'a> {
    Line {
        id: "4f1c",
        method: "POST",
        path,
        status,
        bytes: 345,
        took: Duration::from_micros(40_250),
        remote: IpAddr::V4(Ipv4Addr::LOCALHOST),
        key: None,
        error: None,
        outcome,
    }
}

/// A sink that hands what is written to the test.
struct Tap(Sender<String>);

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tap(workers: usize) -> (Sink, Receiver<String>) {
    let (sender, receiver) = mpsc::channel();
    (Sink::to(Tap(sender), "tap", workers).unwrap(), receiver)
}

/// What `write` makes an access log say, with times replaced.
fn said(level: Level, format: Format, write: impl FnOnce(&AccessLog)) -> String {
    let (sink, written) = tap(1);
    write(&AccessLog::new(sink.clone(), level, format, Arc::default()));
    assert!(sink.flush());
    timeless(&written.try_iter().collect::<String>())
}

fn timeless(lines: &str) -> String {
    let time = |line: &str| line.find("20").filter(|at| line[*at..].len() > 27).map(|at| line[at..at + 27].to_owned());
    lines.lines().map(|line| time(line).map_or(line.to_owned(), |time| line.replace(&time, "TIME")) + "\n").collect()
}

/// The lines of `/metrics` that begin so.
fn shown(metrics: &Metrics, prefix: &str) -> Vec<String> {
    metrics.render().lines().filter(|line| line.starts_with(prefix)).map(str::to_owned).collect()
}

#[test]
fn a_few_calls_are_counted_by_provider_target_and_model() {
    let metrics = Metrics::new();
    metrics.file(&outcome(route("openai", "eu", "gpt-5")));
    metrics.file(&Outcome {
        stream: true,
        first_token: Some(Duration::from_millis(300)),
        took: Duration::from_secs(90),
        route: Route { attempts: 4, retries: 2, ..route("groq", "groq", "llama") },
        ..outcome(route("groq", "groq", "llama"))
    });
    let failed = |error| Outcome { error: Some(error), usage: None, ..outcome(route("openai", "eu", "gpt-5")) };
    metrics.file(&failed("upstream_timeout"));
    metrics.file(&failed("invalid_request"));
    metrics.file(&Outcome { abandoned: true, ..outcome(route("openai", "eu", "gpt-5")) });
    metrics.file(&Outcome { error: Some("model_not_found"), model: "made up".into(), ..outcome(Route::default()) });
    metrics.file(&Outcome { error: Some("invalid_request"), model: "gpt-5".into(), ..outcome(Route::default()) });
    metrics.attempt_failed("openai", "eu", Fault::RateLimited);
    metrics.init_failed("mistral");
    metrics.rate_limited("ip");
    let of_process = |line: &&str| !line.contains("process_");
    let text: String = metrics.render().lines().filter(of_process).map(|line| format!("{line}\n")).collect();
    insta::assert_snapshot!(text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_shows_its_memory_and_processor_time() {
    let metrics = Metrics::new();
    for name in ["process_resident_memory_bytes ", "process_cpu_seconds_total ", "process_open_fds "] {
        assert_eq!(shown(&metrics, name).len(), 1, "{name}");
    }
}

#[test]
fn models_past_the_bound_share_one_label() {
    let metrics = Metrics::new();
    for model in 0..10_000 {
        metrics.file(&outcome(route("ollama", "local", &format!("model-{model}"))));
    }
    metrics.file(&outcome(route("ollama", "other-host", "model-9999")));
    metrics.file(&outcome(route("ollama", "other-host", &"long".repeat(100))));
    let of = |target: &str| {
        let all = shown(&metrics, "gateway_requests_total{");
        let wanted = format!(r#"target="{target}""#);
        all.into_iter().filter(|line| line.contains(&wanted) && line.contains("success")).collect::<Vec<_>>()
    };
    let local = of("local");
    assert_eq!(local.len(), 501);
    assert!(local.iter().any(|line| line.contains(r#"model="other""#) && line.ends_with(" 9500")), "{local:?}");
    assert_eq!(
        of("other-host"),
        [
            r#"gateway_requests_total{model="model-9999",provider="ollama",status="success",target="other-host"} 1"#,
            r#"gateway_requests_total{model="other",provider="ollama",status="success",target="other-host"} 1"#,
        ]
    );
}

#[test]
fn a_model_that_no_target_ever_served_is_no_label() {
    let metrics = Metrics::new();
    let declared = metrics.series("openai", "eu", "gpt-5");
    assert!(Arc::ptr_eq(&declared, &metrics.series("openai", "eu", "gpt-5")));
    for model in ["guess-1", "guess-2", "gpt-5"] {
        metrics.file(&Outcome { error: Some("model_not_found"), ..outcome(route("openai", "eu", model)) });
    }
    metrics.file(&Outcome { abandoned: true, ..outcome(route("openai", "eu", "guess-3")) });
    let errors = shown(&metrics, "gateway_requests_total{").into_iter().filter(|line| line.contains(r#""error""#));
    assert_eq!(
        errors.collect::<Vec<_>>(),
        [
            r#"gateway_requests_total{model="gpt-5",provider="openai",status="error",target="eu"} 1"#,
            r#"gateway_requests_total{model="unknown",provider="openai",status="error",target="eu"} 3"#,
        ]
    );
}

#[test]
fn calls_filed_by_many_threads_at_once_are_all_counted() {
    let metrics = Metrics::new();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let metrics = &metrics;
            scope.spawn(move || {
                for call in 0..1_000 {
                    metrics.file(&outcome(route("openai", "eu", &format!("model-{}", (call + thread) % 50))));
                }
            });
        }
        for _ in 0..20 {
            metrics.render();
        }
    });
    let requests = shown(&metrics, "gateway_requests_total{");
    let of = |line: &String| line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
    assert_eq!((requests.len(), requests.iter().filter_map(of).sum::<u64>()), (100, 8_000));
    let tokens = shown(&metrics, "gateway_tokens_input_total{");
    assert_eq!(tokens.iter().filter_map(of).sum::<u64>(), 96_000);
}

#[test]
fn requests_and_connections_are_counted_while_they_last() {
    let metrics = Metrics::new();
    let state = |name: &str| {
        let lines = shown(&metrics, name);
        lines.iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    let request = metrics.enter();
    metrics.connections(Arc::new(|| Counts { active: 1, idle: 2, opened: 5, closed: 2, activated: 9, idled: 8 }));
    assert_eq!(state("gateway_requests_in_flight "), "1");
    assert_eq!(state("gateway_server_connections_current{"), "1 2", "active, idle");
    drop(request);
    assert_eq!(state("gateway_requests_in_flight "), "0");
    assert_eq!(state("gateway_server_connection_transitions_total{"), "9 2 8 5", "active, closed, idle, new");
}

#[test]
fn a_line_tells_what_became_of_a_request() {
    let streamed = Outcome {
        model: "smart".into(),
        stream: true,
        first_token: Some(Duration::from_micros(123_456)),
        usage: Some(Usage { prompt: 9, completion: 8, cached: 7, reasoning: 6, estimated: true, ..Usage::default() }),
        abandoned: true,
        cost: None,
        route: Route {
            warnings: vec!["param=logit_bias;provider=groq;action=dropped".into()],
            ..route("groq", "fast", "llama-3.3")
        },
        ..outcome(Route::default())
    };
    let broken =
        Outcome { error: Some("upstream_stream_truncated"), usage: None, ..outcome(route("groq", "fast", "x")) };
    let write = |log: &AccessLog| {
        log.write(0, &line("/v1/models", 200, None));
        log.write(0, &line("/v1/chat/completions", 200, Some(&outcome(route("openai", "eu", "gpt-5")))));
        log.write(0, &line("/v1/chat/completions", 200, Some(&streamed)));
        log.write(0, &line("/v1/chat/completions", 200, Some(&broken)));
        log.write(
            0,
            &Line { key: Some("key-1"), error: Some("rate_limited"), ..line("/v1/chat/completions", 429, None) },
        );
        log.write(0, &Line { id: "a b", ..line("/v1/\"x\"\r\n{\"level\":\"FAKE\"}", 502, None) });
    };
    insta::assert_snapshot!("json_lines", said(Level::Debug, Format::Json, write));
    insta::assert_snapshot!("text_lines", said(Level::Debug, Format::Text, write));
}

#[test]
fn only_lines_of_the_level_are_written() {
    let all = |log: &AccessLog| [200, 404, 503].map(|status| log.write(0, &line("/", status, None))).len();
    let lines = |level| said(level, Format::Json, |log| assert_eq!(all(log), 3)).lines().count();
    assert_eq!([Level::Debug, Level::Info, Level::Warn, Level::Error].map(lines), [3, 3, 2, 1]);
    assert_eq!(Level::parse(" warn "), Some(Level::Warn));
    assert_eq!((Level::parse("loud"), Format::parse("TEXT"), Format::parse("")), (None, Some(Format::Text), None));
}

#[test]
fn lines_come_out_by_themselves_and_whole() {
    let (sink, written) = tap(4);
    let log = AccessLog::new(sink, Level::Info, Format::Json, Arc::default());
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let log = &log;
            scope.spawn(move || (0..1_000).for_each(|_| log.write(worker, &line("/v1/models", 200, None))));
        }
    });
    let mut lines = String::new();
    while lines.matches('\n').count() < 4_000 {
        lines += &written.recv_timeout(LONG).unwrap();
    }
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    drop(log);
    assert!(written.recv().is_err(), "the thread ends with the last clone");
}

#[test]
fn the_last_lines_are_written_when_the_log_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = AccessLog::new(Sink::file(&path, 2).unwrap(), Level::Info, Format::Json, Arc::default());
    log.write(1, &line("/v1/models", 200, None));
    drop(log);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    AccessLog::off().write(0, &line("/", 200, None));
}

/// Blocks until the gate is opened.
struct Blocked(Arc<(Mutex<bool>, Condvar)>, Tap);

impl Write for Blocked {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (open, opened) = &*self.0;
        drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_blocked_reader_costs_lines_and_not_requests() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (sender, written) = mpsc::channel();
    let sink = Sink::to(Blocked(gate.clone(), Tap(sender)), "stdout", 1).unwrap();
    let metrics = Metrics::new();
    metrics.watch(&sink);
    let log = AccessLog::new(sink.clone(), Level::Info, Format::Json, Arc::default());
    let count = 20_000;
    for _ in 0..count {
        log.write(0, &line("/v1/chat/completions", 200, None));
    }
    let dropped = shown(&metrics, r#"gateway_log_lines_dropped_total{sink="stdout"} "#);
    let dropped: usize = dropped[0].rsplit(' ').next().unwrap().parse().unwrap();
    assert!(dropped > 1_000, "{dropped}");
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    assert!(sink.flush());
    let lines: Vec<_> = written.try_iter().collect::<String>().lines().map(str::to_owned).collect();
    let warning = format!(r#""level":"WARN","msg":"log lines dropped","count":{dropped}}}"#);
    assert!(lines.iter().any(|line| line.ends_with(&warning)), "{:?}", lines.last());
    assert_eq!(lines.len(), count - dropped + 1);
}

#[test]
fn events_are_lines_of_the_same_kind() {
    let say = || {
        tracing::info!(target: "ferrogw::server", addr = %"127.0.0.1:1", workers = 2_u64, ratio = 0.5, ok = true, "ready");
        tracing::debug!(target: "ferrogw::server", "too quiet");
        tracing::info!(target: "hyper", "somebody else's");
        tracing::warn!(target: "hyper", error = ?"line\nbreak", delta = -1, "two\nlines");
    };
    let lines = |format| {
        let (sink, written) = tap(1);
        tracing::subscriber::with_default(logs::subscriber(&sink, Level::Info, format, Arc::default()), say);
        assert!(sink.flush());
        timeless(&written.try_iter().collect::<String>())
    };
    insta::assert_snapshot!(format!("{}{}", lines(Format::Json), lines(Format::Text)));
}

#[test]
fn secrets_of_the_environment_never_reach_a_log() {
    let secret = "zq-0123456789-abcdef";
    let redactor = Arc::new(Redactor::new([("ZQ_API_KEY", secret), ("PATH", "/usr/bin:/usr/local/bin")]));
    for format in [Format::Json, Format::Text] {
        let (sink, written) = tap(1);
        let log = AccessLog::new(sink.clone(), Level::Info, format, redactor.clone());
        let model = format!("m-{secret}");
        let call = outcome(route("openai", secret, &model));
        let path = format!("/v1/models/{secret}");
        log.write(0, &Line { id: secret, key: Some(secret), method: secret, ..line(&path, 200, Some(&call)) });
        tracing::subscriber::with_default(logs::subscriber(&sink, Level::Info, format, redactor.clone()), || {
            tracing::error!(target: "ferrogw", url = %path, list = ?[secret], "no key {secret}");
        });
        assert!(sink.flush());
        let written: String = written.try_iter().collect();
        assert!(!written.contains(secret) && written.contains("[REDACTED:ZQ_API_KEY]"), "{written}");
    }
}
