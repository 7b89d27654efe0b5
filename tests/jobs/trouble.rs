//! What vendors do that nobody hopes for, between the steps of the usual script.

use super::google::{delete, id};
use super::gemini;
use crate::support::{Say, Upstream};

#[tokio::test]
async fn results_whose_batch_can_not_be_looked_at_are_neither_deleted_nor_read() {
    let upstream = Upstream::says([]).await;
    let gateway = gemini::gateway(&upstream).await;
    let (errors, output) = (id("file-", "efiles/batch-b7"), id("file-", "ofiles/batch-b7"));
    upstream.tell([Say::json(503, "{}")]);
    assert_eq!(delete(&gateway, &format!("/v1/files/{errors}")).await.status, 503);
    assert_eq!(upstream.seen().iter().map(|seen| seen.method.as_str()).collect::<Vec<_>>(), ["GET"]);
    upstream.forget();
    upstream.tell([Say::json(503, "{}")]);
    assert_eq!(gateway.get(&format!("/v1/files/{output}/content")).await.status, 503);
    // of a batch that is gone they are still there
    upstream.forget();
    upstream.tell([Say::json(404, "{}"), Say::json(200, "{}")]);
    assert_eq!(delete(&gateway, &format!("/v1/files/{errors}")).await.status, 200);
    assert_eq!(upstream.seen()[1].method, "DELETE");
}
