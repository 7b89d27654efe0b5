"""The openai SDK for Python, unchanged: nothing is set but `base_url` and `api_key`."""

from __future__ import annotations

import json

import openai
import pytest
from pydantic import BaseModel

from harness import model

HELLO = [{"role": "user", "content": "How is the tide?"}]
SAID = "The tide is high."
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Person(BaseModel):
    name: str
    age: int


def body(upstream, name: str) -> dict:
    """The one request that arrived for this model."""
    (request,) = upstream.seen(name)
    return json.loads(request["body"])


# ---- chat ---------------------------------------------------------------------------------------------------------------


def test_a_chat_answers(client, upstream):
    name = model("text")
    reply = client.chat.completions.create(model=name, messages=HELLO, temperature=0.5, seed=7, user="u1")
    assert reply.choices[0].message.content == SAID
    assert reply.choices[0].finish_reason == "stop"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (9, 5, 14)
    assert reply.usage.prompt_tokens_details.cached_tokens == 3
    assert reply.model == name and reply.system_fingerprint == "fp_1"
    assert reply.model_extra["x_vendor"] == {"kept": True}
    assert body(upstream, name) == {"model": name, "messages": HELLO, "temperature": 0.5, "seed": 7, "user": "u1"}


def test_several_choices_and_a_cut_answer_keep_their_finish_reason(client):
    reply = client.chat.completions.create(model=model("length"), messages=HELLO, n=2)
    assert [(c.index, c.finish_reason) for c in reply.choices] == [(0, "length"), (1, "length")]


def test_a_megabyte_arrives_whole(client):
    reply = client.chat.completions.create(model=model("big"), messages=HELLO)
    assert reply.choices[0].message.content == "x" * (1 << 20)


def test_a_stream_arrives_piece_by_piece(client):
    with client.chat.completions.create(model=model("text"), messages=HELLO, stream=True) as stream:
        chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == SAID
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(c.usage is None for c in chunks), "nobody asked for usage"


def test_usage_in_a_stream_is_one_last_chunk_when_it_is_asked_for(client):
    chunks = list(
        client.chat.completions.create(
            model=model("text"), messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert [c.usage.total_tokens for c in chunks if c.usage] == [14]
    assert chunks[-1].choices == [] and chunks[-1].usage.prompt_tokens_details.cached_tokens == 3


@pytest.mark.parametrize("scenario", ["long", "shreds", "comments"])
def test_a_stream_survives_length_odd_cuts_and_comments(client, scenario):
    text = "".join(
        c.choices[0].delta.content or ""
        for c in client.chat.completions.create(model=model(scenario), messages=HELLO, stream=True)
    )
    expected = {"long": "".join(f"{i} " for i in range(500)), "shreds": 'café 🌊🦀 潮汐 a\\"b\n', "comments": SAID}
    assert text == expected[scenario]


def test_the_stream_helper_assembles_the_message(client):
    with client.chat.completions.stream(model=model("paralleltools"), messages=HELLO, tools=[WEATHER]) as stream:
        final = stream.get_final_completion()
    calls = final.choices[0].message.tool_calls
    assert [(c.id, c.function.arguments) for c in calls] == [
        ("call_oslo", '{"city":"Oslo"}'),
        ("call_lima", '{"city":"Lima"}'),
    ]


# ---- tools, parts, structured output --------------------------------------------------------------------------------------


def test_a_tool_is_called_and_its_result_answered(client, upstream):
    name = model("tools")
    first = client.chat.completions.create(model=name, messages=HELLO, tools=[WEATHER], tool_choice="required")
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls" and message.content is None
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Oslo"}
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": '{"degrees":21}'}
    last = client.chat.completions.create(model=name, messages=[*HELLO, message, result], tools=[WEATHER])
    assert last.choices[0].message.content == SAID
    sent = [json.loads(request["body"]) for request in upstream.seen(name)]
    assert sent[0]["tools"] == [WEATHER] and sent[0]["tool_choice"] == "required"
    assert sent[1]["messages"][-1] == result and sent[1]["messages"][1]["tool_calls"][0]["id"] == "call_oslo"


def test_parallel_tool_calls_arrive_apart_in_a_stream(client):
    calls: dict[int, list[str]] = {}
    finish = None
    for chunk in client.chat.completions.create(
        model=model("paralleltools"), messages=HELLO, tools=[WEATHER], parallel_tool_calls=True, stream=True
    ):
        finish = chunk.choices[0].finish_reason or finish
        for call in chunk.choices[0].delta.tool_calls or []:
            entry = calls.setdefault(call.index, [call.id, ""])
            entry[1] += call.function.arguments or ""
    assert calls == {0: ["call_oslo", '{"city":"Oslo"}'], 1: ["call_lima", '{"city":"Lima"}']}
    assert finish == "tool_calls"


def test_images_arrive_as_they_were_sent(client, upstream):
    name = model("text")
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.test/a.png"}},
    ]
    client.chat.completions.create(model=name, messages=[{"role": "user", "content": content}])
    assert body(upstream, name)["messages"][0]["content"] == content


def test_structured_output_is_parsed(client, upstream):
    name = model("json")
    reply = client.chat.completions.parse(model=name, messages=HELLO, response_format=Person)
    assert reply.choices[0].message.parsed == Person(name="Ada", age=36)
    schema = body(upstream, name)["response_format"]["json_schema"]
    assert schema["strict"] is True and schema["schema"]["required"] == ["name", "age"]


def test_structured_output_is_parsed_from_a_stream(client):
    with client.chat.completions.stream(model=model("json"), messages=HELLO, response_format=Person) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Person(name="Ada", age=36)


def test_a_refusal_and_a_cut_structure_reach_the_caller(client):
    reply = client.chat.completions.parse(model=model("refusal"), messages=HELLO, response_format=Person)
    assert reply.choices[0].message.parsed is None and reply.choices[0].message.refusal == "I will not."
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model=model("length"), messages=HELLO, response_format=Person)


