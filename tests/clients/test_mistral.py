"""Mistral behind the gateway, judged by Mistral's own SDK: the same chat is asked with it and with OpenAI's SDK through the
gateway, and both requests must be one; answers and streams are made of its models, and read by both."""

from __future__ import annotations

import json

import pytest
from mistralai.client import Mistral, models
from pydantic import BaseModel

from recorder import Recorder, differences
from test_openai import HELLO, PIXEL, WEATHER

pytestmark = pytest.mark.gateway

ROW, KEY = "mistral", "mistral-of-the-test"
PLAIN, THINKER = "mistral-large-2512", "magistral-medium-latest"
SCHEMA = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"], "additionalProperties": False}


# ---- the vendor ---------------------------------------------------------------------------------------------------------


def wire(model: BaseModel) -> dict:
    return json.loads(model.model_dump_json(by_alias=True))


USAGE = models.UsageInfo(prompt_tokens=10, completion_tokens=8, total_tokens=18)
CALLS = [
    models.ToolCall(
        id=f"weather{at}", index=at, function=models.FunctionCall(name="weather", arguments=json.dumps({"city": city}))
    )
    for at, city in enumerate(("Oslo", "Rom"))
]
THOUGHT = models.ThinkChunk(thinking=[models.TextChunk(text='A "port" é.')])
SAID = models.TextChunk(text="Take Brest é.")
MESSAGES = {
    "text": models.AssistantMessage(content="Take Brest é."),
    "thinks": models.AssistantMessage(content=[THOUGHT, SAID]),
    "tools": models.AssistantMessage(content="", tool_calls=CALLS),
    "long": models.AssistantMessage(content="Take"),
}
REASONS = {"tools": "tool_calls", "long": "length"}
DELTAS = {
    "text": [{"content": "Take "}, {"content": "Brest é."}],
    "thinks": [{"content": [wire(THOUGHT)]}, {"content": [wire(SAID)]}],
    "tools": [{"content": "", "tool_calls": [wire(call)]} for call in CALLS],
    "long": [{"content": "Take"}],
}


def whole(case: str) -> models.ChatCompletionResponse:
    choice = models.ChatCompletionChoice(index=0, finish_reason=REASONS.get(case, "stop"), message=MESSAGES[case])
    return models.ChatCompletionResponse(
        id="c-1", object="chat.completion", model="m", created=1, usage=USAGE, choices=[choice]
    )


