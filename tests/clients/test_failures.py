"""What fails, is retried, is cut short or runs at once, as the unchanged openai SDK for Python sees it."""

from __future__ import annotations

import asyncio
import os
import time

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from conftest import API_KEY, BASE_URL
from harness import model
from test_openai import HELLO, SAID, Person

VIA_GATEWAY = os.environ["CLIENTS_VIA"] == "gateway"


# ---- errors -------------------------------------------------------------------------------------------------------------------

# status of the upstream → (exception class, status and code of the gateway); core.md 1.4
MAPPED = [
    (400, openai.BadRequestError, 400, "invalid_request"),
    (401, openai.InternalServerError, 502, "upstream_auth_error"),
    (403, openai.InternalServerError, 502, "upstream_auth_error"),
    (404, openai.NotFoundError, 404, "model_not_found"),
    (408, openai.InternalServerError, 504, "upstream_timeout"),
    (422, openai.UnprocessableEntityError, 422, "invalid_request"),
    (429, openai.RateLimitError, 429, "rate_limit_exceeded"),
    (500, openai.InternalServerError, 502, "upstream_error"),
    (503, openai.InternalServerError, 503, None),
]
NATIVE = {401: openai.AuthenticationError, 403: openai.PermissionDeniedError, 408: openai.APIStatusError}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("status", "kind", "mapped", "code"), MAPPED)
def test_an_upstream_error_is_the_sdk_s_exception(client, upstream, status, kind, mapped, code, streamed):
    name = model(f"status{status}")
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=name, messages=HELLO, stream=streamed)
    error = caught.value
    if not VIA_GATEWAY:
        kind, mapped, code = NATIVE.get(status, kind), status, f"code_{status}"
    assert isinstance(error, kind) and error.status_code == mapped
    assert error.code == code if code else error.code
    assert error.type and error.request_id
    assert len(upstream.seen(name)) == 1
    if status == 429:
        assert error.response.headers["retry-after"] == "7"
    if status == 503 and VIA_GATEWAY:
        assert int(error.response.headers["retry-after"]) >= 1, "an overloaded vendor: the SDK is told when to come back"
    if status in (400, 422):
        assert f"scripted {status}" in error.message, "the caller's mistake is told in the vendor's words"
    assert "sk-upstream" not in str(error)


def test_a_wrong_or_missing_key_is_an_authentication_error(client):
    with OpenAI(base_url=BASE_URL, api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as caught:
            stranger.chat.completions.create(model=model("text"), messages=HELLO)
    assert caught.value.code == ("invalid_api_key" if VIA_GATEWAY else "code_401")
    assert "wrong" not in caught.value.message


@pytest.mark.gateway
def test_a_model_nobody_owns_is_not_found_and_calls_nobody(client, upstream):
    name = model("text", "unheard-of")
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=name, messages=HELLO)
    assert caught.value.code == "model_not_found" and upstream.seen(name) == []


@pytest.mark.gateway
@pytest.mark.parametrize("bad", [{"messages": []}, {"temperature": 9}, {"messages": "hi"}, {"max_tokens": 0}])
def test_a_request_out_of_range_is_refused_before_the_upstream(client, upstream, bad):
    name = model("text")
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": name, "messages": HELLO, **bad})
    assert caught.value.code == "invalid_request" and upstream.seen(name) == []


@pytest.mark.gateway
@pytest.mark.parametrize("scenario", ["html", "redirect"])
def test_an_answer_that_is_none_is_a_bad_gateway(client, scenario):
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=model(scenario), messages=HELLO)
    assert caught.value.status_code == 502 and "sorry" not in caught.value.message


@pytest.mark.parametrize("scenario", ["errorevent", "cut", "truncate"])
def test_a_stream_that_breaks_raises_after_what_had_arrived(client, scenario):
    text = ""
    with pytest.raises((openai.APIError, openai.APIConnectionError)) as caught:
        for chunk in client.chat.completions.create(model=model(scenario), messages=HELLO, stream=True):
            text += chunk.choices[0].delta.content or ""
        if scenario == "truncate" and not VIA_GATEWAY:
            pytest.skip("the SDK alone takes half an answer for a whole one")
    assert text == "The tide "
    if VIA_GATEWAY:
        assert type(caught.value) is openai.APIError and caught.value.code, "an error event, not a torn connection"


# ---- retries, timeouts, cancel ---------------------------------------------------------------------------------------------------


def test_the_sdk_retries_a_429_no_sooner_than_retry_after_says(client, upstream):
    name = model("wait429")
    reply = client.with_options(max_retries=2).chat.completions.create(model=name, messages=HELLO)
    first, second = upstream.seen(name)
    assert reply.choices[0].message.content == SAID
    assert second["at"] - first["at"] >= 950, "milliseconds"


def test_the_sdk_gets_through_a_sequence_of_server_errors(client, upstream):
    name = model("sequence")
    reply = client.with_options(max_retries=2).chat.completions.create(model=name, messages=HELLO)
    assert reply.choices[0].message.content == SAID and len(upstream.seen(name)) == 3


def test_a_400_is_not_retried(client, upstream):
    name = model("status400")
    with pytest.raises(openai.BadRequestError):
        client.with_options(max_retries=2).chat.completions.create(model=name, messages=HELLO)
    assert len(upstream.seen(name)) == 1


def test_a_client_that_times_out_closes_the_upstream(client, upstream):
    name = model("silent")
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).chat.completions.create(model=name, messages=HELLO)
    assert [request["ended"] for request in upstream.ended(name)] == ["left"]


