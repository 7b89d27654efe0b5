// The openai SDK for Node, unchanged: nothing is set but `baseURL` and `apiKey`.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import OpenAI, { APIConnectionTimeoutError, APIError, APIUserAbortError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError, RateLimitError, UnprocessableEntityError } from "openai";

const { CLIENTS_BASE_URL: baseURL, CLIENTS_API_KEY: apiKey, CLIENTS_UPSTREAM: upstream, CLIENTS_VIA: via } = process.env;
const gateway = { skip: via === "gateway" ? false : "says something about the gateway, which is not in the way" };
const viaGateway = via === "gateway";
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 20_000 });
const patient = new OpenAI({ baseURL, apiKey, maxRetries: 2, timeout: 20_000 });
const messages = [{ role: "user", content: "How is the tide?" }];
const SAID = "The tide is high.";
const weather = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
};
const person = {
  type: "json_schema",
  json_schema: { name: "Person", strict: true, schema: { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } }, required: ["name", "age"], additionalProperties: false } },
};

const model = (scenario, family = "gpt-4o") => `${family}-${scenario}-${randomBytes(4).toString("hex")}`;
const seen = async (name) => (await fetch(`${upstream}/_seen?model=${name}`)).json();
const ended = async (name) => (await fetch(`${upstream}/_ended?model=${name}`)).json();
const sent = async (name) => JSON.parse((await seen(name))[0].body);
const content = (chunk) => chunk.choices[0]?.delta.content ?? "";
async function text(stream) {
  let all = "";
  for await (const chunk of stream) all += content(chunk);
  return all;
}