def events(case: str) -> list[models.CompletionChunk]:
    deltas = [{"role": "assistant", "content": ""}, *DELTAS[case]]
    made = []
    for at, delta in enumerate(deltas):
        last = at == len(deltas) - 1
        choice = {"index": 0, "delta": delta, "finish_reason": REASONS.get(case, "stop") if last else None}
        more = {"usage": wire(USAGE)} if last else {}
        made.append({"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more})
    return [models.CompletionChunk.model_validate(chunk) for chunk in made]


def vendor(body: dict) -> object:
    if "messages" not in body:
        data = [{"object": "embedding", "index": at, "embedding": [0.6, 0.8]} for at, _ in enumerate(body["input"])]
        return {"id": "e-1", "object": "list", "model": body["model"], "data": data, "usage": wire(USAGE)}
    case = body["model"].removeprefix("mistral-")
    case = case if case in MESSAGES else "text"
    if not body.get("stream"):
        return wire(whole(case))
    frames = [f"data: {json.dumps(wire(event))}\n\n" for event in events(case)]
    return "".join([*frames, "data: [DONE]\n\n"]).encode()


@pytest.fixture
def theirs(recorded):
    with Mistral(api_key=KEY, server_url=recorded.url, timeout_ms=20_000) as client:
        yield client


# ---- requests -----------------------------------------------------------------------------------------------------------

TOOL = models.Tool(function=models.Function(**WEATHER["function"]))
STRICT = {"type": "function", "function": {"name": "tides", "parameters": SCHEMA, "strict": True}}
CALL = {"id": "callOslo1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
TALK = [
    {"role": "developer", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}],
    },
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "callOslo1", "content": '{"degrees":21}'},
    {"role": "user", "content": "And in Rome?"},
]
CALLED = models.ToolCall(id="callOslo1", function=models.FunctionCall(name="weather", arguments='{"city":"Oslo"}'))
THEIR_TALK = [
    models.SystemMessage(content="Be brief."),
    models.UserMessage(
        content=[models.TextChunk(text="What is this?"), models.ImageURLChunk(image_url=models.ImageURL(url=PIXEL))]
    ),
    models.AssistantMessage(content="", tool_calls=[CALLED]),
    models.ToolMessage(tool_call_id="callOslo1", name="weather", content='{"degrees":21}'),
    models.UserMessage(content="And in Rome?"),
]
FORMAT = {"type": "json_schema", "json_schema": {"name": "t", "schema": SCHEMA, "strict": True}}
# What OpenAI's SDK is told, what Mistral's is told for the same.
ASKED = {
    "nothing more": ({}, {}),
    "sampling": (
        {
            "temperature": 0.3, "top_p": 0.9, "max_completion_tokens": 50, "stop": ["END"], "seed": 7, "n": 2,
            "presence_penalty": 0.1, "frequency_penalty": 0.2,
        },
        {
            "temperature": 0.3, "top_p": 0.9, "max_tokens": 50, "stop": ["END"], "random_seed": 7, "n": 2,
            "presence_penalty": 0.1, "frequency_penalty": 0.2,
        },
    ),
    "tools": (
        {"tools": [WEATHER], "tool_choice": "auto", "parallel_tool_calls": False},
        {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
    ),
    "a tool at least": ({"tools": [WEATHER], "tool_choice": "required"}, {"tools": [TOOL], "tool_choice": "any"}),
    "one tool": (
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        {"tools": [TOOL], "tool_choice": models.ToolChoice(function=models.FunctionName(name="weather"))},
    ),
    "strict tools": (
        {"tools": [STRICT]},
        {"tools": [models.Tool(function=models.Function(name="tides", parameters=SCHEMA, strict=True))]},
    ),
    "json": (
        {"response_format": {"type": "json_object"}}, {"response_format": models.ResponseFormat(type="json_object")},
    ),
    "schema": ({"response_format": FORMAT}, {"response_format": models.ResponseFormat.model_validate(FORMAT)}),
    "a prediction": (
        {"prediction": {"type": "content", "content": "Take"}}, {"prediction": models.Prediction(content="Take")},
    ),
    "their own": (
        {"metadata": {"a": "b"}, "extra_body": {"safe_prompt": True, "prompt_cache_key": "k"}},
        {"metadata": {"a": "b"}, "safe_prompt": True, "prompt_cache_key": "k"},
    ),
    "newer ones": (
        {
            "logprobs": True, "top_logprobs": 2,
            "extra_body": {"top_k": 40, "min_tokens": 2, "repetition_penalty": 1.1, "service_tier": "auto"},
        },
        {
            "logprobs": True, "top_logprobs": 2, "top_k": 40, "min_tokens": 2, "repetition_penalty": 1.1,
            "service_tier": "auto",
        },
    ),
    "thinking": (
        {"model": THINKER, "reasoning_effort": "high"}, {"model": THINKER, "prompt_mode": "reasoning"},
    ),
    "thinking on demand": (
        {"model": "mistral-small-latest", "reasoning_effort": "high"},
        {"model": "mistral-small-latest", "reasoning_effort": "high"},
    ),
    "a talk": ({"messages": TALK, "tools": [WEATHER]}, {"messages": THEIR_TALK, "tools": [TOOL]}),
}




# What the SDK writes out, though it is what the vendor takes it for anyway.
DEFAULTS = {"prefix": False, "index": 0}


def same(recorded: Recorder) -> None:
    """The two requests that came are one."""
    first, second = recorded.sent
    found = differences(first, second)
    assert {name: pair for name, pair in found.items() if pair != (DEFAULTS.get(name.split(".")[-1]), None)} == {}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("case", ASKED)
def test_the_sdk_sends_the_same(case, streamed, theirs, sdk, recorded):
    ours, own = ASKED[case]
    asks = theirs.chat.stream if streamed else theirs.chat.complete
    told = asks(**{"model": PLAIN, "messages": [models.UserMessage(content=HELLO[0]["content"])], **own})
    if streamed:
        list(told)
    reply = sdk.chat.completions.create(**{"model": PLAIN, "messages": HELLO, "stream": streamed, **ours})
    if streamed:
        list(reply)
    same(recorded)


def test_the_sdk_embeds_the_same(theirs, sdk, recorded):
    theirs.embeddings.create(model="codestral-embed", inputs=["a", "b"], output_dimension=256)
    sdk.embeddings.create(model="codestral-embed", input=["a", "b"], dimensions=256, encoding_format="float")
    same(recorded)


# ---- answers ------------------------------------------------------------------------------------------------------------


def read(content: object) -> tuple[str, str]:
    """What is said and what is thought, as the SDK has them."""
    if not isinstance(content, list):
        return content or "", ""
    said = "".join(chunk.text for chunk in content if chunk.type == "text")
    return said, "".join(part.text for chunk in content if chunk.type == "thinking" for part in chunk.thinking)


@pytest.mark.parametrize("case", MESSAGES)
def test_an_answer_says_what_the_sdk_reads_in_it(case, theirs, sdk):
    message = theirs.chat.complete(model=f"mistral-{case}", messages=[models.UserMessage(content="hi")]).choices[0].message
    reply = sdk.chat.completions.create(model=f"mistral-{case}", messages=HELLO)
    choice = reply.choices[0]
    assert choice.finish_reason == REASONS.get(case, "stop")
    thought = getattr(choice.message, "reasoning_content", None) or ""
    assert (choice.message.content or "", thought) == read(message.content)
    assert [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or []] == [
        (call.id, call.function.name, call.function.arguments) for call in message.tool_calls or []
    ]
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (10, 8, 18)


@pytest.mark.parametrize("case", DELTAS)
def test_a_stream_says_what_the_sdk_reads_in_it(case, theirs, sdk):
    stream = theirs.chat.stream(model=f"mistral-{case}", messages=[models.UserMessage(content="hi")])
    told = [event.data.choices[0] for event in stream]
    usage = {"include_usage": True}
    chunks = list(sdk.chat.completions.create(model=f"mistral-{case}", messages=HELLO, stream=True, stream_options=usage))
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert choices[-1].finish_reason == REASONS.get(case, "stop")
    said = "".join(choice.delta.content or "" for choice in choices)
    thought = "".join(getattr(choice.delta, "reasoning_content", None) or "" for choice in choices)
    pairs = [read(choice.delta.content) for choice in told]
    assert (said, thought) == ("".join(pair[0] for pair in pairs), "".join(pair[1] for pair in pairs))
    calls = [call for choice in choices for call in choice.delta.tool_calls or []]
    assert [(call.index, call.id, call.function.arguments) for call in calls] == [
        (call.index, call.id, call.function.arguments) for choice in told for call in choice.delta.tool_calls or []
    ]
    assert chunks[-1].usage.total_tokens == 18
