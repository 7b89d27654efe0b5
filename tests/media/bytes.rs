//! What providers get: data where they take nothing else, addresses where they take them.

use super::*;
use crate::support::{ASK, events};

const CLAUDE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"a cat"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}"#;
const GEMINI: &str =
    r#"{"candidates":[{"content":{"parts":[{"text":"a cat"}]},"finishReason":"STOP"}],"modelVersion":"g"}"#;

/// What one target, given by its lines, is sent of a request for `model` with this part; with the part's own place there.
async fn sent(provider: &str, model: &str, answer: &Say, part: &Value, at: &str) -> Value {
    let upstream = Upstream::says([answer.clone()]).await;
    let provider = provider.replace("{url}", &upstream.url);
    let yaml = format!(
        "targets:\n  - {{ virtual_key: t, models: [\"{model}\"], {provider} }}\nmedia: {{ fetch: {{ {HERE} }} }}\n"
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let reply =
        gateway.post(CHAT, asking(std::slice::from_ref(part)).replace(r#""m""#, &format!(r#""{model}""#))).await;
    assert_eq!(reply.status, 200, "{provider}: {}", reply.body);
    let sent = upstream.seen().remove(0).json();
    sent.pointer(at).unwrap_or_else(|| panic!("{provider}: nothing at {at} of {sent}")).clone()
}

#[tokio::test]
async fn every_family_that_takes_data_alone_gets_it() {
    let album = album().await;
    let cat = format!("{}/cat.png?sig=1", album.url);
    let data = format!("data:image/png;base64,{PNG64}");
    let (openai, claude, gemini) = (Say::text("a cat"), Say::json(200, CLAUDE), Say::json(200, GEMINI));
    let converse = Say::json(200, CONVERSE);
    let part = image(&cat);
    let check = async |provider: &str, model: &str, answer: &Say, at: &str, expected: Value| {
        assert_eq!(sent(provider, model, answer, &part, at).await, expected, "{provider}");
    };
    let inline = json!({"image": {"format": "png", "source": {"bytes": PNG64}}});
    let bedrock = "provider: bedrock, base_url: \"{url}\", api_key: k, options: { region: eu-west-1 }";
    for model in ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-pro-v1:0"] {
        check(bedrock, model, &converse, "/messages/0/content/1", inline.clone()).await;
    }
    let vertex = "provider: vertex-ai, base_url: \"{url}\", api_key: k, options: { project_id: p }";
    let source = json!({"type": "base64", "media_type": "image/png", "data": PNG64});
    check(vertex, "claude-sonnet-4-5", &claude, "/messages/0/content/1/source", source).await;
    let inline = json!({"mimeType": "image/png", "data": PNG64});
    let of_gemini = "provider: gemini, base_url: \"{url}\", api_key: k";
    // the newest takes addresses, but none of http
    for model in ["gemini-2.0-flash", "gemini-2.5-pro"] {
        check(of_gemini, model, &gemini, "/contents/0/parts/1/inlineData", inline.clone()).await;
    }
    let at = "/messages/1/content/1/image_url/url";
    let plain = |provider: &str| format!("provider: {provider}, base_url: \"{{url}}/v1\", api_key: k");
    let others = [
        ("ollama", "llava"),
        ("ollama-cloud", "qwen3-vl"),
        ("moonshot", "kimi-k2.5"),
        ("cerebras", "gemma-4-31b"),
        ("cloudflare", "@cf/meta/llama-4-scout-17b-16e-instruct"),
    ];
    for (provider, model) in others {
        check(&plain(provider), model, &openai, at, json!(data)).await;
    }
    let databricks = "provider: databricks, base_url: \"{url}/v1\", api_key: k";
    check(databricks, "databricks-claude-sonnet-4-5", &openai, at, json!(data)).await;
    // one picture for all of them, and nothing said to whom it is for
    for seen in album.seen() {
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/cat.png?sig=1"));
        let mut names: Vec<&str> = seen.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "host", "user-agent"]);
    }
}

#[tokio::test]
async fn who_takes_addresses_gets_them() {
    let album = album().await;
    let cat = format!("{}/cat.png", album.url);
    let at = "/messages/1/content/1/image_url/url";
    let plain = |provider: &str| format!("provider: {provider}, base_url: \"{{url}}/v1\", api_key: k");
    for (provider, model) in
        [("openai", "gpt-5"), ("mistral", "pixtral-12b"), ("databricks", "databricks-llama-4-maverick")]
    {
        let found = sent(&plain(provider), model, &Say::text("a cat"), &image(&cat), at).await;
        assert_eq!(found, json!(cat), "{provider}");
    }
    let vertex = "provider: vertex-ai, base_url: \"{url}\", api_key: k, options: { project_id: p }";
    let found =
        sent(vertex, "gemini-2.0-flash", &Say::json(200, GEMINI), &image(&cat), "/contents/0/parts/1/fileData").await;
    assert_eq!(found["fileUri"], json!(cat));
    let claude = "provider: anthropic, base_url: \"{url}\", api_key: k";
    let found =
        sent(claude, "claude-sonnet-4-5", &Say::json(200, CLAUDE), &image(&cat), "/messages/0/content/1/source").await;
    assert_eq!(found, json!({"type": "url", "url": cat}));
    let gemini = "provider: gemini, base_url: \"{url}\", api_key: k";
    let video = json!({"type": "video_url", "video_url": {"url": "https://youtu.be/abc"}});
    let found = sent(gemini, "gemini-2.0-flash", &Say::json(200, GEMINI), &video, "/contents/0/parts/1/fileData").await;
    assert_eq!(found["fileUri"], "https://youtu.be/abc");
    assert!(album.seen().is_empty());
}

