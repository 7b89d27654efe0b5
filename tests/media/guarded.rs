//! From where nothing is fetched, and what callers are told then.

use super::*;
use crate::client::egress::authority;
use crate::support::ASK;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn nothing_is_fetched_unless_the_operator_says_so() {
    let (album, upstream) = (album().await, bedrock().await);
    let yaml = format!("targets:\n{}", target("aws", &upstream));
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let reply = about(&gateway, &format!("{}/cat.png?token=secret#x", album.url)).await;
    let shown = format!("`{}/cat.png`", album.url);
    refused(&reply, PLACE, &["bedrock", &shown, "`media.fetch.enabled`", "data:image/png;base64,"]);
    assert!(!reply.body.contains("secret"), "{}", reply.body);
    assert!(album.seen().is_empty() && upstream.seen().is_empty());
}

#[tokio::test]
async fn this_machine_and_private_networks_are_closed_by_whatever_name() {
    let (album, upstream) = (album().await, bedrock().await);
    let open = gateway(&upstream, "enabled: true, http: true").await;
    let port = album.url.rsplit_once(':').unwrap().1;
    for host in ["127.0.0.1", "127.1", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]", "10.1.2.3"] {
        let reply = about(&open, &format!("http://{host}:{port}/cat.png")).await;
        refused(&reply, PLACE, &["that is not public", "`media.fetch.private_hosts`"]);
    }
    for host in ["localhost", "LOCALHOST"] {
        let reply = about(&open, &format!("http://{host}:{port}/cat.png")).await;
        refused(&reply, PLACE, &["no public address", "`media.fetch.private_hosts`"]);
    }
    for host in ["169.254.169.254", "[fe80::1]", "0.0.0.0", "100.100.100.200", "255.255.255.255"] {
        let reply = about(&open, &format!("http://{host}/latest/meta-data")).await;
        refused(&reply, PLACE, &["that is never asked"]);
    }
    // a name of one's own opens that name alone, and not what else stands for the same machine
    let named = gateway(&upstream, "enabled: true, http: true, private_hosts: [localhost, 169.254.169.254]").await;
    refused(&about(&named, &format!("{}/cat.png", album.url)).await, PLACE, &["that is not public"]);
    refused(&about(&named, "http://169.254.169.254/").await, PLACE, &["that is never asked"]);
    assert!(album.seen().is_empty() && upstream.seen().is_empty());
    assert_eq!(about(&named, &format!("http://localhost:{port}/cat.png")).await.status, 200);
    assert_eq!(album.seen().len(), 1);
}

#[tokio::test]
async fn callers_do_not_learn_which_names_there_are() {
    let upstream = bedrock().await;
    let open = gateway(&upstream, "enabled: true, http: true").await;
    let said = async |host: &str| {
        let reply = about(&open, &format!("http://{host}/cat.png")).await;
        refused(&reply, PLACE, &[]);
        reply.json()["error"]["message"].as_str().unwrap().replace(host, "host")
    };
    assert_eq!(said("localhost").await, said("no-such-host.invalid").await);
    assert!(upstream.seen().is_empty());
}

#[tokio::test]
async fn schemes_users_and_hosts_are_judged() {
    let (album, upstream) = (album().await, bedrock().await);
    let cat = format!("{}/cat.png", album.url);
    let https = gateway(&upstream, "enabled: true, private_hosts: [127.0.0.1]").await;
    refused(&about(&https, &cat).await, PLACE, &["is not https", "`media.fetch.http`"]);
    let here = gateway(&upstream, HERE).await;
    let reply = about(&here, &cat.replace("://", "://user:word@")).await;
    refused(&reply, PLACE, &["names a user or a password", "/cat.png`"]);
    assert!(!reply.body.contains("word@"), "{}", reply.body);
    let listed = gateway(&upstream, "enabled: true, http: true, hosts: [images.example, \"*.cdn.example\"]").await;
    refused(&about(&listed, "https://images.example.evil/a").await, PLACE, &["`media.fetch.hosts` does not name"]);
    refused(&about(&listed, &cat).await, PLACE, &["`media.fetch.hosts` does not name"]);
    // a private host is named, too
    let both = gateway(&upstream, &format!("{HERE}, hosts: [images.example]")).await;
    assert_eq!(about(&both, &cat).await.status, 200);
    assert_eq!(album.seen().len(), 1);
}

#[tokio::test]
async fn redirects_are_followed_three_times_and_judged_each_time() {
    let to = |place: &str| Say::json(302, "").header("location", place);
    let upstream = bedrock().await;
    let gateway = gateway(&upstream, &format!("{HERE}, cache_bytes: 0")).await;
    let check = async |hops: Vec<Say>| {
        let host = Upstream::says(hops).await;
        (about(&gateway, &format!("{}/a?b", host.url)).await, host.seen())
    };
    let (reply, seen) = check(vec![to("/b"), to("c?d=e#f"), to("//127.0.0.1:1/"), picture()]).await;
    refused(&reply, PLACE, &["redirects to `http://127.0.0.1:1/`, which cannot be reached"]);
    assert_eq!(seen.iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(), ["/a?b", "/b", "/c?d=e"]);
    let (reply, _) = check(vec![to("/b"), to("/c"), to("/d"), picture()]).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let (reply, seen) = check(vec![to("/b"), to("/c"), to("/d"), to("/e"), picture()]).await;
    refused(&reply, PLACE, &["redirects more than 3 times"]);
    assert_eq!(seen.len(), 4);
    // to places that nobody would be let into at once
    let inner = album().await;
    let port = inner.url.rsplit_once(':').unwrap().1;
    for (place, words) in [
        (format!("http://localhost:{port}/secret?k=1"), "no public address"),
        (format!("http://[::1]:{port}/"), "that is not public"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "that is never asked"),
        ("file:///etc/passwd".to_owned(), "is neither https nor http"),
        (format!("http://user:word@127.0.0.1:{port}/"), "names a user or a password"),
    ] {
        let (reply, _) = check(vec![to(&place), picture()]).await;
        refused(&reply, PLACE, &["redirects to `", words]);
        assert!(!reply.body.contains("k=1") && !reply.body.contains("word@"), "{}", reply.body);
    }
    let (reply, _) = check(vec![Say::json(302, ""), picture()]).await;
    refused(&reply, PLACE, &["redirects to nowhere"]);
    assert!(inner.seen().is_empty());
}

