"""Anthropic behind the gateway, judged by Anthropic's own SDK: every request must be one that its types know, and every
answer and event is made of its models. And the same row in front of an emulator that we did not write."""

from __future__ import annotations

import collections.abc
import json
import os
import threading
import typing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest
from anthropic import types
from anthropic.types import message_create_params as params
from openai import OpenAI
from pydantic import BaseModel, TypeAdapter
from typing_extensions import Required, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

from harness import MASTER_KEY, Gateway, Script, fetch
from test_openai import HELLO, PIXEL, WEATHER

pytestmark = pytest.mark.gateway

KEY = "sk-ant-of-the-test"


# ---- the judge ----------------------------------------------------------------------------------------------------------


def strict(of: typing.Any, known: dict) -> typing.Any:
    """The same type, but with lists for iterables, which are only looked at when they are used, and without members that
    nobody has named: the API refuses those."""
    if is_typeddict(of):
        if of not in known:
            known[of] = typing.Any  # no type of a request holds itself
            members = {name: strict(hint, known) for name, hint in get_type_hints(of, include_extras=True).items()}
            known[of] = TypedDict(of.__name__, members, total=False)
            known[of].__pydantic_config__ = getattr(of, "__pydantic_config__", {"extra": "forbid"})
        return known[of]
    origin, inner = get_origin(of), get_args(of)
    if origin is Required:
        return Required[strict(inner[0], known)]
    if origin is typing.Annotated:
        return strict(inner[0], known)
    if origin is typing.Union:
        # what answers are made of is taken, too, and has room for anything
        asked = [strict(one, known) for one in inner if not (isinstance(one, type) and issubclass(one, BaseModel))]
        return typing.Union[tuple(asked)] if asked else typing.Literal["nothing"]
    if origin in (collections.abc.Iterable, list) or "SequenceNotStr" in str(origin):
        return list[strict(inner[0], known)]
    return of


WHOLE, STREAMED = (
    TypeAdapter(strict(of, {})) for of in (params.MessageCreateParamsNonStreaming, params.MessageCreateParamsStreaming)
)
# The SDK has dropped them, because the newest models refuse them; older ones take them.
SAMPLING = {"temperature", "top_p", "top_k"}


def judge(body: dict) -> None:
    """Fails unless the SDK's types know every member of a request."""
    rest = {name: value for name, value in body.items() if name not in SAMPLING}
    (STREAMED if body.get("stream") else WHOLE).validate_python(rest, strict=True)


def test_the_judge_is_one():
    message = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
    fine = {"model": "claude-haiku-4-5", "max_tokens": 1, "messages": [message]}
    judge(fine)
    broken = [
        {**fine, "n": 1},
        {**fine, "max_tokens": "1"},
        {**fine, "messages": [{"role": "tool", "content": "hi"}]},
        {**fine, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "name": "x"}]}]},
        {**fine, "thinking": {"type": "enabled"}},
        {**fine, "tool_choice": {"type": "function"}},
        {name: value for name, value in fine.items() if name != "max_tokens"},
    ]
    for body in broken:
        with pytest.raises(ValueError, match="validation error"):
            judge(body)


# ---- the vendor ---------------------------------------------------------------------------------------------------------


def usage(**more) -> types.Usage:
    return types.Usage(input_tokens=10, output_tokens=5, cache_read_input_tokens=4, cache_creation_input_tokens=2, **more)


def message(*content, stop_reason="end_turn") -> types.Message:
    return types.Message.model_construct(
        id="msg_1", type="message", role="assistant", model="claude", content=list(content),
        stop_reason=stop_reason, stop_sequence=None, usage=usage(service_tier="standard"),
    )


def text(said: str) -> types.TextBlock:
    return types.TextBlock(type="text", text=said)


THOUGHT = types.ThinkingBlock(type="thinking", thinking='A "port" é.', signature="c2lnbmF0dXJl")
HIDDEN = types.RedactedThinkingBlock(type="redacted_thinking", data="b3BhcXVl")
CALLS = [
    types.ToolUseBlock(type="tool_use", id=f"toolu_{city}", name="weather", input={"city": city})
    for city in ("Oslo", "Rom")
]


