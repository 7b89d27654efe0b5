// A vendor that follows a script: it speaks OpenAI's wire, does what the model's name says, and remembers what it was sent.
//
// The model is `<anything>-<scenario>-<eight hex digits>`: an unmodified SDK picks what it wants to meet by the model it
// asks for, and the digits keep tests apart. Prints its address on the first line of stdout, and stops when stdin closes.
//
//   GET /_seen?model=M     every request for M so far, with its body as text
//   GET /_ended?model=M    the same, as soon as each of them has ended (answered, or left by the client)
import http from "node:http";

const KEY = process.env.UPSTREAM_KEY ?? "sk-upstream";
const CREATED = 1767225600;
const USAGE = { prompt_tokens: 9, completion_tokens: 5, total_tokens: 14, prompt_tokens_details: { cached_tokens: 3 } };
const TEXT = ["The ", "tide ", "is ", "high", "."];
const PERSON = ['{"name":', '"Ada",', '"age":36}'];
const SHREDS = ["caf\u00e9 ", "\u{1F30A}\u{1F980} ", "\u6f6e\u6c50 ", "a\\\"b\n"];
const CALLS = [
  { id: "call_oslo", type: "function", function: { name: "weather", arguments: '{"city":"Oslo"}' } },
  { id: "call_lima", type: "function", function: { name: "weather", arguments: '{"city":"Lima"}' } },
];
const BREAK = { error: { message: "scripted break", type: "server_error", code: "broken" } };
const LOGPROBS = TEXT.map((token) => ({
  token, logprob: -0.25, bytes: [...Buffer.from(token)],
  top_logprobs: [{ token, logprob: -0.25, bytes: [...Buffer.from(token)] }, { token: "?", logprob: -1.5, bytes: [63] }],
}));
const EMBEDDING = Float32Array.from({ length: 8 }, (_, i) => (i - 3) / 8);

const seen = [];
let waiting = [];

function ended(entry, how) {
  if (entry.ended) return;
  entry.ended = how;
  entry.endedAt = Date.now();
  waiting = waiting.filter((check) => !check());
}

const send = (res, status, body, headers = {}) => {
  const bytes = Buffer.from(JSON.stringify(body));
  res.writeHead(status, { "content-type": "application/json", "content-length": bytes.length, "x-request-id": "req_upstream", ...headers });
  res.end(bytes);
};

const TYPES = { 400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 422: "invalid_request_error", 429: "rate_limit_error" };
const fail = (res, status, headers = {}) =>
  send(res, status, { error: { message: `scripted ${status}`, type: TYPES[status] ?? "server_error", param: null, code: `code_${status}` } }, headers);

// ---- chat -------------------------------------------------------------------------------------------------------------

/** What a scenario says: the message's members, the same as stream deltas, and how it finishes. */
function speech(scenario, body) {
  const answered = (body.messages ?? []).some((m) => m.role === "tool");
  if (scenario === "tools" && !answered) return said(null, CALLS.slice(0, 1));
  if (scenario === "paralleltools" && !answered) return said(null, CALLS);
  if (scenario === "json") return said(PERSON);
  if (scenario === "shreds") return said(SHREDS);
  if (scenario === "long") return said(Array.from({ length: 500 }, (_, i) => `${i} `));
  if (scenario === "big") return said(["x".repeat(1 << 20)]);
  if (scenario === "refusal")
    return { message: { role: "assistant", content: null, refusal: "I will not." }, deltas: [{ refusal: "I will " }, { refusal: "not." }], finish: "stop" };
  if (scenario === "length") return { ...said(PERSON.slice(0, 2)), finish: "length" };
  return said(TEXT);
}

function said(words, calls) {
  if (calls) {
    const deltas = calls.map((call, index) => ({ tool_calls: [{ index, ...call, function: { name: call.function.name, arguments: "" } }] }));
    for (let at = 0; at < 16; at += 5) // the arguments of all calls, interleaved
      calls.forEach((call, index) => deltas.push({ tool_calls: [{ index, function: { arguments: call.function.arguments.slice(at, at + 5) } }] }));
    return { message: { role: "assistant", content: null, tool_calls: calls, refusal: null }, deltas, finish: "tool_calls" };
  }
  return { message: { role: "assistant", content: words.join(""), refusal: null }, deltas: words.map((content) => ({ content })), finish: "stop" };
}

