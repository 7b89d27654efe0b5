//! Images that answers name by their addresses, for callers who want them in base64.

use serde_json::{Value, json};

use super::gateway;
use crate::support::{Reply, Say, Seen, TestGateway, Upstream, target};

const IMAGES: &str = "/v1/images/generations";

/// Whether this is not the fetching of a file.
fn is_asked(seen: &Seen) -> bool {
    !seen.path.contains(".png")
}

/// What providers say of images at these addresses, one answer to each request.
fn drawn(provider: &str, urls: &[String]) -> Vec<Say> {
    let says = |said: Value| Say::json(200, &said.to_string());
    match provider {
        "qwen" => {
            let content: Vec<Value> = urls.iter().map(|url| json!({ "image": url })).collect();
            vec![says(json!({"output": {"choices": [{"message": {"content": content}}]}}))]
        }
        "novita" => {
            let images: Vec<Value> = urls.iter().map(|url| json!({ "image_url": url })).collect();
            vec![says(json!({ "images": images }))]
        }
        "replicate" => {
            vec![says(json!({})), says(json!({"id": "p", "status": "succeeded", "output": urls, "urls": {}}))]
        }
        _ => vec![says(json!({"created": 1, "data": urls.iter().map(|url| json!({"url": url})).collect::<Value>()}))],
    }
}

fn image(content: &[u8]) -> Say {
    Say::bytes(200, content.to_vec()).header("content-type", "image/png")
}

/// Asks a provider that names images at these paths for images in this format.
async fn draw(provider: &str, paths: &[&str], files: Vec<Say>, format: &str) -> (Reply, Upstream) {
    let upstream = Upstream::says([]).await;
    let at = |path: &&str| if path.contains(':') { (*path).to_owned() } else { format!("{}{path}", upstream.url) };
    upstream.tell(drawn(provider, &paths.iter().map(at).collect::<Vec<_>>()));
    upstream.tell(files);
    let gateway = gateway(&[(provider, &upstream)], "").await;
    let model = if provider == "replicate" { "t0/owner/flux" } else { "m" };
    let ask = json!({"model": model, "prompt": "a tide", "response_format": format});
    (gateway.post(IMAGES, ask.to_string()).await, upstream)
}

#[tokio::test]
async fn an_image_that_an_answer_names_comes_in_base64_where_that_is_asked_for() {
    for provider in ["qwen", "novita", "replicate"] {
        let (reply, upstream) = draw(provider, &["/a.png?Signature=s3cr3t"], vec![image(b"tide")], "b64_json").await;
        assert_eq!(reply.json()["data"], json!([{"b64_json": "dGlkZQ=="}]), "{provider}: {}", reply.body);
        assert_eq!((reply.status, reply.header("x-ferro-warnings")), (200, ""), "{provider}");
        let fetched = upstream.seen().pop().unwrap();
        assert_eq!((fetched.method.as_str(), fetched.path.as_str()), ("GET", "/a.png?Signature=s3cr3t"), "{provider}");
        assert_eq!(fetched.header("authorization"), "", "{provider}");
        // who wants addresses gets them, and nothing is fetched
        let (reply, upstream) = draw(provider, &["/a.png"], Vec::new(), "url").await;
        assert_eq!(reply.json()["data"], json!([{"url": format!("{}/a.png", upstream.url)}]), "{provider}");
        assert_eq!(reply.header("x-ferro-warnings"), "", "{provider}");
        assert!(upstream.seen().iter().all(is_asked), "{provider}");
    }
}

#[tokio::test]
async fn an_image_that_cannot_be_fetched_keeps_its_address_with_a_warning() {
    let page = || Say::bytes(200, b"<html>".to_vec()).header("content-type", "text/html");
    let expired = || Say::bytes(403, Vec::new()).header("content-type", "text/xml");
    let endless = || Say::pieces("image/png", (0..65).map(|_| vec![0; 1 << 20]));
    for said in [page(), expired(), endless()] {
        let (reply, upstream) = draw("qwen", &["/a.png"], vec![said], "b64_json").await;
        let url = format!("{}/a.png", upstream.url);
        assert_eq!((reply.status, &reply.json()["data"]), (200, &json!([{ "url": url }])));
        assert_eq!(reply.header("x-ferro-warnings"), "param=response_format;provider=qwen;action=dropped");
        assert_eq!(
            upstream.seen().iter().filter(|seen| is_asked(seen)).count(),
            1,
            "the image is paid, and not asked for again"
        );
    }
    // of several those that can be had
    let (reply, upstream) = draw("qwen", &["/a.png", "/b.png"], vec![image(b"tide"), expired()], "b64_json").await;
    let mut kinds: Vec<bool> = Vec::new();
    for image in reply.json()["data"].as_array().unwrap() {
        kinds.push(image.get("b64_json").is_some());
        assert_eq!(image.as_object().unwrap().len(), 1);
    }
    kinds.sort_unstable();
    assert_eq!((kinds, upstream.seen().len()), (vec![false, true], 3));
    assert!(reply.header("x-ferro-warnings").starts_with("param=response_format;"));
}

#[tokio::test]
async fn images_at_other_hosts_are_not_fetched() {
    let foreign = Upstream::says([image(b"tide")]).await;
    for url in [format!("{}/a.png", foreign.url).as_str(), "http://169.254.169.254/latest", "file:///etc/passwd"] {
        for provider in ["qwen", "xai"] {
            let (reply, upstream) = draw(provider, &[url], Vec::new(), "b64_json").await;
            assert_eq!((reply.status, &reply.json()["data"]), (200, &json!([{ "url": url }])), "{provider}");
            let warning = format!("param=response_format;provider={provider};action=dropped");
            assert_eq!((reply.header("x-ferro-warnings"), upstream.seen().len()), (warning.as_str(), 1));
        }
    }
    assert!(foreign.seen().is_empty());
}

#[tokio::test]
async fn an_address_of_an_image_that_only_comes_in_base64_is_said_to_be_lost() {
    let upstream = Upstream::says([Say::json(200, r#"{"result":{"image":"dGlkZQ=="},"success":true}"#)]).await;
    let more = "    options: { account_id: a }\n";
    let target = target("t0", "cloudflare", &upstream, "m", more);
    let gateway = TestGateway::configured(&format!("targets:\n{target}"), &[]).await;
    for (format, warning) in [("url", "param=response_format;provider=cloudflare;action=dropped"), ("b64_json", "")] {
        let ask = json!({"model": "m", "prompt": "a tide", "response_format": format});
        let reply = gateway.post(IMAGES, ask.to_string()).await;
        assert_eq!(reply.json()["data"], json!([{"b64_json": "dGlkZQ=="}]), "{}", reply.body);
        assert_eq!(reply.header("x-ferro-warnings"), warning);
    }
}
