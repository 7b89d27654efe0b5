//! Memory of uploads: bodies of 50 MB on their way through, and how much more is resident meanwhile.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use crate::process;
use crate::reply::Reply;
use crate::report::megabytes;
use crate::settings::Settings;
use crate::subject::{Kind, Setup, Upstream};
use crate::traffic::KEY;

/// Bytes of an upload.
const SIZE: usize = 50_000_000;

const BOUNDARY: &str = "----bench-Hq3vT7kRzXw2";

/// What is uploaded: a name, the path, further headers, fields of the form or `None` where it is none.
type Way = (&'static str, &'static str, &'static str, Option<&'static [(&'static str, &'static str)]>);

const WAYS: [Way; 3] = [
    ("audio", "/v1/audio/transcriptions", "", Some(&[("model", "bench-chat"), ("language", "en")])),
    ("file", "/v1/files", "", Some(&[("purpose", "batch")])),
    ("pass-through", "/v1/uploads/upload_1/content", "X-Provider: first\r\n", None),
];

/// One kind of upload through one subject.
#[derive(Serialize)]
pub(crate) struct Upload {
    pub(crate) subject: &'static str,
    pub(crate) way: &'static str,
    /// MB: resident before, and the most that was added meanwhile; of the worst round.
    pub(crate) before: f64,
    pub(crate) growth: f64,
    /// Milliseconds from the first byte sent to the last received, and of CPU; of the last round.
    pub(crate) millis: f64,
    pub(crate) cpu: f64,
}

/// Uploads through every proxy, one after the other, each proxy fresh.
pub(crate) fn measure(settings: &Settings, upstream: &Upstream, folder: &Path) -> anyhow::Result<Vec<Upload>> {
    let mut uploads = Vec::new();
    for kind in settings.subjects.iter().filter(|kind| **kind != Kind::Direct) {
        let subject = kind.start(settings, Setup { upstream, tls: false, targets: 2, callgrind: None, folder })?;
        for way in WAYS {
            eprintln!("upload of 50 MB, {}: {}", way.0, kind.name());
            let request = request(way);
            let mut upload =
                Upload { subject: kind.name(), way: way.0, before: 0.0, growth: f64::MIN, millis: 0.0, cpu: 0.0 };
            for _ in 0..settings.rounds {
                let pids = process::family(subject.pids[0]);
                process::forget_peak(&pids);
                let (before, cpu, since) = (process::resident(&pids), process::cpu(&pids), Instant::now());
                send(subject.port, &request).with_context(|| format!("{} through {}", way.0, kind.name()))?;
                upload.millis = since.elapsed().as_secs_f64() * 1e3;
                upload.cpu = (process::cpu(&pids) - cpu).as_secs_f64() * 1e3;
                let growth = megabytes(process::peak(&pids)) - megabytes(before);
                if growth > upload.growth {
                    (upload.before, upload.growth) = (megabytes(before), growth);
                }
            }
            uploads.push(upload);
        }
    }
    Ok(uploads)
}

fn request((_, path, headers, form): Way) -> Vec<u8> {
    let (kind, before, after) = match form {
        None => ("application/octet-stream".to_owned(), String::new(), String::new()),
        Some(fields) => {
            let part = |name: &str| format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"");
            let fields = fields.iter().map(|(name, value)| format!("{}\r\n\r\n{value}\r\n", part(name)));
            let file = "; filename=\"long.wav\"\r\nContent-Type: application/octet-stream\r\n\r\n";
            let before = fields.collect::<String>() + &part("file") + file;
            (format!("multipart/form-data; boundary={BOUNDARY}"), before, format!("\r\n--{BOUNDARY}--\r\n"))
        }
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n{headers}Content-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n",
        before.len() + SIZE + after.len()
    );
    let mut request = Vec::with_capacity(head.len() + before.len() + SIZE + after.len());
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(before.as_bytes());
    // every byte there is, line ends and hyphens as in a boundary among them
    request.extend((0..SIZE).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8));
    request.extend_from_slice(after.as_bytes());
    request
}

/// Fails unless the answer is a 200.
fn send(port: u16, request: &[u8]) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.write_all(request)?;
    let mut reply = Reply::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = stream.read(&mut buffer)?;
        anyhow::ensure!(n > 0, "the connection was closed within an answer");
        if reply.push(&buffer[..n])? {
            return Ok(());
        }
    }
}
