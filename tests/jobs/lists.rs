//! Lists of files and batches at Anthropic, and files that are not for batches.

use serde_json::{Value, json};

use super::anthropic::{FILE, NAME, job, say};
use super::{chat, delete, id, keeper, lines, upload};
use crate::support::{Say, Upstream};

fn kept(id: &str, made: bool) -> Value {
    json!({"id": id, "type": "file", "filename": "tide.pdf", "mime_type": "application/pdf", "size_bytes": 1234,
        "created_at": "2026-01-01T00:00:00Z", "downloadable": made})
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_file_for_anything_else_goes_to_the_files_api() {
    let upstream = Upstream::says([say(&kept(FILE, false))]).await;
    let gateway = keeper("anthropic", &upstream, "    headers: { anthropic-beta: \"own-beta\" }\n").await;
    let reply = upload(&gateway, "user_data", "%PDF-1.7 of a tide").await;
    let receipt = reply.json();
    assert_eq!((&receipt["id"], &receipt["object"], &receipt["bytes"]), (&FILE.into(), &"file".into(), &1234.into()));
    assert_eq!((&receipt["purpose"], &receipt["mime_type"]), (&"user_data".into(), &"application/pdf".into()));
    let seen = upstream.seen().remove(0);
    assert_eq!((seen.path.as_str(), seen.header("anthropic-beta")), ("/v1/files", "own-beta,files-api-2025-04-14"));
    let body = String::from_utf8(seen.body.to_vec()).unwrap();
    assert!(body.contains("name=\"file\"; filename=\"in.jsonl\"") && body.contains("%PDF-1.7 of a tide"), "{body}");
    assert!(!body.contains("purpose"), "{body}");

    // and a chat about it asks for the beta
    upstream.forget();
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "High."}], "usage": {"input_tokens": 1, "output_tokens": 1}});
    upstream.tell([say(&answer)]);
    let parts = json!([{"type": "file", "file": {"file_id": FILE}}, {"type": "text", "text": "What is it about?"}]);
    let reply = gateway
        .post(
            "/v1/chat/completions",
            json!({"model": "m", "messages": [{"role": "user", "content": parts}]}).to_string(),
        )
        .await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let seen = upstream.seen().remove(0);
    assert_eq!(seen.header("anthropic-beta"), "own-beta,files-api-2025-04-14");
    assert_eq!(
        seen.json()["messages"][0]["content"][0],
        json!({"type": "document", "source": {"type": "file", "file_id": FILE}})
    );

    upstream.forget();
    upstream.tell([
        say(&kept(FILE, true)),
        Say::bytes(200, b"a tide".to_vec()).header("content-type", "application/pdf"),
        say(&json!({"id": FILE, "type": "file_deleted"})),
    ]);
    assert_eq!(gateway.get(&format!("/v1/files/{FILE}")).await.json()["purpose"], "assistants_output");
    let reply = gateway.get(&format!("/v1/files/{FILE}/content")).await;
    assert_eq!((reply.body.as_str(), reply.header("content-type")), ("a tide", "application/pdf"));
    assert_eq!(
        delete(&gateway, &format!("/v1/files/{FILE}")).await.json(),
        json!({"id": FILE, "object": "file", "deleted": true})
    );
    let seen = upstream.seen();
    assert!(seen.iter().all(|seen| seen.header("anthropic-beta").ends_with("files-api-2025-04-14")));
    assert_eq!(seen[2].method, "DELETE");
}