@pytest.mark.gateway
@pytest.mark.parametrize("streamed", [False, True])
def test_an_upstream_that_never_answers_is_a_gateway_timeout(client, upstream, streamed):
    name = model("silent")
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=name, messages=HELLO, stream=streamed)
    assert caught.value.status_code == 504
    assert [request["ended"] for request in upstream.ended(name)] == ["left"]


@pytest.mark.gateway
def test_a_stream_that_falls_silent_ends_in_an_error(client, upstream):
    name = model("stall")
    with pytest.raises(openai.APIError):
        list(client.chat.completions.create(model=name, messages=HELLO, stream=True))
    assert [request["ended"] for request in upstream.ended(name)] == ["left"]


def test_closing_a_stream_closes_the_upstream(client, upstream):
    name = model("forever")
    with client.chat.completions.create(model=name, messages=HELLO, stream=True) as stream:
        text = [next(stream).choices[0].delta.content for _ in range(3)]
    assert text == ["", "The ", "The "]
    (request,) = upstream.ended(name)
    assert request["ended"] == "left" and request["endedAt"] - request["at"] < 5000, "milliseconds"


# ---- headers ---------------------------------------------------------------------------------------------------------------------


def test_raw_responses_show_the_headers(client):
    raw = client.chat.completions.with_raw_response.create(model=model("text"), messages=HELLO)
    assert raw.parse().choices[0].message.content == SAID
    assert raw.headers["content-type"].startswith("application/json") and raw.request_id
    if VIA_GATEWAY:
        assert raw.headers["x-gateway-provider"] == "openai" and raw.headers["x-ferro-target"] == "openai"
        assert raw.headers["x-ferro-attempts"] == "1" and float(raw.headers["x-gateway-overhead-ms"]) > 0


def test_raw_streams_show_the_headers(client):
    with client.chat.completions.with_streaming_response.create(
        model=model("text"), messages=HELLO, stream=True
    ) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream") and raw.headers["x-request-id"]
        lines = [line for line in raw.iter_lines() if line.startswith("data: ")]
        if VIA_GATEWAY:
            assert raw.headers["x-gateway-provider"] == "openai"
    assert lines[-1] == "data: [DONE]"


def test_the_caller_s_key_and_headers_stay_with_the_gateway(client, upstream):
    name = model("text")
    raw = client.chat.completions.with_raw_response.create(
        model=name, messages=HELLO, extra_headers={"X-Request-ID": "mine-7", "X-Provider": "openai", "Cookie": "a=b"}
    )
    (request,) = upstream.seen(name)
    assert request["headers"]["authorization"] == "Bearer sk-upstream"
    if VIA_GATEWAY:
        assert raw.headers["x-request-id"] == "mine-7"
        assert not {"cookie", "x-provider", "x-stainless-lang"} & request["headers"].keys()
        assert request["headers"]["user-agent"].startswith("ferrogw/")


@pytest.mark.gateway
@pytest.mark.parametrize("path", ["/openai/v1", "/v1/v1", "/v1/"])
def test_base_urls_that_people_write_work(path):
    origin = BASE_URL.removesuffix("/v1")
    with OpenAI(base_url=origin + path, api_key=API_KEY, max_retries=0) as client:
        reply = client.chat.completions.create(model=model("text"), messages=HELLO)
    assert reply.choices[0].message.content == SAID


@pytest.mark.gateway
def test_an_alias_is_the_model_it_stands_for(client):
    reply = client.chat.completions.create(model="house-model", messages=HELLO)
    assert reply.choices[0].message.content == SAID


# ---- async ---------------------------------------------------------------------------------------------------------------------


async def test_fifty_async_chats_and_streams_at_once(aclient):
    async def chat() -> str:
        reply = await aclient.chat.completions.create(model=model("text"), messages=HELLO)
        return reply.choices[0].message.content

    async def stream() -> str:
        chunks = await aclient.chat.completions.create(model=model("text"), messages=HELLO, stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in chunks])

    assert await asyncio.gather(*[chat() for _ in range(25)], *[stream() for _ in range(25)]) == [SAID] * 50


async def test_async_embeddings_parse_and_errors(aclient):
    embedding = await aclient.embeddings.create(model=model("text", "text-embedding-3-small"), input="a")
    assert len(embedding.data[0].embedding) == 8
    parsed = await aclient.chat.completions.parse(model=model("json"), messages=HELLO, response_format=Person)
    assert parsed.choices[0].message.parsed.age == 36
    with pytest.raises(openai.RateLimitError):
        await aclient.chat.completions.create(model=model("status429"), messages=HELLO)


@pytest.mark.parametrize("scenario", ["silent", "forever"])
async def test_cancelling_a_task_closes_the_upstream(aclient, upstream, scenario):
    name = model(scenario)
    first = asyncio.Event()

    async def ask() -> None:
        async for _ in await aclient.chat.completions.create(model=name, messages=HELLO, stream=True):
            first.set()

    task = asyncio.create_task(ask())
    if scenario == "forever":
        await asyncio.wait_for(first.wait(), 10)
    else:
        deadline = time.monotonic() + 10
        while not await asyncio.to_thread(upstream.seen, name):
            assert time.monotonic() < deadline
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (request,) = await asyncio.to_thread(upstream.ended, name)
    assert request["ended"] == "left" and request["endedAt"] - request["at"] < 3500, "sooner than any timeout"


async def test_a_wrong_key_fails_async_too():
    async with AsyncOpenAI(base_url=BASE_URL, api_key="wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.chat.completions.create(model=model("text"), messages=HELLO)
