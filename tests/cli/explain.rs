//! `ferrogw explain`: what a running gateway would do with a request, for people and for programs.

use super::support::Place;
use crate::support::{ASK, Say, Upstream, target};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_prints_the_route_the_candidates_the_order_and_the_request() {
    let broken = Upstream::says([Say::json(503, "{}")]).await;
    let good = Upstream::says([Say::text("hi")]).await;
    let place = Place::new();
    let config = format!(
        "strategy: {{ mode: fallback }}\ntargets:\n{}{}{}routes:\n  - name: batch\n    match: {{ header: {{ x-team: batch }} }}\n    \
         targets: [beta]\n",
        target("alpha", "openai", &broken, "gpt-4o-mini, m", "    retry: { attempts: 2, initial_backoff_ms: 1 }\n"),
        target("beta", "anthropic", &good, "gpt-4o-mini, m", ""),
        target("gamma", "groq", &good, "other", "")
    );
    place.write("config.yaml", &config);
    let gateway = place.serve(&[], &[]);
    let ask = |args: &[&str]| {
        let args: Vec<&str> =
            ["explain", "--gateway-url", &gateway.url].into_iter().chain(args.iter().copied()).collect();
        let ended = place.run(&args, &[]);
        assert!(!ended.shown().contains("sk-test"), "{}", ended.shown());
        ended
    };
    let ended = ask(&["--model", "gpt-4o-mini", "--prompt", "tell me about rust"]);
    let id = ended.out.split("x-client-request-id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let shown = ended.shown().replace(&broken.url, "http://ALPHA").replace(&id, "ID");
    insta::assert_snapshot!(shown.replace(broken.url.trim_start_matches("http://"), "ALPHA"));
    place.write("body.json", r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"seed":1e3}"#);
    let said = ask(&["-f", "body.json", "--header", "x-team: batch", "--stream", "--format", "json"]).json();
    assert_eq!((said["models"][0]["route"].as_str(), said["sent"]["target"].as_str()), (Some("batch"), Some("beta")));
    assert!(broken.seen().is_empty() && good.seen().is_empty());

    let chat = super::support::http().post(format!("{}/v1/chat/completions", gateway.url)).body(ASK);
    let answered =
        chat.header("content-type", "application/json").header("x-request-id", "call-1").send().await.unwrap();
    // beta speaks another dialect and refuses what this upstream says: the call fails after three attempts
    assert_ne!(answered.status(), 200);
    let past = ask(&["--id", "call-1"]).out;
    for line in ["Call call-1 at ", "  attempts: 3\n", "  before: alpha upstream_overloaded (503) after "] {
        assert!(past.contains(line), "{past}");
    }
    let lost = ask(&["--model", "nobody"]);
    assert!(lost.code == 1 && lost.out.contains("nobody would be asked"), "{}", lost.shown());
    let unknown = ask(&["--id", "call-2"]);
    assert!(unknown.code == 1 && unknown.err.contains("no call with this id"), "{}", unknown.shown());
}
