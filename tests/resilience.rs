//! Targets that fail, are slow, or are full, as callers see them: over sockets, streamed and not, on several surfaces.

mod affinity;
mod breaker;
mod failover;
mod hedges;
mod retries;
mod slots;

use std::sync::Arc;
use std::time::Duration;

use ferrogw::routing::Target;

use crate::support::upstream::delta;
use crate::support::{ASK, ASK_STREAM, Reply, Say, TestGateway, Upstream, target};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Chat,
    Stream,
    Embed,
    Transcribe,
}

const WAYS: [Way; 4] = [Way::Chat, Way::Stream, Way::Embed, Way::Transcribe];

impl Way {
    fn request(self, gateway: &TestGateway) -> reqwest::RequestBuilder {
        match self {
            Way::Chat => gateway.request("/v1/chat/completions", ASK),
            Way::Stream => gateway.request("/v1/chat/completions", ASK_STREAM),
            Way::Embed => gateway.request("/v1/embeddings", r#"{"model":"m","input":"tide"}"#),
            Way::Transcribe => {
                let part = |head: &str, content: &str| {
                    format!("--edge\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
                };
                let body = [part("name=\"model\"", "m"), part("name=\"file\"; filename=\"a.mp3\"", "sound")].concat();
                let request = gateway.http.post(format!("{}/v1/audio/transcriptions", gateway.url));
                let request = request.bearer_auth("any");
                request.header("content-type", "multipart/form-data; boundary=edge").body(body + "--edge--\r\n")
            }
        }
    }

    async fn ask(self, gateway: &TestGateway) -> Reply {
        within(gateway.send(self.request(gateway))).await
    }

    fn good(self) -> Say {
        match self {
            Way::Chat => Say::text("tide"),
            Way::Stream => Say::words(&["ti", "de"]),
            Way::Embed => Say::json(
                200,
                r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}"#,
            ),
            Way::Transcribe => Say::json(200, r#"{"text":"tide"}"#),
        }
    }
}

/// A gateway with these targets, named `t0`, `t1`, …, each with lines of its own.
async fn gateway(strategy: &str, targets: &[(&Upstream, &str)], top: &str) -> TestGateway {
    let targets: String = targets
        .iter()
        .enumerate()
        .map(|(at, (upstream, more))| target(&format!("t{at}"), "openai", upstream, "m, n", more))
        .collect();
    TestGateway::configured(&format!("strategy: {strategy}\ntargets:\n{targets}{top}"), &[]).await
}

/// One of its targets.
fn target_of(gateway: &TestGateway, at: usize) -> Arc<Target> {
    gateway.running.gateway.snapshot().rules.targets[at].clone()
}

/// Far more than anything here takes; a test that gets this far has failed.
async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

/// Waits for a condition that nothing announces.
async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The sum of the values of a metric whose lines begin and go on so.
async fn metric(gateway: &TestGateway, name: &str, labels: &str) -> f64 {
    let metrics = gateway.get("/metrics").await.body;
    let lines = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(labels));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// A stream that has begun to say something and goes no further.
fn begun() -> Say {
    Say::events([delta(r#"{"content":"ti"}"#, "null")])
}