#[tokio::test]
async fn a_list_of_files_has_what_is_held_what_is_kept_and_results() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    let held = id(&upload(&gateway, "batch", lines(&[chat("a", "m")])).await);
    let page = |data: Value, more: bool| say(&json!({"data": data, "has_more": more}));
    let other = "msgbatch_2";
    let jobs = json!([job(NAME, "in_progress", [1, 0, 0, 0, 0]), job(other, "ended", [0, 1, 1, 0, 0])]);
    upstream.tell([page(json!([kept(FILE, false)]), false), page(jobs.clone(), false)]);
    let list = gateway.get("/v1/files").await.json();
    assert_eq!((ids(&list).len(), &list["has_more"], &list["object"]), (4, &false.into(), &"list".into()));
    assert_eq!(ids(&list)[..2], [held.as_str(), FILE]);
    assert_eq!((&list["first_id"], &list["last_id"]), (&held.as_str().into(), &list["data"][3]["id"]));
    let (output, errors) = (ids(&list)[2].to_owned(), ids(&list)[3].to_owned());
    let seen: Vec<_> = upstream.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(seen, ["/v1/files?limit=19", "/v1/messages/batches?limit=18"]);

    // page by page the same
    upstream.forget();
    let first = gateway.get("/v1/files?limit=1").await.json();
    assert_eq!((ids(&first), &first["has_more"]), (vec![held.as_str()], &true.into()));
    upstream.tell([page(json!([kept(FILE, false)]), false)]);
    assert_eq!(ids(&gateway.get(&format!("/v1/files?limit=1&after={held}")).await.json()), [FILE]);
    upstream.forget();
    upstream.tell([page(json!([]), false), page(jobs.clone(), false)]);
    let third = gateway.get(&format!("/v1/files?limit=1&after={FILE}")).await.json();
    assert_eq!((ids(&third), &third["has_more"]), (vec![output.as_str()], &true.into()));
    assert_eq!(upstream.seen()[0].path, format!("/v1/files?limit=1&after_id={FILE}"));
    upstream.forget();
    upstream.tell([say(&job(other, "ended", [0, 1, 1, 0, 0])), page(json!([]), false)]);
    let last = gateway.get(&format!("/v1/files?limit=1&after={output}")).await.json();
    assert_eq!((ids(&last), &last["has_more"]), (vec![errors.as_str()], &false.into()));

    // by purpose
    upstream.forget();
    assert_eq!(ids(&gateway.get("/v1/files?purpose=batch").await.json()), [held.as_str()]);
    assert!(upstream.seen().is_empty());
    upstream.tell([page(jobs, false)]);
    assert_eq!(ids(&gateway.get("/v1/files?purpose=batch_output").await.json()), [output.as_str(), errors.as_str()]);
    upstream.forget();
    upstream.tell([page(json!([kept(FILE, false), kept("file_2", true)]), false)]);
    assert_eq!(ids(&gateway.get("/v1/files?purpose=user_data").await.json()), [FILE]);
    assert_eq!(gateway.get("/v1/files?after=nobody").await.status, 404);
}

#[tokio::test]
async fn a_list_that_goes_on_at_a_token_is_gone_through() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    let page = |data: Value, next: Value| say(&json!({"data": data, "next_page": next}));
    upstream.tell([
        page(json!([kept("file_1", false)]), "page_2".into()),
        page(json!([kept("file_1", false)]), "page_2".into()),
        page(json!([kept("file_2", false), kept("file_3", false)]), Value::Null),
    ]);
    let list = gateway.get("/v1/files?purpose=user_data&limit=1&after=file_1").await.json();
    assert_eq!((ids(&list), &list["has_more"]), (vec!["file_2"], &true.into()));
    let seen: Vec<_> = upstream.seen().iter().map(|seen| seen.path.clone()).collect();
    assert_eq!(seen, ["/v1/files?limit=1&after_id=file_1", "/v1/files?limit=1000", "/v1/files?limit=1000&page=page_2"]);
}

#[tokio::test]
async fn a_list_of_batches_goes_on_behind_the_last_one() {
    let upstream = Upstream::says([]).await;
    let gateway = keeper("anthropic", &upstream, "").await;
    upstream.tell([say(&json!({"data": [job(NAME, "ended", [0, 0, 2, 0, 0]), job("msgbatch_2", "ended", [0, 1, 0, 0, 3])], "has_more": true}))]);
    let list = gateway.get("/v1/batches?limit=2").await.json();
    assert_eq!(list["has_more"], true);
    let of = |at: usize, member: &str| list["data"][at][member].clone();
    assert_eq!((of(0, "status"), of(0, "output_file_id")), ("completed".into(), Value::Null));
    assert_eq!((of(1, "status"), of(1, "expired_at")), ("expired".into(), 1_767_229_200.into()));
    assert!(of(0, "error_file_id").is_string() && of(1, "error_file_id").is_string());
    let (last, input) = (of(0, "id"), of(0, "input_file_id"));
    assert!(input.as_str().unwrap().starts_with("file-") && input != of(1, "input_file_id"));
    let after = format!("/v1/batches?after={}", last.as_str().unwrap());
    gateway.get(&after).await;
    assert_eq!(upstream.seen()[1].path, format!("/v1/messages/batches?limit=20&after_id={NAME}"));
    assert_eq!(gateway.get("/v1/batches?after=batch_x").await.status, 404);
}
