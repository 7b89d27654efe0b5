//! Three upstreams in trouble of different kinds, speaking HTTP by hand so that they can do it wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::upstream::{USAGE, chat, delta};

/// What is wrong with an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Fifty requests long it fails in one way after the other, then fifty requests long it is well.
    Dying,
    /// It takes its time and never fails.
    Slow,
    /// Of three requests it refuses two.
    Limited,
}

/// An upstream, and how many connections it has.
pub(super) struct Troubled {
    pub(super) url: String,
    pub(super) open: Arc<AtomicUsize>,
    pub(super) asked: Arc<AtomicUsize>,
}

impl Troubled {
    pub(super) async fn with(trouble: Trouble) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (open, asked) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (counted, numbered) = (open.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                counted.fetch_add(1, Ordering::AcqRel);
                let (open, asked) = (counted.clone(), numbered.clone());
                tokio::spawn(async move {
                    // whatever breaks is part of the trouble
                    let _broken = converse(stream, trouble, &asked).await;
                    open.fetch_sub(1, Ordering::AcqRel);
                });
            }
        });
        Self { url, open, asked }
    }
}

/// What becomes of one request.
enum Act {
    Answer,
    Status(u16, &'static str),
    /// The connection ends after so many bytes of the answer.
    Cut(usize),
}

fn act(trouble: Trouble, number: usize) -> Act {
    match trouble {
        Trouble::Slow => Act::Answer,
        Trouble::Limited if number.is_multiple_of(3) => Act::Answer,
        Trouble::Limited => Act::Status(429, "retry-after-ms: 1100\r\n"),
        Trouble::Dying if number / 50 % 2 == 1 => Act::Answer,
        Trouble::Dying => match number % 6 {
            0 => Act::Status(500, ""),
            1 => Act::Status(503, "retry-after-ms: 5\r\n"),
            2 => Act::Cut(0),
            3 => Act::Cut(20),
            4 => Act::Cut(300),
            _ => Act::Cut(700),
        },
    }
}

async fn converse(mut stream: TcpStream, trouble: Trouble, asked: &AtomicUsize) -> std::io::Result<()> {
    let mut read = Vec::new();
    loop {
        let Some(streamed) = request(&mut stream, &mut read).await? else { return Ok(()) };
        if trouble == Trouble::Slow {
            tokio::time::sleep(Duration::from_millis(12)).await;
        }
        let answer = if streamed { events() } else { whole(200, "", &chat("tide")) };
        match act(trouble, asked.fetch_add(1, Ordering::AcqRel)) {
            Act::Status(status, headers) => stream.write_all(whole(status, headers, "{}").as_bytes()).await?,
            Act::Cut(length) => return stream.write_all(&answer.as_bytes()[..length.min(answer.len() - 8)]).await,
            Act::Answer => {
                // in two pieces, so that streams are read while they are written
                let (head, tail) = answer.as_bytes().split_at(answer.len() / 2);
                stream.write_all(head).await?;
                tokio::task::yield_now().await;
                stream.write_all(tail).await?;
            }
        }
    }
}

/// Reads one request; whether it is for a stream. `None` if there is none any more.
async fn request(stream: &mut TcpStream, read: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    loop {
        if let Some(head) = memchr::memmem::find(read, b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let whole = head + 4 + length.and_then(|length| length.parse::<usize>().ok()).unwrap_or(0);
            if read.len() >= whole {
                let streamed = memchr::memmem::find(&read[head..whole], b"\"stream\":true").is_some();
                read.drain(..whole);
                return Ok(Some(streamed));
            }
        }
        if stream.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}

fn whole(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} As-Told\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn events() -> String {
    let mut answer =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let content = |text: &str| delta(&format!(r#"{{"content":"{text}"}}"#), "null");
    let payloads =
        [content("ti"), content("de"), content("!"), delta("{}", r#""stop""#), USAGE.to_owned(), "[DONE]".to_owned()];
    for payload in payloads {
        let frame = format!("data: {payload}\n\n");
        answer.push_str(&format!("{:x}\r\n{frame}\r\n", frame.len()));
    }
    answer + "0\r\n\r\n"
}
