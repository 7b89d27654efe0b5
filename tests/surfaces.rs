//! Every operation beyond chat: routed, retried, passed on and metered as chat is.

mod forms;
mod json;
mod named;
mod own_forms;
mod passed;
mod pictures;
mod recordings;
mod responses;
mod vendors;
mod voices;

use crate::support::{TestGateway, Upstream, target};

/// A gateway whose targets `t0`, `t1`, … are of these providers, each serving the model `m`.
async fn gateway(targets: &[(&str, &Upstream)], top: &str) -> TestGateway {
    let targets: String = targets
        .iter()
        .enumerate()
        .map(|(at, (provider, upstream))| target(&format!("t{at}"), provider, upstream, "m", ""))
        .collect();
    let env = [("T0_API_KEY", "sk-test-t0-0123456789")];
    TestGateway::configured(&format!("strategy: {{ mode: fallback }}\ntargets:\n{targets}{top}"), &env).await
}

/// The value of a metric with these labels, in the order in which they are shown.
async fn metric(gateway: &TestGateway, line: &str) -> Option<f64> {
    let metrics = gateway.get("/metrics").await.body;
    let found = metrics.lines().find_map(|found| found.strip_prefix(line).map(str::to_owned))?;
    found.trim().parse().ok()
}

/// A form as clients send it.
#[derive(Clone, Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    const BOUNDARY: &str = "----a-boundary-5d1f";

    pub(crate) fn part(mut self, head: &str, content: &[u8]) -> Self {
        let head = format!("--{}\r\nContent-Disposition: form-data; {head}\r\n\r\n", Self::BOUNDARY);
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn text(self, name: &str, text: &str) -> Self {
        self.part(&format!("name=\"{name}\""), text.as_bytes())
    }

    pub(crate) fn file(self, name: &str, filename: &str, content: Vec<u8>) -> Self {
        let head = format!("name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: application/octet-stream");
        self.part(&head, &content)
    }

    pub(crate) fn on(self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        let kind = format!("multipart/form-data; boundary={}", Self::BOUNDARY);
        request.header("content-type", kind).body([self.0, format!("--{}--\r\n", Self::BOUNDARY).into_bytes()].concat())
    }
}

/// What base64 stands for.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => 0,
    };
    let groups = text.as_bytes().chunks(4);
    let mut out: Vec<u8> = groups
        .flat_map(|group| {
            let word = group.iter().fold(0_u32, |word, byte| word << 6 | u32::from(digit(*byte)));
            word.to_be_bytes()[1..].to_vec()
        })
        .collect();
    out.truncate(out.len() - text.bytes().rev().take_while(|byte| *byte == b'=').count());
    out
}