@pytest.mark.parametrize("streamed", [False, True])
def test_logprobs_arrive(client, streamed):
    ask = {"model": model("text"), "messages": HELLO, "logprobs": True, "top_logprobs": 2}
    if streamed:
        chunks = client.chat.completions.create(**ask, stream=True)
        tokens = [t for c in chunks if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
    else:
        tokens = client.chat.completions.create(**ask).choices[0].logprobs.content
    assert [t.token for t in tokens] == ["The ", "tide ", "is ", "high", "."]
    assert [(t.token, t.logprob) for t in tokens[0].top_logprobs] == [("The ", -0.25), ("?", -1.5)]
    assert tokens[0].bytes == list(b"The ")


def test_unknown_fields_at_any_depth_arrive_unchanged(client, upstream):
    name = model("text")
    messages = [{"role": "user", "x_msg": [1, {"a": None}], "content": [{"type": "text", "text": "hi", "x_part": {"b": 1.50}}]}]
    tool = {**WEATHER, "x_tool": True, "function": {**WEATHER["function"], "x_fn": "é"}}
    client.chat.completions.create(model=name, messages=messages, tools=[tool], extra_body={"x_top": {"deep": [1, 2, {"c": "\u2028"}]}})
    sent = body(upstream, name)
    assert sent["messages"] == messages and sent["tools"] == [tool]
    assert sent["x_top"] == {"deep": [1, 2, {"c": "\u2028"}]}


# ---- the other operations ---------------------------------------------------------------------------------------------------


def test_embeddings_come_as_base64_by_default_and_as_floats_when_asked(client, upstream):
    name = model("text", "text-embedding-3-small")
    default = client.embeddings.create(model=name, input=["a", "b"], dimensions=4)
    floats = client.embeddings.create(model=name, input="a", dimensions=4, encoding_format="float")
    assert [e.embedding for e in default.data] == [[-0.375, -0.25, -0.125, 0.0]] * 2
    assert floats.data[0].embedding == [-0.375, -0.25, -0.125, 0.0] and floats.usage.total_tokens == 4
    sent = [json.loads(request["body"]) for request in upstream.seen(name)]
    assert [request["encoding_format"] for request in sent] == ["base64", "float"]


def test_legacy_completions_answer_and_stream(client):
    name = model("text", "gpt-3.5-turbo-instruct")
    reply = client.completions.create(model=name, prompt="The tide", max_tokens=5)
    assert (reply.object, reply.choices[0].text, reply.choices[0].finish_reason) == ("text_completion", SAID, "stop")
    assert reply.usage.total_tokens == 14
    chunks = list(client.completions.create(model=name, prompt="The tide", stream=True))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == SAID


def test_models_are_listed_and_retrieved(client):
    listed = {m.id: m for m in client.models.list()}
    assert {"gpt-4o", "gpt-4o-mini", "text-embedding-3-small"} <= listed.keys()
    one = client.models.retrieve("gpt-4o")
    assert (one.id, one.object, one.owned_by) == ("gpt-4o", "model", "openai")
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")
