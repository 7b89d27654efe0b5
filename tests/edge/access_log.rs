//! One access line a request, whatever becomes of it.

use super::*;

#[tokio::test]
async fn a_whole_answer_is_logged_once_with_everything_known() {
    let door = Door::locked();
    let seen = door.send("GET", "/v1/models?secret=1", &[("x-api-key", KEY), ("x-request-id", "abc")]).await;
    assert_eq!(seen.status, 200);
    let line = Logged {
        id: "abc".into(),
        method: "GET".into(),
        path: "/v1/models".into(),
        status: 200,
        bytes: 6,
        remote: door.peer.ip(),
        key: Some("master-key:80aa248dbc1435f8".into()),
        error: None,
        model: None,
    };
    assert_eq!(door.lines(), [line]);
}

#[tokio::test]
async fn a_whole_answer_of_a_call_is_logged_with_its_outcome_before_its_body_is_read() {
    let door = Door::with(&[]);
    let response = door.service().oneshot(request("GET", "/v1/call", &[])).await.unwrap();
    let lines = door.lines();
    assert_eq!((lines.len(), lines[0].bytes, lines[0].model.as_deref()), (1, 6, Some("whole")));
    drop(response);
    assert_eq!(door.lines().len(), 1);
}

#[tokio::test]
async fn a_stream_is_logged_once_when_it_has_ended() {
    let door = Door::with(&[]);
    let mut response = door.service().oneshot(request("GET", "/v1/short", &[])).await.unwrap();
    while response.body_mut().frame().await.is_some() {}
    drop(response);
    let lines = door.lines();
    assert_eq!((lines.len(), lines[0].status, lines[0].bytes), (1, 200, 3));
}

#[tokio::test]
async fn a_stream_that_the_caller_leaves_is_logged_once_with_what_was_sent_and_its_outcome() {
    let door = Door::with(&[]);
    let mut response = door.service().oneshot(request("GET", "/v1/events", &[])).await.unwrap();
    for _ in 0..2 {
        assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap().len(), 9);
    }
    assert_eq!(door.lines(), []);
    drop(response);
    let lines = door.lines();
    assert_eq!((lines.len(), lines[0].status, lines[0].bytes), (1, 200, 18));
    assert_eq!(lines[0].model.as_deref(), Some("streamed"));
}

#[tokio::test]
async fn a_caller_that_leaves_before_the_answer_is_logged_as_499() {
    let door = Door::with(&[]);
    let mut answer = Box::pin(door.service().oneshot(request("GET", "/v1/never", &[])));
    assert!((&mut answer).now_or_never().is_none());
    drop(answer);
    let lines = door.lines();
    assert_eq!((lines.len(), lines[0].status), (1, 499));
}

#[tokio::test]
async fn a_panic_is_a_500_with_every_header_and_one_line() {
    let door = Door::with(&[]);
    let seen = door.send("GET", "/v1/panic", &[]).await;
    assert_eq!((seen.status, seen.code().as_str()), (500, "internal_error"));
    assert!(seen.header("x-request-id").is_some());
    assert_eq!(seen.header("x-content-type-options"), Some("nosniff"));
    let lines = door.lines();
    assert_eq!((lines.len(), lines[0].status, lines[0].error.as_deref()), (1, 500, Some("internal_error")));
}

#[tokio::test]
async fn refusals_and_preflights_are_logged_and_probes_are_not() {
    let door = Door::locked();
    door.send("GET", "/v1/models", &[]).await;
    door.send("OPTIONS", "/v1/models", &[("origin", "https://a.example")]).await;
    door.send("GET", "/v1/../x", &[]).await;
    door.send("BREW", "/v1/models", &[]).await;
    door.send("GET", "/health", &[]).await;
    let lines = door.lines();
    let statuses: Vec<_> = lines.iter().map(|line| (line.status, line.error.as_deref())).collect();
    let expected = [
        (401, Some("missing_api_key")),
        (204, None),
        (400, Some("invalid_proxy_path")),
        (501, Some("method_not_supported")),
    ];
    assert_eq!(statuses, expected);
}