def pieces(block) -> list:
    """The deltas that a block comes in."""
    if block.type == "text":
        return [types.TextDelta(type="text_delta", text=piece) for piece in (block.text[:3], block.text[3:])]
    if block.type == "tool_use":
        whole = json.dumps(block.input)
        return [types.InputJSONDelta(type="input_json_delta", partial_json=p) for p in ("", whole[:5], whole[5:])]
    if block.type == "thinking":
        thought = types.ThinkingDelta.model_construct(type="thinking_delta", thinking=block.thinking)
        return [thought, types.SignatureDelta(type="signature_delta", signature=block.signature)]
    return []


def events(answer: types.Message) -> list:
    empty = {"text": {"text": ""}, "tool_use": {"input": {}}, "thinking": {"thinking": "", "signature": ""}}
    begun = answer.model_copy(update={"content": [], "stop_reason": None})
    found = [types.RawMessageStartEvent.model_construct(type="message_start", message=begun)]
    for index, block in enumerate(answer.content):
        start = block.model_copy(update=empty.get(block.type, {}))
        found.append(types.RawContentBlockStartEvent(type="content_block_start", index=index, content_block=start))
        for piece in pieces(block):
            found.append(
                types.RawContentBlockDeltaEvent.model_construct(type="content_block_delta", index=index, delta=piece)
            )
        found.append(types.RawContentBlockStopEvent(type="content_block_stop", index=index))
    delta = {"stop_reason": answer.stop_reason, "stop_sequence": None}
    counted = types.MessageDeltaUsage(output_tokens=5)
    found.append(types.RawMessageDeltaEvent.model_construct(type="message_delta", delta=delta, usage=counted))
    return [*found, types.RawMessageStopEvent(type="message_stop")]


