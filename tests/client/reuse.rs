//! Which connections are used again, which are replaced, and which are not kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use http::Uri;

use super::*;

#[tokio::test]
async fn a_connection_is_used_again_after_every_body_that_has_an_end() {
    for (answer, body) in [
        (HELLO, "hello"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n", "hello"),
        ("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ] {
        let (address, mut asked) = says(answer).await;
        let origin = origin(address, QUICK);
        for _ in 0..3 {
            assert_eq!(ask(&origin).await.unwrap(), body, "{answer}");
            assert_eq!(asked.recv().await.unwrap().0, 0, "{answer}");
            assert_eq!(origin.resting(), 1, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_body_that_ends_with_its_connection_is_read_to_the_end() {
    let address = listen(|_, mut stream| async move {
        request(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\n\r\nhel").await;
        write(&mut stream, "lo").await;
    })
    .await;
    let origin = origin(address, QUICK);
    assert_eq!(ask(&origin).await.unwrap(), "hello");
    assert_eq!(origin.resting(), 0);
}

#[tokio::test]
async fn a_connection_is_not_kept_when_the_upstream_gives_it_up_or_says_too_much() {
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nworld",
    ] {
        let (address, mut asked) = says(answer).await;
        let origin = origin(address, QUICK);
        for n in 0..2 {
            assert_eq!(ask(&origin).await.unwrap(), "hello", "{answer}");
            assert_eq!(asked.recv().await.unwrap().0, n, "{answer}");
            assert_eq!(origin.resting(), 0, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_died_at_rest_is_replaced_and_each_request_arrives_once() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let counter = arrived.clone();
    let (closed, mut is_closed) = mpsc::unbounded_channel();
    let address = listen(move |_, mut stream| {
        let (arrived, closed) = (counter.clone(), closed.clone());
        async move {
            for _ in 0..2 {
                if request(&mut stream).await.is_none() {
                    return;
                }
                arrived.fetch_add(1, Ordering::SeqCst);
                write(&mut stream, HELLO).await;
            }
            drop(stream);
            let _ = closed.send(());
        }
    })
    .await;
    let origin = origin(address, QUICK);
    for n in 1..=7 {
        assert_eq!(ask(&origin).await.unwrap(), "hello");
        assert_eq!(arrived.load(Ordering::SeqCst), n);
        if n % 2 == 0 {
            is_closed.recv().await.unwrap();
        }
    }
}

/// The first connection answers once and closes on the second request, as a server does whose patience just ended.
async fn closes_on_the_second_request(farewell: &'static str) -> (SocketAddr, mpsc::UnboundedReceiver<usize>) {
    let (tell, asked) = mpsc::unbounded_channel();
    let address = listen(move |n, mut stream| {
        let tell = tell.clone();
        async move {
            while request(&mut stream).await.is_some() {
                let _ = tell.send(n);
                write(&mut stream, HELLO).await;
                if n == 0 {
                    request(&mut stream).await;
                    return write(&mut stream, farewell).await;
                }
            }
        }
    })
    .await;
    (address, asked)
}

#[tokio::test]
async fn a_reused_connection_that_closes_on_the_request_is_replaced() {
    let (address, mut asked) = closes_on_the_second_request("").await;
    let origin = origin(address, QUICK);
    for n in 0..2 {
        assert_eq!(ask(&origin).await.unwrap(), "hello");
        assert_eq!(asked.recv().await, Some(n));
    }
}

#[tokio::test]
async fn a_reused_connection_that_closes_within_the_answer_is_not_replaced() {
    let (address, mut asked) = closes_on_the_second_request("HTTP/1.1 20").await;
    let origin = origin(address, QUICK);
    assert_eq!(ask(&origin).await.unwrap(), "hello");
    assert_eq!(asked.recv().await, Some(0));
    let error = ask(&origin).await.unwrap_err();
    assert!(matches!(error, SendError::Closed { .. }), "{error}");
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_fresh_connection_that_closes_on_the_request_is_not_replaced() {
    let (tell, mut asked) = mpsc::unbounded_channel();
    let address = listen(move |n, mut stream| {
        let tell = tell.clone();
        async move {
            request(&mut stream).await;
            let _ = tell.send(n);
        }
    })
    .await;
    let error = ask(&origin(address, QUICK)).await.unwrap_err();
    assert!(matches!(error, SendError::Closed { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Unreachable);
    assert_eq!(asked.recv().await, Some(0));
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn a_swept_connection_is_used_again_and_an_old_one_is_closed() {
    let (address, mut asked) = says(HELLO).await;
    let origin = origin(address, QUICK);
    for seconds in [0, 6, 80] {
        ask(&origin).await.unwrap();
        assert_eq!(asked.recv().await.unwrap().0, 0);
        origin.sweep(Instant::now() + Duration::from_secs(seconds));
        assert_eq!(origin.resting(), 1);
    }
    origin.sweep(Instant::now() + Duration::from_secs(90));
    assert_eq!(origin.resting(), 0);
    ask(&origin).await.unwrap();
    assert_eq!(asked.recv().await.unwrap().0, 1);
}

#[tokio::test]
async fn a_connection_too_old_is_not_used_even_before_it_is_swept_and_no_more_rest_than_allowed() {
    let (address, mut asked) = says(HELLO).await;
    let base = format!("http://{address}");
    let aged = Options { resting_age: Duration::ZERO, ..Options::default() };
    let few = Options { resting: 0, ..Options::default() };
    for options in [aged, few] {
        let origin = origin_with(&base, QUICK, options);
        ask(&origin).await.unwrap();
        let first = asked.recv().await.unwrap().0;
        ask(&origin).await.unwrap();
        assert_ne!(asked.recv().await.unwrap().0, first);
    }
}

#[tokio::test]
async fn a_reload_keeps_the_connections_of_an_upstream() {
    let (address, _asked) = says(HELLO).await;
    let client = Client::new(Options::default()).unwrap();
    let base: Uri = format!("http://{address}/v1").parse().unwrap();
    let first = client.origin(&base, QUICK, Protocol::Http1).unwrap();
    ask(&first).await.unwrap();
    assert_eq!(client.origin(&base, QUICK, Protocol::Http1).unwrap().resting(), 1);
    assert_eq!(client.origin(&base, Timeouts::default(), Protocol::Http1).unwrap().resting(), 0);
    client.sweep(Instant::now() + Duration::from_secs(90));
    assert_eq!(first.resting(), 0);
}

/// hyper's share is most of it: the request's channel, the head of the answer, the body's channel.
#[test]
fn a_request_on_a_pooled_connection_takes_few_allocations() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 4096];
        while stream.read(&mut bytes).is_ok_and(|n| n > 0) {
            stream.write_all(HELLO.as_bytes()).unwrap();
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let origin = origin(address, QUICK);
    let mut headers = HeaderMap::new();
    for name in ["authorization", "content-type", "accept", "accept-encoding", "user-agent", "x-request-id"] {
        headers.insert(name, "value".parse().unwrap());
    }
    headers.insert("host", origin.host().clone());
    let (path, ready) = ("/v1/chat/completions".parse().unwrap(), Lines::from(&headers));
    let exchange = || {
        runtime.block_on(async {
            let body = Bytes::from_static(b"{}");
            let answer = origin.ask(&Method::POST, &path, &ready, &Lines::default(), body.into()).await.unwrap();
            assert_eq!(text(answer).await.unwrap(), "hello");
        });
    };
    exchange();
    exchange();
    let taken = allocation_counter::measure(exchange);
    assert!(taken.count_total <= 10, "{taken:?}");
}
