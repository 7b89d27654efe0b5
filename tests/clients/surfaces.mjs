// A vendor with everything but chat: images, audio, moderations, files, batches, responses. It keeps what it is given, reads
// forms with the platform's own parser, and says in its answers what it has read.
//
// Prints its address on the first line of stdout, and stops when stdin closes.
import { createHash } from "node:crypto";
import http from "node:http";

const KEY = process.env.UPSTREAM_KEY ?? "sk-upstream";
const CREATED = 1767225600;
const IMAGE_USAGE = { input_tokens: 7, output_tokens: 11, total_tokens: 18, input_tokens_details: { text_tokens: 7, image_tokens: 0 } };
const SOUND = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251));
const SUBTITLES = "1\n00:00:00,000 --> 00:00:01,000\nThe tide is high.\n\n";

const files = new Map();
const batches = new Map();
const responses = new Map();
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const json = (res, status, body) => {
  const bytes = Buffer.from(JSON.stringify(body));
  res.writeHead(status, { "content-type": "application/json", "content-length": bytes.length, "x-request-id": "req_upstream" });
  res.end(bytes);
};
const fail = (res, status, message) => json(res, status, { error: { message, type: "invalid_request_error", param: null, code: null } });
const events = (res, list) => {
  res.writeHead(200, { "content-type": "text/event-stream" });
  res.end(list.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(""));
};

// ---- images and audio ---------------------------------------------------------------------------------------------------

function images(ask, res) {
  const b64_json = Buffer.from(`${ask.model}: ${ask.prompt}`).toString("base64");
  if (!ask.stream) return json(res, 200, { created: CREATED, data: Array.from({ length: ask.n ?? 1 }, () => ({ b64_json })), usage: IMAGE_USAGE });
  const shape = { created_at: CREATED, size: "1024x1024", quality: "low", background: "opaque", output_format: "png" };
  events(res, [
    { type: "image_generation.partial_image", b64_json: "YQ==", partial_image_index: 0, ...shape },
    { type: "image_generation.completed", b64_json, usage: IMAGE_USAGE, ...shape },
  ]);
}

async function drawn(form, res) {
  const pictures = [...form.getAll("image"), ...form.getAll("image[]")];
  const digests = await Promise.all(pictures.map(async (picture) => sha256(Buffer.from(await picture.arrayBuffer()))));
  json(res, 200, { created: CREATED, data: digests.map((digest) => ({ url: `https://example.test/${form.get("model")}/${digest}` })) });
}

function speech(ask, res) {
  if (ask.stream_format === "sse")
    return events(res, [
      { type: "speech.audio.delta", audio: SOUND.subarray(0, 9).toString("base64") },
      { type: "speech.audio.done", usage: { input_tokens: 4, output_tokens: 9, total_tokens: 13 } },
    ]);
  res.writeHead(200, { "content-type": "audio/mpeg", "content-length": SOUND.length });
  res.end(SOUND);
}

async function transcript(form, res) {
  const sound = Buffer.from(await form.get("file").arrayBuffer());
  const text = `${form.get("model")} heard ${sound.length} bytes: ${sha256(sound)}`;
  const usage = { type: "tokens", input_tokens: 6, output_tokens: 5, total_tokens: 11 };
  if (form.get("stream") === "true")
    return events(res, [
      { type: "transcript.text.delta", delta: text.slice(0, 5) },
      { type: "transcript.text.delta", delta: text.slice(5) },
      { type: "transcript.text.done", text, usage },
    ]);
  if (form.get("response_format") === "srt") return void res.writeHead(200, { "content-type": "text/plain; charset=utf-8" }).end(SUBTITLES);
  if (form.get("response_format") === "verbose_json") {
    const granularities = form.getAll("timestamp_granularities[]");
    return json(res, 200, { text, language: "english", duration: 1.5, words: granularities.map((word) => ({ word, start: 0, end: 1 })) });
  }
  json(res, 200, { text, usage });
}

// ---- what is kept ---------------------------------------------------------------------------------------------------------

async function file(req, id, action, form, res) {
  if (req.method === "POST" && form) {
    const content = Buffer.from(await form.get("file").arrayBuffer());
    const made = { id: `file-${files.size + 1}`, object: "file", bytes: content.length, created_at: CREATED, filename: form.get("file").name, purpose: form.get("purpose"), status: "processed" };
    files.set(made.id, { made, content });
    return json(res, 200, made);
  }
  if (id === undefined) return json(res, 200, { object: "list", data: [...files.values()].map((kept) => kept.made), has_more: false });
  const kept = files.get(id);
  if (!kept) return fail(res, 404, `No such File object: ${id}`);
  if (action === "content") return void res.writeHead(200, { "content-type": "application/octet-stream" }).end(kept.content);
  if (req.method === "DELETE") return files.delete(id), json(res, 200, { id, object: "file", deleted: true });
  json(res, 200, kept.made);
}