describe("chat", () => {
  test("answers, and the request arrives as it was written", async () => {
    const name = model("text");
    const reply = await client.chat.completions.create({ model: name, messages, temperature: 0.5, seed: 7, x_top: { deep: [1, { a: null }] } });
    assert.equal(reply.choices[0].message.content, SAID);
    assert.deepEqual([reply.model, reply.usage.total_tokens, reply.usage.prompt_tokens_details.cached_tokens], [name, 14, 3]);
    assert.deepEqual(reply.x_vendor, { kept: true });
    assert.deepEqual(await sent(name), { model: name, messages, temperature: 0.5, seed: 7, x_top: { deep: [1, { a: null }] } });
  });

  test("streams piece by piece, without usage that nobody asked for", async () => {
    const chunks = [];
    for await (const chunk of await client.chat.completions.create({ model: model("text"), messages, stream: true })) chunks.push(chunk);
    assert.equal(chunks.map(content).join(""), SAID);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    assert.ok(chunks.every((chunk) => !chunk.usage));
  });

  test("streams usage as one last chunk when it is asked for", async () => {
    const stream = await client.chat.completions.create({ model: model("text"), messages, stream: true, stream_options: { include_usage: true } });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.deepEqual(chunks.filter((chunk) => chunk.usage).map((chunk) => chunk.usage.total_tokens), [14]);
    assert.deepEqual(chunks.at(-1).choices, []);
  });

  for (const [scenario, expected] of Object.entries({ long: Array.from({ length: 500 }, (_, i) => `${i} `).join(""), shreds: 'café 🌊🦀 潮汐 a\\"b\n', comments: SAID }))
    test(`a stream survives: ${scenario}`, async () => {
      assert.equal(await text(await client.chat.completions.create({ model: model(scenario), messages, stream: true })), expected);
    });

  test("images and unknown fields of messages, parts and tools arrive unchanged", async () => {
    const name = model("text");
    const parts = [{ type: "text", text: "What?", x_part: { b: "é" } }, { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=", detail: "low" } }];
    const ask = { model: name, messages: [{ role: "user", content: parts, x_msg: [1] }], tools: [{ ...weather, x_tool: true }] };
    await client.chat.completions.create(ask);
    assert.deepEqual(await sent(name), ask);
  });

  test("logprobs arrive", async () => {
    const reply = await client.chat.completions.create({ model: model("text"), messages, logprobs: true, top_logprobs: 2 });
    assert.deepEqual(reply.choices[0].logprobs.content.map((entry) => entry.token).join(""), SAID);
    assert.equal(reply.choices[0].logprobs.content[0].top_logprobs[1].logprob, -1.5);
  });
});

describe("tools and structured output", () => {
  test("runTools calls a tool and ends with an answer", async () => {
    const cities = [];
    const tool = { ...weather, function: { ...weather.function, parse: JSON.parse, function: ({ city }) => (cities.push(city), { degrees: 21 }) } };
    const runner = client.chat.completions.runTools({ model: model("paralleltools"), messages, tools: [tool] });
    assert.equal(await runner.finalContent(), SAID);
    assert.deepEqual(cities, ["Oslo", "Lima"]);
  });

  test("runTools does the same on streams, with parallel calls", async () => {
    const cities = [];
    const tool = { ...weather, function: { ...weather.function, parse: JSON.parse, function: ({ city }) => (cities.push(city), "21") } };
    const runner = client.chat.completions.runTools({ model: model("paralleltools"), messages, tools: [tool], stream: true });
    assert.equal(await runner.finalContent(), SAID);
    assert.deepEqual(cities, ["Oslo", "Lima"]);
  });

  test("parse reads a JSON schema answer, whole and streamed", async () => {
    const whole = await client.chat.completions.parse({ model: model("json"), messages, response_format: person });
    assert.deepEqual(JSON.parse(whole.choices[0].message.content), { name: "Ada", age: 36 });
    const streamed = await client.chat.completions.stream({ model: model("json"), messages, response_format: person }).finalContent();
    assert.deepEqual(JSON.parse(streamed), { name: "Ada", age: 36 });
  });
});

describe("the other operations", () => {
  test("embeddings come as base64 by default and as floats when asked", async () => {
    const name = model("text", "text-embedding-3-small");
    const packed = await client.embeddings.create({ model: name, input: ["a", "b"], dimensions: 4 });
    const floats = await client.embeddings.create({ model: name, input: "a", dimensions: 4, encoding_format: "float" });
    assert.deepEqual(packed.data.map((entry) => [...entry.embedding]), [[-0.375, -0.25, -0.125, 0], [-0.375, -0.25, -0.125, 0]]);
    assert.deepEqual(floats.data[0].embedding, [-0.375, -0.25, -0.125, 0]);
    assert.deepEqual((await seen(name)).map((request) => JSON.parse(request.body).encoding_format), ["base64", "float"]);
  });

  test("legacy completions answer and stream", async () => {
    const name = model("text", "gpt-3.5-turbo-instruct");
    assert.equal((await client.completions.create({ model: name, prompt: "The tide" })).choices[0].text, SAID);
    let all = "";
    for await (const chunk of await client.completions.create({ model: name, prompt: "The tide", stream: true })) all += chunk.choices[0]?.text ?? "";
    assert.equal(all, SAID);
  });

  test("models are listed and retrieved", async () => {
    const ids = [];
    for await (const entry of client.models.list()) ids.push(entry.id);
    assert.ok(ids.includes("gpt-4o") && ids.includes("text-embedding-3-small"));
    assert.equal((await client.models.retrieve("gpt-4o")).object, "model");
    await assert.rejects(client.models.retrieve("no-such-model"), NotFoundError);
  });
});

describe("errors", () => {
  const mapped = viaGateway
    ? { 400: [BadRequestError, 400], 401: [InternalServerError, 502], 404: [NotFoundError, 404], 422: [UnprocessableEntityError, 422], 429: [RateLimitError, 429], 500: [InternalServerError, 502], 503: [InternalServerError, 503] }
    : { 400: [BadRequestError, 400], 401: [AuthenticationError, 401], 404: [NotFoundError, 404], 422: [UnprocessableEntityError, 422], 429: [RateLimitError, 429], 500: [InternalServerError, 500], 503: [InternalServerError, 503] };
  for (const [code, [kind, status]] of Object.entries(mapped))
    test(`an upstream ${code} is a ${kind.name}`, async () => {
      const name = model(`status${code}`);
      const error = await client.chat.completions.create({ model: name, messages }).then(() => null, (caught) => caught);
      assert.ok(error instanceof kind, String(error));
      assert.ok(error.status === status && error.type && error.code && error.requestID);
      assert.equal(error.headers.get("retry-after"), code === "429" ? "7" : error.headers.get("retry-after"));
      assert.equal((await seen(name)).length, 1);
    });

  test("a wrong key is an AuthenticationError", async () => {
    const stranger = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
    await assert.rejects(stranger.chat.completions.create({ model: model("text"), messages }), AuthenticationError);
  });

  test("a model nobody owns is a NotFoundError", gateway, async () => {
    const error = await client.chat.completions.create({ model: model("text", "unheard-of"), messages }).catch((caught) => caught);
    assert.ok(error instanceof NotFoundError && error.code === "model_not_found", String(error));
  });

  for (const scenario of ["errorevent", "cut"])
    test(`a stream that breaks throws after what had arrived: ${scenario}`, async () => {
      let all = "";
      const reading = async () => {
        for await (const chunk of await client.chat.completions.create({ model: model(scenario), messages, stream: true })) all += content(chunk);
      };
      await assert.rejects(reading(), viaGateway || scenario === "errorevent" ? APIError : Error);
      assert.equal(all, "The tide ");
    });
});

describe("retries, timeouts, cancel", () => {
  test("a 429 is retried no sooner than Retry-After says", async () => {
    const name = model("wait429");
    assert.equal((await patient.chat.completions.create({ model: name, messages })).choices[0].message.content, SAID);
    const [first, second] = await seen(name);
    assert.ok(second.at - first.at >= 950, `${second.at - first.at} ms`);
  });

  test("a sequence of server errors is got through, a 400 is not retried", async () => {
    const [sequence, bad] = [model("sequence"), model("status400")];
    assert.equal((await patient.chat.completions.create({ model: sequence, messages })).choices[0].message.content, SAID);
    await assert.rejects(patient.chat.completions.create({ model: bad, messages }), BadRequestError);
    assert.deepEqual([(await seen(sequence)).length, (await seen(bad)).length], [3, 1]);
  });

  test("a client that times out closes the upstream", async () => {
    const name = model("silent");
    await assert.rejects(client.chat.completions.create({ model: name, messages }, { timeout: 500 }), APIConnectionTimeoutError);
    assert.deepEqual((await ended(name)).map((request) => request.ended), ["left"]);
  });

  test("an abort before the first byte closes the upstream", async () => {
    const [name, abort] = [model("silent"), new AbortController()];
    const asked = client.chat.completions.create({ model: name, messages, stream: true }, { signal: abort.signal });
    for (const deadline = Date.now() + 10_000; (await seen(name)).length === 0; ) assert.ok(Date.now() < deadline);
    abort.abort();
    await assert.rejects(asked, APIUserAbortError);
    assert.deepEqual((await ended(name)).map((request) => request.ended), ["left"]);
  });

  test("leaving a stream closes the upstream", async () => {
    const name = model("forever");
    const stream = await client.chat.completions.create({ model: name, messages, stream: true });
    for await (const chunk of stream) if (content(chunk)) break;
    const [request] = await ended(name);
    assert.ok(request.ended === "left" && request.endedAt - request.at < 5000, JSON.stringify(request));
  });
});

test("fifty chats and streams at once", async () => {
  const chat = async () => (await client.chat.completions.create({ model: model("text"), messages })).choices[0].message.content;
  const stream = async () => text(await client.chat.completions.create({ model: model("text"), messages, stream: true }));
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 ? chat() : stream())));
  assert.deepEqual(all, Array(50).fill(SAID));
});

test("the raw response shows the headers", async () => {
  const { data, response, request_id } = await client.chat.completions.create({ model: model("text"), messages }).withResponse();
  assert.equal(data.choices[0].message.content, SAID);
  assert.ok(request_id);
  if (viaGateway) assert.equal(response.headers.get("x-gateway-provider"), "openai");
});
