//! How WebSockets end, and what they cost until then.

use std::time::Duration;

use ferrogw::server::Ended;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::peer::{Vendor, within};
use super::{gateway, opened, recalled, target};

const AWAY: [u8; 2] = 1001_u16.to_be_bytes();

/// The code of a frame that closes.
fn code(frame: Option<(u8, Vec<u8>)>) -> Option<[u8; 2]> {
    frame.filter(|(first, _)| *first == 0x88).map(|(_, content)| [content[0], content[1]])
}

#[tokio::test]
async fn a_side_that_has_said_everything_can_still_listen() {
    let mut vendor = Vendor::plain().await;
    let gateway = gateway(&target("t0", "openai", &vendor, ""), "").await;
    let (mut near, mut far) = opened(&gateway, &mut vendor).await;
    near.masked(0x81, b"all").await;
    near.stream.shutdown().await.unwrap();
    assert_eq!(far.said().await, "all");
    assert_eq!(far.next().await, None);
    far.text("still here").await;
    assert_eq!(near.said().await, "still here");
    far.stream.shutdown().await.unwrap();
    assert_eq!(near.next().await, None);
}

#[tokio::test]
async fn who_does_not_read_holds_up_only_the_one_who_writes() {
    let mut vendor = Vendor::plain().await;
    let gateway = gateway(&target("t0", "openai", &vendor, ""), "").await;
    let (mut near, mut far) = opened(&gateway, &mut vendor).await;
    const MUCH: usize = 64 << 20;
    let piece = vec![7; 1 << 20];
    let mut written = 0;
    while written < MUCH {
        match tokio::time::timeout(Duration::from_millis(300), far.stream.write(&piece)).await {
            Ok(n) => written += n.unwrap(),
            Err(_) => break,
        }
    }
    assert!(written < MUCH, "somebody holds all of it");
    // the other direction is open
    near.masked(0x81, b"wait").await;
    assert_eq!(far.said().await, "wait");
    let mut rest = vec![0; written];
    within(near.stream.read_exact(&mut rest)).await.unwrap();
    assert!(rest.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn one_on_which_nothing_passes_is_closed() {
    let mut vendor = Vendor::plain().await;
    let gateway = gateway(&target("t0", "openai", &vendor, ""), "server: { tunnel_idle: 100ms }\n").await;
    let (mut near, mut far) = opened(&gateway, &mut vendor).await;
    assert_eq!(code(near.next().await), Some(AWAY));
    assert_eq!(code(far.next().await), Some(AWAY));
    assert_eq!((near.next().await, far.next().await), (None, None));
}

#[tokio::test]
async fn the_end_of_the_process_closes_what_is_open() {
    let mut vendor = Vendor::plain().await;
    let gateway = gateway(&target("t0", "openai", &vendor, ""), "server: { drain: 50ms }\n").await;
    let (mut near, mut far) = opened(&gateway, &mut vendor).await;
    let (mut torn, mut half) = opened(&gateway, &mut vendor).await;
    // in the middle of a frame nothing can be said any more
    half.write(&[0x81, 10, b'x']).await;
    assert_eq!(torn.stream.read_u16().await.unwrap(), 0x810a);
    gateway.running.handle.shutdown();
    assert_eq!(code(near.next().await), Some(AWAY));
    assert_eq!(code(far.next().await), Some(AWAY));
    let mut left = Vec::new();
    within(torn.stream.read_to_end(&mut left)).await.unwrap();
    assert_eq!(left, b"x");
    drop((near, far, torn, half));
    assert_eq!(within(gateway.running.handle.join()).await, Ended::Clean);
}

#[tokio::test]
async fn a_vendor_that_breaks_off_is_named_and_its_circuit_stays_closed() {
    let mut vendor = Vendor::plain().await;
    let breaker = "    circuit_breaker: { failure_threshold: 1, timeout: 1h }\n";
    let gateway = gateway(&target("t0", "openai", &vendor, breaker), "").await;
    let (near, mut far) = opened(&gateway, &mut vendor).await;
    let id = near.headers()["x-request-id"].clone();
    drop(near);
    assert_eq!(far.next().await, None);
    drop(far);
    assert!(recalled(&gateway, &id).await.to_string().contains("client_canceled"));

    let (mut near, far) = opened(&gateway, &mut vendor).await;
    let id = near.headers()["x-request-id"].clone();
    drop(far);
    assert_eq!(near.next().await, None);
    assert!(recalled(&gateway, &id).await.to_string().contains("upstream_stream_truncated"));
    // a caller could have made it do so
    drop(opened(&gateway, &mut vendor).await);
}
