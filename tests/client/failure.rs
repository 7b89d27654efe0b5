//! How exchanges end that do not end well.

use super::*;

#[tokio::test]
async fn nobody_listening_is_a_refused_connection() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = ask(&origin(address, QUICK)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{address}: not connected: connection refused"));
    assert_eq!(error.fault(), Fault::Unreachable);
}

#[tokio::test]
async fn a_tls_handshake_that_hangs_is_a_connect_timeout() {
    let address = listen(|_, mut stream| async move { gone(&mut stream).await }).await;
    let timeouts = Timeouts { connect: Duration::from_millis(50), ..QUICK };
    let error = ask(&origin_with(&format!("https://{address}"), timeouts, Options::default())).await.unwrap_err();
    assert!(matches!(error, SendError::Timeout { phase: Phase::Connect, .. }), "{error}");
    assert_eq!(error.to_string(), format!("{address}: no connection within 50ms"));
    assert_eq!(error.fault(), Fault::Timeout);
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_left_after_the_first_byte_timeout() {
    let (left, mut is_left) = mpsc::unbounded_channel();
    let address = listen(move |_, mut stream| {
        let left = left.clone();
        async move {
            request(&mut stream).await;
            gone(&mut stream).await;
            let _ = left.send(());
        }
    })
    .await;
    let timeouts = Timeouts { first_byte: Duration::from_millis(50), ..QUICK };
    let error = ask(&origin(address, timeouts)).await.unwrap_err();
    assert!(matches!(error, SendError::Timeout { phase: Phase::FirstByte, .. }), "{error}");
    assert_eq!(is_left.recv().await, Some(()));
}

#[tokio::test]
async fn a_body_that_pauses_too_long_is_cut_and_a_slow_one_is_not() {
    let address = listen(|_, mut stream| async move {
        request(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").await;
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        for byte in ["a", "b", "c", "d", "e", "f"] {
            beat.tick().await;
            write(&mut stream, byte).await;
        }
        gone(&mut stream).await;
    })
    .await;
    let timeouts = Timeouts { idle: Duration::from_millis(200), ..QUICK };
    let origin = origin(address, timeouts);
    let mut body = send(&origin, "/chat").await.unwrap().body;
    for byte in ["a", "b", "c", "d", "e", "f"] {
        assert_eq!(next(&mut body).await.unwrap().unwrap(), byte);
    }
    let error = next(&mut body).await.unwrap().unwrap_err();
    assert!(matches!(error, SendError::Timeout { phase: Phase::Idle, .. }), "{error}");
    assert_eq!(error.to_string(), format!("{address}: the answer paused for 200ms"));
    assert!(next(&mut body).await.is_none());
    assert_eq!(origin.resting(), 0);
}

#[tokio::test]
async fn the_timer_of_an_earlier_request_does_not_cut_a_later_one() {
    let address = listen(|_, mut stream| async move {
        let mut beat = tokio::time::interval(Duration::from_millis(60));
        while request(&mut stream).await.is_some() {
            beat.tick().await;
            write(&mut stream, HELLO).await;
        }
    })
    .await;
    let patience = Duration::from_millis(200);
    let origin = origin(address, Timeouts { first_byte: patience, idle: patience, ..QUICK });
    for _ in 0..6 {
        assert_eq!(ask(&origin).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_in_every_framing_that_has_an_end() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello",
    ] {
        let address = listen(move |_, mut stream| async move {
            request(&mut stream).await;
            write(&mut stream, answer).await;
        })
        .await;
        let origin = origin(address, QUICK);
        let mut body = send(&origin, "/chat").await.unwrap().body;
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "hello", "{answer}");
        let error = next(&mut body).await.unwrap().unwrap_err();
        assert!(matches!(error, SendError::Broken { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Truncated);
        assert!(next(&mut body).await.is_none());
        assert_eq!(origin.resting(), 0);
    }
}

#[tokio::test]
async fn leaving_closes_the_upstream_at_once_in_every_phase() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let address = listen(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            let head = request(&mut stream).await.unwrap();
            let _ = tell.send("asked");
            if head.contains("/stream") {
                write(&mut stream, &format!("{CHUNKED}5\r\nhello\r\n")).await;
            }
            gone(&mut stream).await;
            let _ = tell.send("left");
        }
    })
    .await;
    let origin = origin(address, QUICK);
    let waiting = tokio::spawn({
        let origin = origin.clone();
        async move { send(&origin, "/silent").await.map(drop) }
    });
    assert_eq!(told.recv().await, Some("asked"));
    waiting.abort();
    assert_eq!(told.recv().await, Some("left"));

    let mut body = send(&origin, "/stream").await.unwrap().body;
    assert_eq!(told.recv().await, Some("asked"));
    assert_eq!(next(&mut body).await.unwrap().unwrap(), "hello");
    drop(body);
    assert_eq!(told.recv().await, Some("left"));
    assert_eq!(origin.resting(), 0);
}

#[tokio::test]
async fn heads_have_limits_and_nonsense_is_a_protocol_error() {
    let large: &'static str = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(100_000)).leak();
    let many: &'static str = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: 1\r\n".repeat(2_000)).leak();
    for answer in [large, many, "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"] {
        let (address, _asked) = says(answer).await;
        let error = ask(&origin(address, QUICK)).await.unwrap_err();
        assert!(matches!(error, SendError::Protocol { .. }), "{error}");
        assert_eq!(error.fault(), Fault::Server);
    }
    let fair: &'static str =
        format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 5\r\n\r\nhello", "a".repeat(30_000)).leak();
    let (address, _asked) = says(fair).await;
    assert_eq!(ask(&origin(address, QUICK)).await.unwrap(), "hello");
}