function batch(req, id, action, ask, res) {
  if (req.method === "POST" && id === undefined) {
    const made = { id: `batch_${batches.size + 1}`, object: "batch", endpoint: ask.endpoint, input_file_id: ask.input_file_id, completion_window: ask.completion_window, status: "in_progress", created_at: CREATED };
    batches.set(made.id, made);
    return json(res, 200, made);
  }
  if (id === undefined) return json(res, 200, { object: "list", data: [...batches.values()], has_more: false });
  const kept = batches.get(id);
  if (!kept) return fail(res, 404, `No batch found with id '${id}'.`);
  if (action === "cancel") kept.status = "cancelling";
  json(res, 200, kept);
}

function made(ask, status) {
  const content = [{ type: "output_text", text: "The tide is high.", annotations: [], logprobs: [] }];
  const output = status === "completed" ? [{ id: "msg_1", type: "message", role: "assistant", status, content }] : [];
  const usage = { input_tokens: 9, input_tokens_details: { cached_tokens: 4 }, output_tokens: 5, output_tokens_details: { reasoning_tokens: 2 }, total_tokens: 14 };
  return {
    id: `resp_${responses.size + 1}`, object: "response", created_at: CREATED, status, error: null, incomplete_details: null, instructions: null,
    metadata: ask.metadata ?? {}, model: ask.model, output, parallel_tool_calls: true, temperature: 1, tool_choice: "auto", tools: ask.tools ?? [],
    top_p: 1, background: ask.background ?? false, usage: status === "completed" ? usage : null,
  };
}

function response(req, id, action, ask, res) {
  if (req.method === "POST" && id === undefined) {
    const answer = made(ask, ask.background ? "queued" : "completed");
    responses.set(answer.id, { answer, ask });
    if (!ask.stream) return json(res, 200, answer);
    const [message] = answer.output;
    const at = { item_id: message.id, output_index: 0, content_index: 0 };
    const list = [
      { type: "response.created", response: { ...answer, status: "in_progress", output: [], usage: null } },
      { type: "response.in_progress", response: { ...answer, status: "in_progress", output: [], usage: null } },
      { type: "response.output_item.added", output_index: 0, item: { ...message, status: "in_progress", content: [] } },
      { type: "response.content_part.added", ...at, part: { type: "output_text", text: "", annotations: [] } },
      ...["The tide ", "is high."].map((delta) => ({ type: "response.output_text.delta", ...at, delta, logprobs: [] })),
      { type: "response.output_text.done", ...at, text: "The tide is high.", logprobs: [] },
      { type: "response.output_item.done", output_index: 0, item: message },
      { type: "response.completed", response: answer },
    ];
    return events(res, list.map((event, sequence_number) => ({ ...event, sequence_number })));
  }
  const kept = responses.get(id);
  if (!kept) return fail(res, 404, `Response with id '${id}' not found.`);
  if (req.method === "DELETE") return responses.delete(id), json(res, 200, { id, object: "response", deleted: true });
  if (action === "cancel") return json(res, 200, (kept.answer = { ...kept.answer, status: "cancelled" }));
  if (action === "input_items") {
    const content = [{ type: "input_text", text: kept.ask.input }];
    return json(res, 200, { object: "list", data: [{ id: "msg_0", type: "message", role: "user", status: "completed", content }], first_id: "msg_0", last_id: "msg_0", has_more: false });
  }
  if (kept.answer.status === "queued") kept.answer = { ...made(kept.ask, "completed"), id };
  json(res, 200, kept.answer);
}

// ---- the server -------------------------------------------------------------------------------------------------------------

async function answer(req, body, res) {
  if (req.headers.authorization !== `Bearer ${KEY}`) return fail(res, 401, "wrong key");
  const [, version, surface, id, action] = req.url.split("?")[0].split("/");
  const kind = req.headers["content-type"] ?? "";
  const form = kind.startsWith("multipart/") ? await new Response(body, { headers: { "content-type": kind } }).formData() : undefined;
  const ask = kind.startsWith("application/json") && body.length ? JSON.parse(body) : {};
  const path = `${version}/${surface}${["images", "audio"].includes(surface) ? `/${id}` : ""}`;
  switch (path) {
    case "v1/images/generations": return images(ask, res);
    case "v1/images/edits": case "v1/images/variations": return drawn(form, res);
    case "v1/audio/speech": return speech(ask, res);
    case "v1/audio/transcriptions": case "v1/audio/translations": return transcript(form, res);
    case "v1/moderations": {
      const result = { flagged: true, categories: { violence: true }, category_scores: { violence: 0.9 }, category_applied_input_types: { violence: ["text"] } };
      return json(res, 200, { id: "modr-1", model: ask.model, results: [ask.input].flat().map(() => result) });
    }
    case "v1/files": return file(req, id, action, form, res);
    case "v1/batches": return batch(req, id, action, ask, res);
    case "v1/responses": return response(req, id, action, ask, res);
    case "v1/vector_stores": return json(res, 200, { id: "vs_1", object: "vector_store", name: ask.name ?? null, created_at: CREATED, beta: req.headers["openai-beta"] });
    default: return fail(res, 404, `nothing at ${req.url}`);
  }
}

const server = http.createServer(async (req, res) => {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  try {
    await answer(req, Buffer.concat(chunks), res);
  } catch (error) {
    fail(res, 400, String(error));
  }
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on("end", () => process.exit(0));
