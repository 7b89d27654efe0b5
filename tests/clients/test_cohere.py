"""Cohere behind the gateway, judged by Cohere's own SDK: the same chat is asked with its ClientV2 and with OpenAI's SDK through
the gateway, and both requests must be one; answers and streams are made of its models, and read by both."""

from __future__ import annotations

import json

import cohere
import pytest
from cohere import types
from cohere.v2 import types as v2
from pydantic import BaseModel, TypeAdapter

from recorder import Recorder, differences
from test_openai import HELLO, PIXEL, WEATHER

pytestmark = [
    pytest.mark.gateway,
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute"),  # in the SDK itself
]

ROW, KEY = "cohere", "co-of-the-test"
PLAIN, THINKER, SEER = "command-a-03-2025", "command-a-reasoning-08-2025", "command-a-vision-07-2025"
SCHEMA = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]}


# ---- the vendor ---------------------------------------------------------------------------------------------------------


def wire(model: BaseModel) -> dict:
    return json.loads(model.model_dump_json(by_alias=True, exclude_none=True))


USAGE = types.Usage(
    billed_units=types.UsageBilledUnits(input_tokens=7, output_tokens=5),
    tokens=types.UsageTokens(input_tokens=10, output_tokens=8),
    cached_tokens=4,
)
CALLS = [
    types.ToolCallV2(
        id=f"weather_{city}", function=types.ToolCallV2Function(name="weather", arguments=json.dumps({"city": city}))
    )
    for city in ("Oslo", "Rom")
]
CONTENT = [
    types.ThinkingAssistantMessageResponseContentItem(thinking='A "port" é.'),
    types.TextAssistantMessageResponseContentItem(text="Take Brest é."),
]
REASONS = {"text": "COMPLETE", "tools": "TOOL_CALL", "long": "MAX_TOKENS", "stopped": "STOP_SEQUENCE"}


def whole(case: str) -> v2.V2ChatResponse:
    message = types.AssistantMessageResponse(content=CONTENT)
    if case == "tools":
        message = types.AssistantMessageResponse(tool_plan="I look.", tool_calls=CALLS)
    return v2.V2ChatResponse(id="c-1", finish_reason=REASONS[case], message=message, usage=USAGE)


