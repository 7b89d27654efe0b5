//! How much and how long, and what is taken.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn results_of_tools_within_each_other_are_answered_however_deep_they_are() {
    let upstream = bedrock().await;
    let gateway = gateway(&upstream, HERE).await;
    let deep = [r#"{"type":"tool_result","content":["#.repeat(100_000), "]}".repeat(100_000)].concat();
    let ask = format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{deep}]}}]}}"#);
    let reply = gateway.post(CHAT, ask).await;
    assert!(reply.status < 500, "{}", reply.status);
    // and it is still there for the next one
    assert_eq!(gateway.get("/livez").await.status, 200);
}

#[tokio::test]
async fn no_more_bytes_are_read_than_allowed() {
    let upstream = bedrock().await;
    let gateway = gateway(&upstream, &format!("{HERE}, max_bytes: 1000")).await;
    let check = async |say: Say| {
        let host = Upstream::says([say]).await;
        about(&gateway, &format!("{}/cat.png", host.url)).await
    };
    let long = || [PNG, &[7; 1000]].concat();
    // by the length it says it has
    refused(&check(Say::bytes(200, long())).await, PLACE, &["has more than 1000 bytes", "`media.fetch.max_bytes`"]);
    // by what comes, though nobody says how much that will be: it need not end
    let endless = Say::pieces("image/png", [PNG.to_vec(), vec![7; 600], vec![7; 600]]).hang();
    refused(&check(endless).await, PLACE, &["has more than 1000 bytes"]);
    let fits = check(Say::bytes(200, long()[..1000].to_vec())).await;
    assert_eq!(fits.status, 200, "{}", fits.body);
    let broken = check(Say::pieces("image/png", [PNG.to_vec()]).cut()).await;
    refused(&broken, PLACE, &["broke off"]);
    assert_eq!(upstream.seen().len(), 1);
}

#[tokio::test]
async fn the_request_with_its_media_is_bounded_as_requests_are() {
    let upstream = bedrock().await;
    let album = Upstream::says([Say::bytes(200, [PNG, &[0; 300]].concat())]).await;
    let gateway = with(&upstream, HERE, "max_request_bytes: 1000\n").await;
    let cat = image(&format!("{}/c", album.url));
    let three = asking(&vec![cat.clone(); 3]);
    assert!(three.len() < 500);
    refused(&gateway.post(CHAT, three).await, PLACE, &["larger than 1000 bytes", "`max_request_bytes`"]);
    let reply = gateway.post(CHAT, asking(&[cat])).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn a_request_may_name_a_hundred_addresses() {
    let (album, upstream) = (album().await, bedrock().await);
    let gateway = gateway(&upstream, HERE).await;
    let parts: Vec<_> = (0..101).map(|at| image(&format!("{}/{at}", album.url))).collect();
    let reply = gateway.post(CHAT, asking(&parts)).await;
    refused(&reply, "messages[1].content[101]", &["one of more than 100"]);
    assert!(album.seen().is_empty() && upstream.seen().is_empty());
}

#[tokio::test]
async fn only_what_begins_as_a_medium_is_taken_whatever_it_is_called() {
    let upstream = bedrock().await;
    let gateway = gateway(&upstream, HERE).await;
    let check = async |body: &[u8]| {
        let host = Upstream::says([Say::bytes(200, body.to_vec()).header("content-type", "image/png")]).await;
        about(&gateway, &format!("{}/cat.png", host.url)).await
    };
    let page = [&b"<!doctype html><html>"[..], &[b' '; 4000]].concat();
    for body in
        [&page[..], b"<svg xmlns='http://www.w3.org/2000/svg'/>", br#"{"AccessKeyId":"AKIA"}"#, b"root:x:0:0", b""]
    {
        let reply = check(body).await;
        refused(&reply, PLACE, &["by its first bytes", "png, jpeg"]);
        assert!(!reply.body.contains("AKIA"), "{}", reply.body);
    }
    // sound is a medium, and no picture: the provider's translation refuses it
    let reply = check(b"fLaC and more").await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "unsupported_content"), "{}", reply.body);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn whoever_is_slow_is_given_up() {
    let upstream = bedrock().await;
    let gateway = gateway(&upstream, &format!("{HERE}, timeout: 100ms")).await;
    for say in [
        picture().late(Duration::from_secs(60)),
        Say::pieces("image/png", [PNG.to_vec()]).hang(),
        Say::pieces("image/png", vec![PNG.to_vec(); 100]).paced(Duration::from_millis(50)),
    ] {
        let host = Upstream::says([say]).await;
        let reply = about(&gateway, &format!("{}/cat.png", host.url)).await;
        refused(&reply, PLACE, &["within 100ms", "`media.fetch.timeout`"]);
    }
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn what_does_not_answer_is_told_in_words() {
    let upstream = bedrock().await;
    let gateway = gateway(&upstream, HERE).await;
    let gone = Upstream::says([Say::json(404, "no such picture")]).await;
    let reply = about(&gateway, &format!("{}/cat.png?key=secret", gone.url)).await;
    refused(&reply, PLACE, &[&format!("`{}/cat.png`", gone.url), "answers with status 404", "data:image/png;base64,"]);
    assert!(!reply.body.contains("secret") && !reply.body.contains("no such picture"), "{}", reply.body);
    let down = Upstream::down().await;
    refused(&about(&gateway, &down.url).await, PLACE, &["cannot be reached"]);
    refused(&about(&gateway, "http://no-such-host.invalid/").await, PLACE, &["has a host that is not found"]);
    refused(&about(&gateway, "http://[::1/").await, PLACE, &["`the address`", "is no address"]);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn a_configuration_that_cannot_be_meant_is_refused_with_its_place() {
    use ferrogw::config::{self, Format};
    let parsed = |fetch: &str| {
        config::parse(
            &format!("targets: [{{ virtual_key: openai }}]\nmedia: {{ fetch: {{ {fetch} }} }}\n"),
            Format::Yaml,
            "c",
        )
    };
    for (fetch, path) in [
        ("enabled: true, timeout: 0s", "media.fetch.timeout"),
        ("enabled: true, hosts: [\"https://a.example\"]", "media.fetch.hosts[0]"),
        ("enabled: true, hosts: [\"*\"]", "media.fetch.hosts[0]"),
        ("enabled: true, private_hosts: [a, \"*.internal\"]", "media.fetch.private_hosts[1]"),
        ("enabled: true, private_hosts: [\"10.0.0.0/8\"]", "media.fetch.private_hosts[0]"),
        ("enabled: true, max_bytes: 0", "media.fetch.max_bytes"),
        ("enabled: true, concurrency: 0", "media.fetch.concurrency"),
        ("enabled: true, redirects: 5", "media.fetch.redirects"),
    ] {
        let invalid = parsed(fetch).expect_err(fetch);
        assert_eq!(invalid.problems[0].path, path, "{invalid}");
    }
    let loaded = parsed("http: true").unwrap_or_else(|invalid| panic!("{invalid}"));
    assert_eq!(loaded.warnings[0].path, "media.fetch");
    let loaded = parsed("enabled: true, private_hosts: [\"::1\", 10.0.0.1, Files.internal]");
    assert!(loaded.unwrap_or_else(|invalid| panic!("{invalid}")).warnings.is_empty());
}
