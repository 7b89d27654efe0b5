//! What goes over InvokeModel: embeddings, images; and rankings.

use bytes::Bytes;
use ferrogw::wire::Op;
use ferrogw::wire::bedrock::{embeddings, images, rerank};
use ferrogw::wire::native::{Refused, Terms};
use serde_json::{Value, json};

use super::{body, losses, object, say, terms};

#[test]
fn embeddings_have_the_bodies_of_their_vendors() {
    let check = |model: &str, ask: Value, expected: Value, upstream: Value, reply: Value| {
        let terms = Terms { op: Op::Embed, ..terms(model, false) };
        let request = embeddings::request(&object(ask.to_string()), &terms).unwrap();
        assert_eq!(body(&request), expected, "{model}");
        let reply_is = embeddings::answer(Bytes::from(upstream.to_string()), &request.back).unwrap();
        let reply_is: Value = serde_json::from_slice(&reply_is.encode()).unwrap();
        assert_eq!(reply_is["data"], reply, "{model}");
    };
    let list = |vectors: &[Value]| -> Value {
        let items = vectors.iter().enumerate();
        items.map(|(at, vector)| json!({"object": "embedding", "index": at, "embedding": vector})).collect()
    };
    check(
        "amazon.titan-embed-text-v2:0",
        json!({"model": "m", "input": ["tide"], "dimensions": 256, "encoding_format": "float"}),
        json!({"inputText": "tide", "dimensions": 256}),
        json!({"embedding": [0.5, -1], "inputTextTokenCount": 3}),
        list(&[json!([0.5, -1])]),
    );
    check(
        "us.cohere.embed-v4:0",
        json!({"model": "m", "input": ["tide", "ebb"], "dimensions": 256}),
        json!({"texts": ["tide", "ebb"], "input_type": "search_document", "output_dimension": 256, "embedding_types": ["float"]}),
        json!({"embeddings": {"float": [[1], [2]]}}),
        list(&[json!([1]), json!([2])]),
    );
    check(
        "cohere.embed-english-v3",
        json!({"model": "m", "input": "tide", "input_type": "search_query"}),
        json!({"texts": ["tide"], "input_type": "search_query"}),
        json!({"embeddings": [[1]]}),
        list(&[json!([1])]),
    );
    check(
        "amazon.nova-2-multimodal-embeddings-v1:0",
        json!({"model": "m", "input": "tide", "dimensions": 384}),
        json!({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX",
            "embeddingDimension": 384, "text": {"truncationMode": "END", "value": "tide"}}}),
        json!({"embeddings": [{"embeddingType": "TEXT", "embedding": [1]}]}),
        list(&[json!([1])]),
    );
    for input in [json!([1, 2]), json!([[1]]), json!([]), json!(["a", "b"]), Value::Null] {
        let ask = object(json!({"model": "m", "input": input}).to_string());
        let refused = embeddings::request(&ask, &terms("amazon.titan-embed-text-v2:0", false));
        assert!(matches!(refused, Err(Refused::Invalid { param, .. }) if param == "input"));
    }
}

#[test]
fn images_and_rankings_have_the_bodies_of_their_vendors() {
    let ask = object(r#"{"model":"m","prompt":"a boat","n":2,"size":"1280x720","quality":"hd","seed":7}"#);
    let check = |model: &str, expected: Value| {
        let request = images::request(&ask, &terms(model, false)).unwrap();
        assert_eq!(body(&request), expected, "{model}");
        request
    };
    let canvas = json!({"taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a boat"},
        "imageGenerationConfig": {"numberOfImages": 2, "width": 1280, "height": 720, "quality": "premium", "seed": 7}});
    check("amazon.nova-canvas-v1:0", canvas);
    let stable = json!({"prompt": "a boat", "mode": "text-to-image", "aspect_ratio": "16:9", "seed": 7});
    let request = check("us.stability.sd3-5-large-v1:0", stable);
    assert_eq!(losses(&request), "n dropped\nquality dropped\n");
    let answer = |body: &str| images::answer(Bytes::copy_from_slice(body.as_bytes()), &request.back);
    let reply =
        answer(r#"{"images":["QQ==","QUE="],"seeds":[1,2],"finish_reasons":[null,"Filter reason: prompt"]}"#).unwrap();
    assert_eq!(&reply.encode()[..], br#"{"created":1767225600,"data":[{"b64_json":"QQ=="}]}"#);
    assert_eq!(say(answer(r#"{"images":[],"error":"blocked"}"#).unwrap_err()).0, Some(400));

    let ask = object(
        r#"{"model":"m","query":"tide?","documents":["ebb",{"text":"flood"},{"title":"a","text":"b"}],"top_n":2}"#,
    );
    let request = rerank::request(&ask, &terms("cohere.rerank-v3-5:0", false), "eu-west-1").unwrap();
    let sent = body(&request);
    assert_eq!(sent["sources"][1]["inlineDocumentSource"], json!({"type": "TEXT", "textDocument": {"text": "flood"}}));
    assert_eq!(sent["sources"][2]["inlineDocumentSource"]["type"], "JSON");
    let configuration = &sent["rerankingConfiguration"]["bedrockRerankingConfiguration"];
    let arn = "arn:aws:bedrock:eu-west-1::foundation-model/cohere.rerank-v3-5:0";
    assert_eq!(*configuration, json!({"numberOfResults": 2, "modelConfiguration": {"modelArn": arn}}));
    let answer = r#"{"results":[{"index":0,"relevanceScore":0.1},{"index":1,"relevanceScore":0.9}]}"#;
    let reply = rerank::answer(Bytes::from(answer), &request.back).unwrap();
    let reply: Value = serde_json::from_slice(&reply.encode()).unwrap();
    assert_eq!(reply["results"], json!([{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]));
}