#[tokio::test]
async fn documents_and_sounds_are_fetched_too_and_told_by_their_bytes() {
    let wave = b"RIFF\x24\0\0\0WAVEfmt ".to_vec();
    let shelf = Upstream::says([
        Say::bytes(200, b"%PDF-1.7\n%".to_vec()).header("content-type", "application/octet-stream"),
        Say::bytes(200, b"%PDF-1.7\n%".to_vec()),
        Say::bytes(200, wave),
    ])
    .await;
    let upstream = bedrock().await;
    let nova = |upstream: &Upstream| target("aws", upstream).replace("[m]", "[amazon.nova-pro-v1:0]");
    let yaml = format!("targets:\n{}media: {{ fetch: {{ {HERE}, cache_bytes: 0 }} }}\n", nova(&upstream));
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let url = |path: &str| format!("{}{path}", shelf.url);
    let parts = [
        json!({"type": "file", "file": {"file_id": url("/a"), "filename": "report.pdf"}}),
        json!({"type": "document", "source": {"type": "url", "url": url("/b")}, "title": "notes"}),
        json!({"type": "input_audio", "input_audio": {"data": url("/c"), "format": "mp3"}}),
    ];
    // one after the other, so that each gets the answer that is meant for it
    for (part, expected) in parts.into_iter().zip([
        json!({"document": {"format": "pdf", "name": "report", "source": {"bytes": "JVBERi0xLjcKJQ=="}}}),
        json!({"document": {"format": "pdf", "name": "notes", "source": {"bytes": "JVBERi0xLjcKJQ=="}}}),
        json!({"audio": {"format": "wav", "source": {"bytes": "UklGRiQAAABXQVZFZm10IA=="}}}),
    ]) {
        let reply = gateway.post(CHAT, asking(&[part]).replace(r#""m""#, r#""amazon.nova-pro-v1:0""#)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(upstream.seen().remove(0).json()["messages"][0]["content"][1], expected);
    }
}

#[tokio::test]
async fn failover_to_one_who_takes_addresses_gives_the_address() {
    let (album, last) = (album().await, Upstream::says([Say::text("a cat")]).await);
    let first = Upstream::says([Say::json(503, r#"{"message":"busy"}"#)]).await;
    let yaml = format!(
        "strategy: {{ mode: fallback }}\ntargets:\n{}{}media: {{ fetch: {{ {HERE} }} }}\n",
        target("aws", &first),
        crate::support::target("open", "openai", &last, "m", ""),
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let cat = format!("{}/cat.png", album.url);
    let reply = about(&gateway, &cat).await;
    assert_eq!((reply.status, reply.header("x-ferro-target")), (200, "open"), "{}", reply.body);
    assert_eq!(first.seen()[0].json()["messages"][0]["content"][1]["image"]["source"]["bytes"], PNG64);
    assert_eq!(last.seen()[0].json()["messages"][1]["content"][1], image(&cat));
    assert_eq!(album.seen().len(), 1);
}

#[tokio::test]
async fn streams_and_responses_have_their_media_too() {
    let album = album().await;
    let cat = format!("{}/cat.png", album.url);
    let upstream = Upstream::says([
        Say::words(&["a", "cat"]),
        Say::json(200, r#"{"id":"resp_1","object":"response","output":[]}"#),
    ])
    .await;
    let yaml = format!(
        "targets:\n{}media: {{ fetch: {{ {HERE} }} }}\n",
        crate::support::target("home", "ollama", &upstream, "m", "")
    );
    let gateway = TestGateway::configured(&yaml, &[]).await;
    let reply = gateway.post(CHAT, asking(&[image(&cat)]).replacen('{', r#"{"stream":true,"#, 1)).await;
    assert_eq!((reply.status, events(&reply.body).last()), (200, Some(&"[DONE]")), "{}", reply.body);
    let input = json!([{"role": "user", "content": [{"type": "input_image", "image_url": cat}]}]);
    let reply = gateway.post("/v1/responses", json!({"model": "m", "input": input}).to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let seen = upstream.seen();
    let data = format!("data:image/png;base64,{PNG64}");
    assert_eq!(seen[0].json()["messages"][1]["content"][1]["image_url"]["url"], data);
    assert_eq!(seen[1].json()["input"][0]["content"][0]["image_url"], data);
}

#[tokio::test]
async fn a_text_that_names_addresses_is_a_text() {
    let (album, upstream) = (album().await, bedrock().await);
    let gateway = gateway(&upstream, HERE).await;
    let text = json!({"type": "text", "text": format!("{}/cat.png", album.url)});
    assert_eq!(gateway.post(CHAT, asking(&[text])).await.status, 200);
    assert_eq!(gateway.post(CHAT, ASK).await.status, 200);
    assert_eq!(gateway.post(CHAT, asking(&[image(&format!("data:image/png;base64,{PNG64}"))])).await.status, 200);
    assert!(album.seen().is_empty());
}