#[tokio::test]
async fn the_gateway_tells_what_it_would_fetch_and_does_not() {
    let (album, upstream) = (album().await, bedrock().await);
    let gateway = gateway(&upstream, HERE).await;
    let asked = asking(&[image(&format!("{}/cat.jpg?sig=secret", album.url))]);
    let reply = gateway.post("/v1/route/explain", asked.as_str()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let sent = &reply.json()["sent"];
    let expected = json!({"format": "jpeg", "source": {"bytes": format!("[fetched:{}/cat.jpg]", album.url)}});
    assert_eq!(sent["body"]["messages"][0]["content"][1]["image"], expected, "{}", reply.body);
    let named = format!("param={PLACE};provider=bedrock;action=would_be_fetched");
    assert_eq!(sent["warnings"], json!([named]), "{}", reply.body);
    let refused = gateway.post("/v1/route/explain", asking(&[image("https://10.0.0.1/a.png")])).await;
    let reason = refused.json()["models"][0]["candidates"][0]["reasons"][0].clone();
    assert_eq!(reason["code"], "media_not_fetched", "{}", refused.body);
    assert!(reason["words"].as_str().unwrap_or_default().contains("that is not public"), "{reason}");
    let off = TestGateway::configured(&format!("targets:\n{}", target("aws", &upstream)), &[]).await;
    let said = off.post("/v1/route/explain", asked).await.json();
    assert_eq!(said["models"][0]["candidates"][0]["reasons"][0]["code"], "media_not_fetched", "{said}");
    assert!(album.seen().is_empty() && upstream.seen().is_empty());
}

#[tokio::test]
async fn what_cannot_be_fetched_counts_for_nobody() {
    let (album, upstream) = (Upstream::says([Say::json(500, "")]).await, bedrock().await);
    let fragile = "    circuit_breaker: { failure_threshold: 1 }\n    retry: { attempts: 3 }\n";
    let slow = Upstream::says([Say::bytes(200, PNG.to_vec()).hang()]).await;
    let yaml = format!(
        "targets:\n{}{fragile}request_timeout: 100ms\nmedia: {{ fetch: {{ {HERE} }} }}\n",
        target("aws", &upstream)
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let reply = about(&gateway, &format!("{}/cat.png", album.url)).await;
    refused(&reply, PLACE, &["answers with status 500"]);
    assert_eq!(album.seen().len(), 1);
    let reply = about(&gateway, &format!("{}/cat.png", slow.url)).await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "gateway_timeout"), "{}", reply.body);
    // whoever waited is gone, so it is given up
    slow.left.notified().await;
    assert!(upstream.seen().is_empty());
    assert_eq!(gateway.post(CHAT, ASK).await.status, 200);
}

#[tokio::test]
async fn an_open_circuit_keeps_media_from_being_fetched() {
    let (album, upstream) = (album().await, Upstream::says([Say::json(500, "{}")]).await);
    let fragile = "    circuit_breaker: { failure_threshold: 1 }\n";
    let yaml = format!("targets:\n{}{fragile}media: {{ fetch: {{ {HERE} }} }}\n", target("aws", &upstream));
    let gateway = TestGateway::configured(&yaml, &[]).await;
    assert_eq!(gateway.post(CHAT, ASK).await.status, 502);
    let reply = about(&gateway, &format!("{}/cat.png", album.url)).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "upstream_unavailable"), "{}", reply.body);
    assert!(album.seen().is_empty());
}

#[tokio::test]
async fn https_is_spoken_with_whom_a_trusted_authority_vouches_for() {
    let (file, tls) = authority(&["localhost"], &[]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut head).await.unwrap();
            }
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", PNG.len());
            stream.write_all(&[answer.as_bytes(), PNG].concat()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let upstream = bedrock().await;
    let fetch = "media: { fetch: { enabled: true, private_hosts: [localhost, 127.0.0.1] } }\n";
    let yaml = format!("targets:\n{}{fetch}", target("aws", &upstream));
    let trusting = TestGateway::configured(&yaml, &[("FERROGW_CA_FILE", file.path().to_str().unwrap())]).await;
    let url = format!("https://localhost:{port}/cat.png");
    let reply = about(&trusting, &url).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let misnamed = about(&trusting, &format!("https://127.0.0.1:{port}/cat.png")).await;
    refused(&misnamed, PLACE, &["cannot be reached"]);
    let strange = TestGateway::configured(&yaml, &[]).await;
    refused(&about(&strange, &url).await, PLACE, &["cannot be reached"]);
}