function chat(entry, scenario, body, res) {
  const { message, deltas, finish } = speech(scenario, body);
  const logprobs = (words) => (body.logprobs ? { content: words, refusal: null } : null);
  if (body.stream) return stream(entry, scenario, body, res, deltas, finish, logprobs);
  const choices = Array.from({ length: body.n ?? 1 }, (_, index) => ({ index, message, logprobs: logprobs(LOGPROBS), finish_reason: finish }));
  send(res, 200, { id: "chatcmpl-1", object: "chat.completion", created: CREATED, model: body.model, choices, usage: USAGE, system_fingerprint: "fp_1", x_vendor: { kept: true } });
}

function stream(entry, scenario, body, res, deltas, finish, logprobs) {
  const base = { id: "chatcmpl-1", object: "chat.completion.chunk", created: CREATED, model: body.model, system_fingerprint: "fp_1" };
  const withUsage = body.stream_options?.include_usage;
  const event = (value) => `data: ${JSON.stringify({ ...base, ...value, ...(withUsage ? { usage: value.usage ?? null } : {}) })}\n\n`;
  const choice = (delta, more = {}) => event({ choices: [{ index: 0, delta, logprobs: null, finish_reason: null, ...more }] });
  const frames = [
    choice({ role: "assistant", content: "" }),
    ...deltas.map((delta, i) => choice(delta, { logprobs: logprobs([LOGPROBS[i % LOGPROBS.length]]) })),
    choice({}, { finish_reason: finish }),
    ...(withUsage ? [event({ choices: [], usage: USAGE })] : []),
    "data: [DONE]\n\n",
  ];
  res.writeHead(200, { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-request-id": "req_upstream" });
  if (scenario === "forever") return forever(entry, res, frames);
  if (scenario === "stall") return void res.write(frames[0] + frames[1]);
  const ends = { cut: () => res.socket.destroy(), truncate: () => res.end(), errorevent: () => res.end(`data: ${JSON.stringify(BREAK)}\n\n`) };
  if (ends[scenario]) return void res.write(frames.slice(0, 3).join(""), () => setTimeout(ends[scenario], 100)); // midway: words have gone out
  if (scenario === "shreds") return shreds(res, Buffer.from(frames.join("").replaceAll("\n\n", "\r\n\r\n")));
  if (scenario === "comments") return void res.end(`: hello\n\n${frames.join(": still here\n\n")}`);
  res.end(frames.join(""));
}

/** The first word again and again, until the client leaves or 20 s have passed. */
function forever(entry, res, frames) {
  res.write(frames[0]);
  const started = Date.now();
  const timer = setInterval(() => {
    if (entry.ended || Date.now() - started > 20_000) return void (clearInterval(timer), res.end());
    res.write(frames[1]);
  }, 10);
}

/** Seven bytes a write: cuts characters, lines and events. */
function shreds(res, bytes) {
  const next = (at) => (at < bytes.length ? res.write(bytes.subarray(at, at + 7), () => setImmediate(next, at + 7)) : res.end());
  next(0);
}

// ---- the other operations -----------------------------------------------------------------------------------------------

function completion(body, res) {
  const base = { id: "cmpl-1", object: "text_completion", created: CREATED, model: body.model };
  const choice = (text, finish_reason = null) => ({ text, index: 0, logprobs: null, finish_reason });
  if (!body.stream) return send(res, 200, { ...base, choices: [choice(TEXT.join(""), "stop")], usage: USAGE });
  const frames = [...TEXT.map((text) => ({ choices: [choice(text)] })), { choices: [choice("", "stop")] }];
  if (body.stream_options?.include_usage) frames.push({ choices: [], usage: USAGE });
  res.writeHead(200, { "content-type": "text/event-stream" });
  res.end(frames.map((frame) => `data: ${JSON.stringify({ ...base, ...frame })}\n\n`).join("") + "data: [DONE]\n\n");
}

function embeddings(body, res) {
  const inputs = Array.isArray(body.input) ? body.input : [body.input];
  const vector = EMBEDDING.subarray(0, body.dimensions ?? EMBEDDING.length);
  const embedding = body.encoding_format === "base64" ? Buffer.from(vector.slice().buffer).toString("base64") : [...vector];
  const data = inputs.map((_, index) => ({ object: "embedding", index, embedding }));
  send(res, 200, { object: "list", data, model: body.model, usage: { prompt_tokens: 4, total_tokens: 4 } });
}

const MODELS = ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"].map((id) => ({ id, object: "model", created: CREATED, owned_by: "openai" }));

function models(path, res) {
  const id = path.split("/models/")[1];
  if (id === undefined) return send(res, 200, { object: "list", data: MODELS });
  const model = MODELS.find((m) => m.id === decodeURIComponent(id));
  return model ? send(res, 200, model) : fail(res, 404);
}

// ---- the server -----------------------------------------------------------------------------------------------------------

/** Answers that do not depend on the operation: errors, errors that pass, and silence. True if it was one. */
function misbehaved(entry, scenario, res) {
  const before = seen.filter((other) => other !== entry && other.model === entry.model).length;
  const [, word, code] = scenario.match(/^(status|flaky|wait)(\d+)$/) ?? [];
  if (word === "status") fail(res, Number(code), code === "429" ? { "retry-after": "7" } : {});
  else if (word === "wait" && before === 0) fail(res, Number(code), { "retry-after": "1" });
  else if (word === "flaky" && before === 0) fail(res, Number(code));
  else if (scenario === "sequence" && before < 2) fail(res, [500, 503][before]);
  else if (scenario === "html") res.writeHead(200, { "content-type": "text/html" }).end("<html>sorry</html>");
  else if (scenario === "redirect") res.writeHead(302, { location: "/v1/elsewhere" }).end();
  else if (scenario !== "silent") return false;
  return true;
}

function answer(entry, res) {
  const path = entry.path.split("?")[0];
  if (entry.headers.authorization !== `Bearer ${KEY}`) return fail(res, 401);
  if (entry.method === "GET" && /\/models(\/|$)/.test(path)) return models(path, res);
  let body;
  try {
    body = JSON.parse(entry.body);
  } catch {
    return fail(res, 400);
  }
  entry.model = body.model;
  const [, scenario] = String(body.model).match(/-([a-z0-9]+)-[0-9a-f]{8}$/) ?? [null, "text"];
  if (misbehaved(entry, scenario, res)) return;
  if (path.endsWith("/chat/completions")) return chat(entry, scenario, body, res);
  if (path.endsWith("/completions")) return completion(body, res);
  if (path.endsWith("/embeddings")) return embeddings(body, res);
  fail(res, 404);
}

function report(url, res) {
  const mine = () => seen.filter((entry) => entry.model === url.searchParams.get("model"));
  const done = () => mine().length > 0 && mine().every((entry) => entry.ended);
  const reply = () => send(res, 200, mine());
  if (url.pathname === "/_seen" || done()) return reply();
  const limit = setTimeout(reply, 10_000);
  waiting.push(() => done() && (clearTimeout(limit), reply(), true));
}

const server = http.createServer(async (req, res) => {
  const url = new URL(req.url, "http://upstream");
  if (url.pathname.startsWith("/_")) return report(url, res);
  const entry = { method: req.method, path: req.url, headers: req.headers, body: "", model: null, at: Date.now(), ended: null };
  const chunks = [];
  try {
    for await (const chunk of req) chunks.push(chunk);
  } catch {
    return; // the client left while it was sending
  }
  entry.body = Buffer.concat(chunks).toString();
  seen.push(entry);
  res.on("finish", () => ended(entry, "answered"));
  res.on("close", () => ended(entry, "left"));
  answer(entry, res);
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on("end", () => process.exit(0));