def events(case: str) -> list[BaseModel]:
    """The same answer in pieces."""
    made: list[dict] = [{"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}}]
    answer = wire(whole(case))["message"]
    if plan := answer.get("tool_plan"):
        made += [{"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}} for piece in (plan[:3], plan[3:])]
    for at, block in enumerate(answer.get("content", [])):
        kind = block["type"]
        start = {"content": {"type": kind, kind: ""}}
        made.append({"type": "content-start", "index": at, "delta": {"message": start}})
        for piece in (block[kind][:5], block[kind][5:]):
            made.append({"type": "content-delta", "index": at, "delta": {"message": {"content": {kind: piece}}}})
        made.append({"type": "content-end", "index": at})
    for at, call in enumerate(answer.get("tool_calls", [])):
        written = call["function"]["arguments"]
        start = {**call, "function": {"name": call["function"]["name"], "arguments": ""}}
        made.append({"type": "tool-call-start", "index": at, "delta": {"message": {"tool_calls": start}}})
        for piece in (written[:4], written[4:]):
            delta = {"tool_calls": {"function": {"arguments": piece}}}
            made.append({"type": "tool-call-delta", "index": at, "delta": {"message": delta}})
        made.append({"type": "tool-call-end", "index": at})
    end = {"finish_reason": REASONS[case], "usage": wire(USAGE)}
    made.append({"type": "message-end", "delta": end})
    return [TypeAdapter(v2.V2ChatStreamResponse).validate_python(event) for event in made]


def vendor(body: dict) -> object:
    if "texts" in body:
        floats = [[0.6, 0.8] for _ in body["texts"]]
        return {"id": "e-1", "response_type": "embeddings_by_type", "embeddings": {"float": floats}, "texts": body["texts"]}
    if "documents" in body and "query" in body:
        return {"id": "r-1", "results": [{"index": 1, "relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 1}}}
    case = body["model"].removeprefix("command-")
    case = case if case in REASONS else "text"
    if not body.get("stream"):
        return wire(whole(case))
    frames = [f"event: {event.type}\ndata: {json.dumps(wire(event))}\n\n" for event in events(case)]
    return "".join(frames).encode()


@pytest.fixture
def theirs(recorded):
    return cohere.ClientV2(KEY, base_url=recorded.url, max_retries=0, timeout=20)


# ---- requests -----------------------------------------------------------------------------------------------------------

STRICT = {"type": "function", "function": {**WEATHER["function"], "strict": True}}
USER = types.UserChatMessageV2(content=HELLO[0]["content"])
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
TALK = [
    {"role": "developer", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        ],
    },
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": '{"degrees":21}'},
    {"role": "user", "content": "And in Rome?"},
]
THEIR_TALK = [
    types.SystemChatMessageV2(content="Be brief."),
    types.UserChatMessageV2(
        content=[
            types.TextContent(text="What is this?"),
            types.ImageUrlContent(image_url=types.ImageUrl(url=PIXEL, detail="low")),
        ]
    ),
    types.AssistantChatMessageV2(
        tool_calls=[
            types.ToolCallV2(id="call_1", function=types.ToolCallV2Function(name="weather", arguments='{"city":"Oslo"}'))
        ]
    ),
    types.ToolChatMessageV2(tool_call_id="call_1", content='{"degrees":21}'),
    types.UserChatMessageV2(content="And in Rome?"),
]
# What OpenAI's SDK is told, what Cohere's is told for the same.
ASKED = {
    "nothing more": ({}, {}),
    "sampling": (
        {
            "temperature": 0.3, "top_p": 0.9, "max_tokens": 50, "stop": ["END"], "seed": 7, "logprobs": True,
            "presence_penalty": 0.1, "frequency_penalty": 0.2, "extra_body": {"top_k": 40},
        },
        {
            "temperature": 0.3, "p": 0.9, "max_tokens": 50, "stop_sequences": ["END"], "seed": 7, "logprobs": True,
            "presence_penalty": 0.1, "frequency_penalty": 0.2, "k": 40,
        },
    ),
    "tools": ({"tools": [WEATHER], "tool_choice": "auto"}, {"tools": [types.ToolV2(**WEATHER)]}),
    "a tool at least": (
        {"tools": [WEATHER], "tool_choice": "required"}, {"tools": [types.ToolV2(**WEATHER)], "tool_choice": "REQUIRED"},
    ),
    "no tool": ({"tools": [WEATHER], "tool_choice": "none"}, {"tools": [types.ToolV2(**WEATHER)], "tool_choice": "NONE"}),
    "strict tools": ({"tools": [STRICT]}, {"tools": [types.ToolV2(**WEATHER)], "strict_tools": True}),
    "json": (
        {"response_format": {"type": "json_object"}}, {"response_format": types.JsonObjectResponseFormatV2()},
    ),
    "schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "t", "schema": SCHEMA, "strict": True}}},
        {"response_format": types.JsonObjectResponseFormatV2(json_schema=SCHEMA)},
    ),
    "their own": (
        {"extra_body": {"safety_mode": "OFF", "citation_options": {"mode": "FAST"}, "documents": ["tides"], "priority": 1}},
        {"safety_mode": "OFF", "citation_options": types.CitationOptions(mode="FAST"), "documents": ["tides"], "priority": 1},
    ),
    "no thinking": (
        {"model": THINKER, "reasoning_effort": "none"}, {"model": THINKER, "thinking": types.Thinking(type="disabled")},
    ),
    "a budget": (
        {"model": THINKER, "extra_body": {"thinking": {"type": "enabled", "budget_tokens": 500}}},
        {"model": THINKER, "thinking": types.Thinking(type="enabled", token_budget=500)},
    ),
    "a talk": (
        {"model": SEER, "messages": TALK, "tools": [WEATHER]},
        {"model": SEER, "messages": THEIR_TALK, "tools": [types.ToolV2(**WEATHER)]},
    ),
}


def same(recorded: Recorder) -> None:
    """The two requests that came are one, but for the name that the gateway gives itself."""
    first, second = recorded.sent
    assert differences(first, second) == {"header x-client-name": (None, "ferrogw")}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("case", ASKED)
def test_the_sdk_sends_the_same(case, streamed, theirs, sdk, recorded):
    ours, own = ASKED[case]
    asks = theirs.chat_stream if streamed else theirs.chat
    told = asks(**{"model": PLAIN, "messages": [USER], **own})
    if streamed:
        list(told)
    reply = sdk.chat.completions.create(**{"model": PLAIN, "messages": HELLO, "stream": streamed, **ours})
    if streamed:
        list(reply)
    same(recorded)


def test_the_sdk_embeds_the_same(theirs, sdk, recorded):
    theirs.embed(
        model="embed-v4.0", texts=["a", "b"], input_type="search_document", embedding_types=["float"], output_dimension=256
    )
    reply = sdk.embeddings.create(
        model="embed-v4.0", input=["a", "b"], dimensions=256, encoding_format="float",
        extra_body={"input_type": "search_document"},
    )
    same(recorded)
    assert [one.embedding for one in reply.data] == [pytest.approx([0.6, 0.8])] * 2


def test_the_sdk_ranks_the_same(theirs, sdk, recorded):
    ask = {"model": "rerank-v3.5", "query": "tide", "documents": ["a", "b"], "top_n": 1, "max_tokens_per_doc": 512}
    told = theirs.rerank(**ask)
    reply = sdk.post("/rerank", body=ask, cast_to=object)
    same(recorded)
    assert [(one.index, one.relevance_score) for one in told.results] == [(1, 0.9)]
    assert reply["results"] == [{"index": 1, "relevance_score": 0.9}]


def test_the_judge_tells_requests_apart():
    """By members, values, paths and headers; null says no more than nothing."""
    one = {"method": "POST", "url": "/v2/chat", "headers": {"authorization": "a"}, "body": {"k": 1, "messages": [{"a": 1}]}}
    assert differences(one, {**one, "headers": {"authorization": "a", "host": "b"}, "body": {**one["body"], "p": None}}) == {}
    for other, name in [
        ({"url": "/v1/chat"}, "path"),
        ({"headers": {}}, "header authorization"),
        ({"body": {"k": 2, "messages": [{"a": 1}]}}, "body.k"),
        ({"body": {"k": 1, "messages": [{"a": "1"}]}}, "body.messages[0].a"),
    ]:
        assert list(differences(one, {**one, **other})) == [name]


# ---- answers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REASONS)
def test_an_answer_says_what_the_sdk_reads_in_it(case, theirs, sdk):
    read = theirs.chat(model=f"command-{case}", messages=[USER])
    reply = sdk.chat.completions.create(model=f"command-{case}", messages=HELLO)
    choice, usage = reply.choices[0], reply.usage
    assert choice.finish_reason == {"tools": "tool_calls", "long": "length"}.get(case, "stop")
    assert (choice.message.content or "") == "".join(block.text for block in read.message.content or [] if block.type == "text")
    thoughts = [block.thinking for block in read.message.content or [] if block.type == "thinking"]
    assert getattr(choice.message, "reasoning_content", None) == (read.message.tool_plan or "".join(thoughts))
    made = [(call.id, call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or []]
    assert made == [
        (call.id, call.function.name, json.loads(call.function.arguments)) for call in read.message.tool_calls or []
    ]
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 8, 18)
    assert usage.prompt_tokens_details.cached_tokens == read.usage.cached_tokens


@pytest.mark.parametrize("case", REASONS)
def test_a_stream_says_what_the_sdk_reads_in_it(case, theirs, sdk):
    read = list(theirs.chat_stream(model=f"command-{case}", messages=[USER]))
    assert [event.type for event in read] == [event.type for event in events(case)]
    chunks = list(
        sdk.chat.completions.create(
            model=f"command-{case}", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert choices[-1].finish_reason == {"tools": "tool_calls", "long": "length"}.get(case, "stop")
    said = "".join(choice.delta.content or "" for choice in choices)
    deltas = [event.delta.message.content for event in read if event.type == "content-delta"]
    assert said == "".join(delta.text or "" for delta in deltas)
    plans = [event.delta.message.tool_plan for event in read if event.type == "tool-plan-delta"]
    thoughts = [getattr(choice.delta, "reasoning_content", None) or "" for choice in choices]
    assert "".join(thoughts) == "".join([*plans, *(delta.thinking or "" for delta in deltas)])
    written = "".join(call.function.arguments or "" for choice in choices for call in choice.delta.tool_calls or [])
    pieces = [event.delta.message.tool_calls.function.arguments for event in read if event.type == "tool-call-delta"]
    assert written == "".join(pieces)
    assert chunks[-1].usage.total_tokens == 18 and chunks[-1].usage.prompt_tokens_details.cached_tokens == 4