class Vendor(ThreadingHTTPServer):
    """Judges what it is sent and gives the answers it has been given, in their order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[types.Message] = []
        self.seen: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Vendor

    def log_message(self, *_: object) -> None:
        pass

    def say(self, status: int, kind: str, body: str) -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        models = [{"type": "model", "id": "claude-listed", "display_name": "L", "created_at": "2026-01-01T00:00:00Z"}]
        known = self.path.startswith("/v1/models?") and self.headers["x-api-key"] == KEY
        self.say(200 if known else 404, "application/json", json.dumps({"data": models, "has_more": False}))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            assert (self.path, self.headers["x-api-key"]) == ("/v1/messages", KEY)
            assert self.headers["anthropic-version"] == "2023-06-01"
            judge(body)
        except (AssertionError, ValueError) as error:
            told = {"type": "error", "error": {"type": "invalid_request_error", "message": str(error)[:1500]}}
            return self.say(400, "application/json", json.dumps(told))
        self.server.seen.append(body)
        self.server.headers.append(dict(self.headers.items()))
        answer = self.server.answers.pop(0)
        if not body.get("stream"):
            return self.say(200, "application/json", answer.model_dump_json(warnings=False))
        frames = (f"event: {event.type}\ndata: {event.model_dump_json(warnings=False)}\n\n" for event in events(answer))
        return self.say(200, "text/event-stream", "".join(frames))


@pytest.fixture(scope="module")
def vendor():
    with Vendor() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def house(vendor):
    env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": vendor.url}
    with Gateway(os.environ["CLIENTS_BINARY"], None, env) as gateway:
        yield gateway


@pytest.fixture
def ask(house, vendor):
    """Asks for a chat, and returns the reply and what the vendor was sent."""
    with OpenAI(base_url=house.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as sdk:

        def call(*answers: types.Message, **asked):
            vendor.answers[:], vendor.seen[:] = answers or [message(text("Hello"))], []
            asked = {"model": "claude-haiku-4-5", "messages": HELLO, **asked}
            reply = sdk.chat.completions.create(**asked)
            reply = list(reply) if asked.get("stream") else reply
            return reply, vendor.seen[-1]

        yield call


# ---- what is sent -------------------------------------------------------------------------------------------------------

PARTS = [
    {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    {"type": "image_url", "image_url": {"url": PIXEL}},
    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}},
    {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGk="}},
]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1}, "near": {"type": "array", "items": {"type": "string"}}},
    "required": ["city"],
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}
STRICT = {"type": "function", "function": {**WEATHER["function"], "strict": True}}
FORCED = {"type": "function", "function": {"name": "weather"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [FORCED]}}
SEARCH = {"user_location": {"type": "approximate", "approximate": {"city": "Oslo", "country": "NO"}}}

ASKED = {
    "system": {"messages": [{"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, *HELLO]},
    "parts": {"messages": [{"role": "user", "content": PARTS}]},
    "sampling": {"temperature": 0.5, "stop": ["END"], "top_p": 1, "user": "u1", "service_tier": "default"},
    "limit": {"max_completion_tokens": 7},
    "tools": {"tools": [WEATHER], "parallel_tool_calls": False},
    "a tool without parameters": {"tools": [{"type": "function", "function": {"name": "now"}}]},
    "a forced tool": {"tools": [WEATHER], "tool_choice": FORCED},
    "any tool": {"tools": [WEATHER], "tool_choice": "required"},
    "no tool": {"tools": [WEATHER], "tool_choice": "none"},
    "allowed tools": {"tools": [WEATHER], "tool_choice": ALLOWED},
    "a strict tool": {"tools": [STRICT]},
    "functions": {"functions": [WEATHER["function"]], "function_call": {"name": "weather"}},
    "json": {"response_format": {"type": "json_object"}},
    "a schema": {"response_format": FORMAT},
    "a schema without a word for it": {"response_format": FORMAT, "model": "claude-sonnet-4-20250514"},
    "a search": {"web_search_options": SEARCH},
    "what nobody knows": {"seed": 1, "logit_bias": {"1": 1}, "extra_body": {"never_heard_of": True}},
    "the end of a caching prompt": {"extra_body": {"cache_control": {"type": "ephemeral"}}},
}
MODELS = ["3-7-sonnet-latest", "opus-4-1", "sonnet-4-5", "opus-4-5", "sonnet-4-6", "opus-4-7", "sonnet-5", "opus-5"]
MODELS = [*MODELS, "fable-5-1", "opus-5-5", "sonnet-5-5", "haiku-5-5", "3-haiku-20240307", "opus-9"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", ASKED)
def test_every_request_is_one_that_the_sdk_knows(ask, name, stream):
    reply, sent = ask(stream=stream, **ASKED[name])
    assert sent["max_tokens"] > 0 and bool(sent.get("stream")) == stream and reply


@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh"])
@pytest.mark.parametrize("model", MODELS)
def test_every_effort_is_one_that_the_sdk_knows(ask, model, effort):
    _, sent = ask(model=f"claude-{model}", reasoning_effort=effort, max_completion_tokens=500, tools=[WEATHER])
    budget = sent.get("thinking", {}).get("budget_tokens", 0)
    assert budget == 0 or 1024 <= budget < sent["max_tokens"]


# ---- what comes back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-5-5"])
def test_a_loop_of_tools_goes_on_with_what_was_thought(ask, vendor, model, stream):
    asked = {"model": model, "reasoning_effort": "high", "tools": [WEATHER], "stream": stream}
    came = message(THOUGHT, HIDDEN, text("One moment."), *CALLS, stop_reason="tool_use")
    reply, _ = ask(came, **asked)
    said = whole(reply) if stream else reply.choices[0].message.model_dump(exclude_none=True)
    assert [call["function"]["name"] for call in said["tool_calls"]] == ["weather", "weather"]
    assert [json.loads(call["function"]["arguments"])["city"] for call in said["tool_calls"]] == ["Oslo", "Rom"]
    assert (said["content"], said["reasoning_content"]) == ("One moment.", THOUGHT.thinking)
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "21"} for call in said["tool_calls"]]
    _, sent = ask(**asked, messages=[*HELLO, said, *results])
    # every block as it came, in the same order
    assert sent["messages"][1]["content"] == [block.model_dump(exclude_none=True) for block in came.content]
    assert [block["tool_use_id"] for block in sent["messages"][2]["content"]] == ["toolu_Oslo", "toolu_Rom"]


def whole(chunks: list) -> dict:
    """An assistant's message from its chunks, put together as clients do."""
    said: dict = {"role": "assistant", "content": "", "reasoning_content": "", "reasoning_details": [], "tool_calls": []}
    for delta in (chunk.choices[0].delta for chunk in chunks if chunk.choices):
        said["content"] += delta.content or ""
        said["reasoning_content"] += (delta.model_extra or {}).get("reasoning_content") or ""
        said["reasoning_details"] += (delta.model_extra or {}).get("reasoning_details") or []
        for call in delta.tool_calls or []:
            if call.id:
                said["tool_calls"].append(call.model_dump(exclude={"index"}))
            else:
                said["tool_calls"][call.index]["function"]["arguments"] += call.function.arguments
    return said


