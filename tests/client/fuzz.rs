//! Answers of all shapes, whole and broken: what we make of them is what hyper makes of them, or we refuse them.

use http::{Request, Response};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// What became of an answer: its status, its headers and its body, or nothing.
type Heard = Option<(u16, Vec<(String, Vec<u8>)>, Vec<u8>)>;

/// An answer as servers write them.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let interim =
        prop::sample::select(vec!["", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", "HTTP/1.1 100 \r\n\r\n"]);
    let first =
        prop::sample::select(vec!["HTTP/1.1 200 OK", "HTTP/1.1 429 ", "HTTP/1.0 200 OK", "HTTP/1.1 204 No Content"]);
    let fields = prop::collection::vec(
        prop::sample::select(vec![
            "content-type: application/json",
            "X-Request-Id:  a\u{e9} b ",
            "connection: close",
            "Connection: Keep-Alive, x",
            "set-cookie: a=1",
            "set-cookie: b=2",
            "empty:",
        ]),
        0..5,
    );
    let pieces = prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..4);
    (interim, first, fields, pieces, 0..6_u8, prop::sample::select(vec!["", "x: 1\r\n"])).prop_map(
        |(interim, first, fields, pieces, framing, trailer)| {
            let mut out = format!("{interim}{first}\r\n").into_bytes();
            for field in fields {
                out.extend_from_slice(field.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            let body = pieces.concat();
            match framing {
                0 => out.extend_from_slice(b"\r\n"),
                1 | 2 => out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes()),
                3 => out.extend_from_slice(
                    format!("content-length: {0}\r\ncontent-length: {0}\r\n\r\n", body.len()).as_bytes(),
                ),
                _ => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n"),
            }
            if framing < 4 {
                out.extend_from_slice(&body);
                return out;
            }
            for piece in pieces {
                out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                out.extend_from_slice(&piece);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(format!("0\r\n{trailer}\r\n").as_bytes());
            out
        },
    )
}

/// One with a few bytes changed, added or left out.
fn broken() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(b"0159aF\r\n:; ,-xCTchunked\t\0\xff".to_vec());
    let changes = prop::collection::vec((any::<prop::sample::Index>(), byte, 0..3_u8), 1..4);
    (answers(), changes).prop_map(|(mut answer, changes)| {
        for (at, byte, how) in changes {
            match (how, answer.is_empty()) {
                (0, _) => answer.insert(at.index(answer.len() + 1), byte),
                (_, true) => {}
                (1, false) => _ = answer.remove(at.index(answer.len())),
                (_, false) => {
                    let at = at.index(answer.len());
                    answer[at] = byte;
                }
            }
        }
        answer
    })
}

/// A server that says `answer` in pieces and leaves.
async fn saying(answer: Vec<u8>, cuts: Vec<usize>) -> SocketAddr {
    listen(move |_, mut stream| {
        let (answer, mut cuts) = (answer.clone(), cuts.clone());
        async move {
            stream.set_nodelay(true).unwrap();
            request(&mut stream).await;
            cuts.iter_mut().for_each(|cut| *cut %= answer.len() + 1);
            cuts.push(answer.len());
            cuts.sort_unstable();
            let mut begin = 0;
            for cut in cuts {
                let _ = stream.write_all(&answer[begin..cut]).await;
                begin = cut;
                tokio::task::yield_now().await;
            }
        }
    })
    .await
}

fn heard(answer: Response<()>, body: Vec<u8>) -> Heard {
    let (head, ()) = answer.into_parts();
    // an order among different names means nothing
    let mut fields: Vec<_> =
        head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    Some((head.status.as_u16(), fields, body))
}

async fn ours(address: SocketAddr) -> Heard {
    let answer = send(&origin(address, QUICK), "/chat").await.ok()?;
    let mut response = Response::new(());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.fields.map();
    heard(response, whole(answer.body).await.ok()?)
}

async fn hypers(address: SocketAddr) -> Heard {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut send, connection) = http1::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let request = Request::post("/chat").header("content-length", "2").body("{}".to_owned()).unwrap();
    let answer = send.send_request(request).await;
    let heard = async {
        let (head, body) = answer.ok()?.into_parts();
        let body = http_body_util::BodyExt::collect(body).await.ok()?.to_bytes();
        heard(Response::from_parts(head, ()), body.to_vec())
    };
    let heard = heard.await;
    driver.abort();
    heard
}

/// Runs `check` with what both make of many answers.
fn compare(answers: impl Strategy<Value = Vec<u8>>, check: impl Fn(&Heard, &Heard) -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cuts = prop::collection::vec(any::<usize>(), 0..5);
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) });
    let outcome = runner.run(&(answers, cuts), |(answer, cuts)| {
        let (ours, hypers) = runtime.block_on(async {
            let address = saying(answer.clone(), cuts).await;
            (ours(address).await, hypers(address).await)
        });
        prop_assert!(check(&ours, &hypers), "{}\nours: {ours:?}\nhyper's: {hypers:?}", answer.escape_ascii());
        Ok(())
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
}

#[test]
fn whatever_servers_say_is_heard_as_hyper_hears_it() {
    compare(answers(), |ours, hypers| ours == hypers);
}

#[test]
fn what_is_broken_is_refused_or_heard_as_hyper_hears_it() {
    compare(broken(), |ours, hypers| ours.is_none() || ours == hypers);
}
