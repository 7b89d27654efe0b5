//! HTTP/2 where things end early: silence, GOAWAY, refused and lost streams, and hosts that do not speak it.

use std::sync::atomic::{AtomicUsize, Ordering};

use h2::Reason;
use http::Response;
use tokio::sync::Notify;

use super::super::egress::{authority, trusting};
use super::super::*;
use super::{over, says_pieces, says_whole, to, upstream};

#[tokio::test]
async fn silence_is_cut_before_the_answer_and_within_it_and_the_connection_stays() {
    let held = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (address, _) = upstream(100, move |n, request| {
        let held = held.clone();
        async move {
            let (pieces, reply) = says_pieces();
            match request.uri().path() {
                "/silent" => std::future::pending().await,
                "/pauses" => pieces.send(b"one").await.unwrap(),
                _ => return says_whole(n.to_string()),
            }
            held.lock().unwrap().push(pieces);
            reply
        }
    })
    .await;
    let short = Duration::from_millis(60);
    let origin = to(address, Timeouts { first_byte: short, idle: short, ..QUICK });
    let error = send(&origin, "/silent").await.err().unwrap();
    assert_eq!(error.to_string(), format!("{address}: no answer within 60ms"));
    let mut body = send(&origin, "/pauses").await.unwrap().body;
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "one");
    let error = next(&mut body).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), format!("{address}: the answer paused for 60ms"));
    assert!(next(&mut body).await.is_none());
    assert_eq!(ask(&origin).await.unwrap(), "0");
}

#[tokio::test]
async fn a_connection_that_says_goaway_is_replaced_and_ends_what_it_began() {
    let (wake, woken) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (waits, counts) = (wake.clone(), woken.clone());
    let (address, leaves) = upstream(100, move |n, request| {
        let (waits, counts) = (waits.clone(), counts.clone());
        async move {
            if request.uri().path() == "/long" {
                counts.fetch_add(1, Ordering::SeqCst);
                waits.notified().await;
            }
            says_whole(n.to_string())
        }
    })
    .await;
    let origin = to(address, QUICK);
    assert_eq!(ask(&origin).await.unwrap(), "0");
    let long = tokio::spawn({
        let origin = origin.clone();
        async move { text(send(&origin, "/long").await?).await }
    });
    while woken.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    leaves.notify_one();
    while ask(&origin).await.unwrap() == "0" {}
    wake.notify_one();
    assert_eq!(long.await.unwrap().unwrap(), "0");
    assert_eq!(ask(&origin).await.unwrap(), "1");
}

/// An upstream whose connection with number n ends its streams as `does` says.
async fn misbehaves<F>(does: F) -> SocketAddr
where
    F: Fn(usize, &mut h2::server::SendResponse<Bytes>) -> bool + Send + Sync + 'static,
{
    let does = Arc::new(does);
    listen(move |n, stream| {
        let does = does.clone();
        async move {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_request, mut respond))) = connection.accept().await {
                if !does(n, &mut respond) {
                    return;
                }
            }
        }
    })
    .await
}

fn hello(respond: &mut h2::server::SendResponse<Bytes>) -> bool {
    respond.send_response(Response::new(()), false).unwrap().send_data(Bytes::from_static(b"hello"), true).is_ok()
}

#[tokio::test]
async fn a_stream_that_is_refused_is_asked_for_once_more() {
    for (refusals, succeeds) in [(1, true), (2, false)] {
        let address = misbehaves(move |n, respond| {
            if n < refusals {
                respond.send_reset(Reason::REFUSED_STREAM);
                return true;
            }
            hello(respond)
        })
        .await;
        let asked = ask(&to(address, QUICK)).await;
        assert_eq!(asked.is_ok(), succeeds, "{asked:?}");
        assert!(asked.is_ok_and(|text| text == "hello") || !succeeds);
    }
}

#[tokio::test]
async fn a_lost_connection_is_replaced_if_it_was_good_before_and_a_reset_stream_is_not() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    // the second request is the end of the first connection, the third is reset
    let address = misbehaves(move |_, respond| match count.fetch_add(1, Ordering::SeqCst) {
        1 => false,
        3 => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            true
        }
        _ => hello(respond),
    })
    .await;
    let origin = to(address, QUICK);
    for _ in 0..2 {
        assert_eq!(ask(&origin).await.unwrap(), "hello");
    }
    let error = ask(&origin).await.unwrap_err();
    assert!(matches!(error, SendError::Closed { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Unreachable);
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn who_does_not_speak_http2_is_unreachable_and_the_option_is_named() {
    let (file, tls) = authority(&["127.0.0.1"], &[]);
    let (plain, _asked) = says("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    let silent_about_it = listen(move |_, stream| {
        let tls = tls.clone();
        async move { gone(&mut tls.accept(stream).await.unwrap()).await }
    })
    .await;
    let (strict_file, tls) = authority(&["127.0.0.1"], &[b"http/1.1"]);
    let strict = listen(move |_, stream| {
        let tls = tls.clone();
        async move { assert!(tls.accept(stream).await.is_err()) }
    })
    .await;
    for origin in [
        to(plain, QUICK),
        over(&format!("https://{silent_about_it}"), QUICK, trusting(&file)),
        over(&format!("https://{strict}"), QUICK, trusting(&strict_file)),
    ] {
        let error = ask(&origin).await.unwrap_err();
        assert!(error.to_string().contains("does not speak HTTP/2, which `http2: true` asks for"), "{error}");
        assert_eq!(error.fault(), Fault::Unreachable);
    }
}