def test_a_schema_is_kept_where_the_model_has_no_word_for_it(ask):
    block = types.ToolUseBlock(type="tool_use", id="toolu_1", name="json_output", input={"city": "Oslo"})
    for stream in (False, True):
        reply, sent = ask(
            message(block, stop_reason="tool_use"), model="claude-sonnet-4-20250514", response_format=FORMAT, stream=stream
        )
        assert sent["tool_choice"] == {"type": "tool", "name": "json_output"}
        said = whole(reply)["content"] if stream else reply.choices[0].message.content
        assert json.loads(said) == {"city": "Oslo"}
        reason = [c.choices[0].finish_reason for c in reply if c.choices][-1] if stream else reply.choices[0].finish_reason
        assert reason == "stop"


def test_usage_counts_what_was_cached(ask):
    reply, _ = ask()
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (16, 5, 21)
    assert reply.usage.prompt_tokens_details.cached_tokens == 4
    chunks, _ = ask(stream=True, stream_options={"include_usage": True})
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 21)


@pytest.mark.parametrize("reason", typing.get_args(types.StopReason))
def test_every_reason_to_stop_is_one_of_openai_s(ask, reason):
    reply, _ = ask(message(text("a"), *(CALLS if reason == "tool_use" else []), stop_reason=reason))
    assert reply.choices[0].finish_reason in ("stop", "length", "tool_calls", "content_filter")


def test_a_refused_request_says_why(ask):
    with pytest.raises(openai.BadRequestError, match="inference_geo"):
        ask(extra_body={"inference_geo": 5})


# ---- an emulator that we did not write ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def emulated():
    row = {"id": "anthropic", "key": KEY, "model": "claude-haiku-4-5"}
    with Script("emulator.mjs", ROWS=json.dumps([row])) as script:
        url = json.loads(script.url)["anthropic"]
        env = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": url}
        with Gateway(os.environ["CLIENTS_BINARY"], None, env) as gateway:
            with OpenAI(base_url=gateway.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as sdk:
                yield sdk, f"{url}/__aimock/journal"


def test_a_chat_arrives_at_the_emulator(emulated):
    sdk, journal = emulated
    raw = sdk.chat.completions.with_raw_response.create(model="claude-haiku-4-5", messages=HELLO)
    reply = raw.parse()
    assert reply.choices[0].message.content == "anthropic says hello"
    assert raw.headers["x-gateway-provider"] == "anthropic"
    sent = [entry for entry in json.loads(fetch(journal, KEY)[1]) if entry["method"] == "POST"][-1]
    assert sent["path"] == "/v1/messages" and MASTER_KEY not in json.dumps(sent)


def test_a_stream_comes_from_the_emulator(emulated):
    chunks = list(emulated[0].chat.completions.create(model="claude-haiku-4-5", messages=HELLO, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "anthropic says hello"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_tool_of_the_emulator_is_called_and_answered(emulated, stream):
    asked = {"model": "claude-haiku-4-5", "tools": [WEATHER]}
    first = emulated[0].chat.completions.create(**asked, messages=HELLO, stream=stream)
    said = whole(list(first)) if stream else first.choices[0].message.model_dump(exclude_none=True)
    (call,) = said["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("weather", {"city": "Oslo"})
    result = {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}
    last = emulated[0].chat.completions.create(**asked, messages=[*HELLO, said, result])
    assert last.choices[0].message.content == "anthropic says hello"
