"""The gateway as a client of vendors that break: PyPI `llmock` speaks as seven of them, fails as they do, and grades how
its client (the gateway) behaved. A strict verdict forgives nothing: no early retry, no retry of what cannot succeed, no
storm, no giving up, no sitting through a stall, no half answer taken for a whole one."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from openai import OpenAI
from pydantic import BaseModel

from harness import MASTER_KEY
from test_openai import WEATHER

pytestmark = pytest.mark.gateway

VENDORS = {
    "openai": "gpt-4o",
    "mistral": "mistral-small-latest",
    "groq": "llama-3.3-70b-versatile",
    "together": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
    "perplexity": "sonar",
    "ai21": "jamba-large",
    "xai": "grok-3",
}
UNLISTED = ("perplexity", "ai21")  # vendors without a list of models
ATTEMPTS = 3


turns = itertools.count()


def hello() -> list[dict]:
    """A prompt nobody sent before: the verdict takes an equal body after a failure for a retry of it."""
    return [{"role": "user", "content": f"How is tide {next(turns)}?"}]


class Invoice(BaseModel):
    number: str
    total: float


def target(llmock, vendor: str, **more: object) -> dict:
    return {
        "virtual_key": vendor,
        "base_url": llmock.base_url(vendor),
        "api_key": "${VENDOR_KEY}",
        "models": [VENDORS[vendor]],
        "timeouts": {"connect": "2s", "first_byte": "5s", "idle": "500ms"},
        "retry": {"attempts": ATTEMPTS, "initial_backoff_ms": 100},
        **more,
    }


@pytest.fixture
def through(gateway, llmock):
    """An SDK that does not retry itself, behind a gateway with these targets: the retries are the gateway's."""
    clients: list[OpenAI] = []

    def start(targets: list[dict], mode: str = "single", **more: object) -> OpenAI:
        config = {"strategy": {"mode": mode}, "targets": targets, **more}
        one = gateway(config, {"VENDOR_KEY": "vendor-secret"})
        # The gateway reads its vendors' lists of models in the background: let no scripted fault hit that.
        lists = sum(entry["virtual_key"] not in UNLISTED for entry in targets)
        deadline = time.monotonic() + 10
        while sum(request.method == "GET" for request in llmock.requests) < lists:
            assert time.monotonic() < deadline, "the lists of models were not read"
            time.sleep(0.02)
        llmock.reset()
        clients.append(OpenAI(base_url=one.base_url, api_key=MASTER_KEY, max_retries=0, timeout=30))
        return clients[-1]

    yield start
    for client in clients:
        client.close()


@pytest.fixture(params=VENDORS)
def vendor(request) -> str:
    return request.param


def test_each_vendor_s_chat_stream_and_trouble(vendor, through, llmock):
    model = VENDORS[vendor]
    client = through([target(llmock, vendor)])

    def ask() -> dict:
        return {"model": model, "messages": hello()}

    whole = client.chat.completions.create(**ask())
    assert whole.choices[0].message.content and whole.usage.total_tokens > 0
    streamed = list(client.chat.completions.create(**ask(), stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in streamed if c.choices)
    assert [c.choices[0].finish_reason for c in streamed if c.choices][-1] == "stop"

    llmock.rate_limit(times=2, retry_after=1)
    assert client.chat.completions.create(**ask()).choices[0].message.content
    for status in (500, 502, 503, 529):
        llmock.fail(status)
        assert client.chat.completions.create(**ask()).choices[0].message.content
    llmock.fail(503)
    assert list(client.chat.completions.create(**ask(), stream=True))
    assert len(llmock.requests) == 2 + 3 + 4 * 2 + 2
    llmock.assert_resilient(strict=True)


REFUSED = [
    (400, openai.BadRequestError, 400),
    (401, openai.InternalServerError, 502),
    (403, openai.InternalServerError, 502),
    (404, openai.NotFoundError, 404),
    (422, openai.UnprocessableEntityError, 422),
]


def test_what_no_retry_can_cure_is_not_retried(vendor, through, llmock):
    client = through([target(llmock, vendor)])
    for status, kind, mapped in REFUSED:
        llmock.fail(status, message="told by the vendor")
        with pytest.raises(kind) as caught:
            client.chat.completions.create(model=VENDORS[vendor], messages=hello())
        assert caught.value.status_code == mapped and "vendor-secret" not in str(caught.value)
        if status in (400, 422):
            assert "told by the vendor" in caught.value.message
    assert len(llmock.requests) == len(REFUSED)
    llmock.assert_resilient(strict=True)


def test_an_outage_ends_after_the_attempts_allowed(through, llmock):
    client = through([target(llmock, "openai")])
    llmock.outage()
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=hello())
    assert caught.value.status_code == 503 and len(llmock.requests) == ATTEMPTS
    llmock.assert_resilient()


def test_a_rate_limit_that_stays_is_told_with_retry_after(through, llmock):
    client = through([target(llmock, "openai", retry={"attempts": 1})])
    llmock.rate_limit(times=1, retry_after=40)
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=hello())
    assert caught.value.response.headers["retry-after"] == "40"


@pytest.mark.parametrize("streamed", [False, True])
def test_an_outage_moves_to_the_next_target(through, llmock, streamed):
    model = "gpt-4o"
    targets = [target(llmock, vendor, models=[model], retry={"attempts": 1}) for vendor in ("openai", "groq")]
    client = through(targets, "fallback")
    llmock.outage(provider="openai")
    raw = client.chat.completions.with_raw_response.create(model=model, messages=hello(), stream=streamed)
    answer = list(raw.parse()) if streamed else raw.parse()
    assert answer and raw.headers["x-gateway-provider"] == "groq" and raw.headers["x-ferro-attempts"] == "2"
    assert [request.provider for request in llmock.requests] == ["openai", "groq"]


def test_a_caller_s_mistake_does_not_move_to_the_next_target(through, llmock):
    targets = [target(llmock, vendor, models=["gpt-4o"]) for vendor in ("openai", "groq")]
    client = through(targets, "fallback")
    llmock.context_overflow(times=None)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="gpt-4o", messages=hello())
    assert [request.provider for request in llmock.requests] == ["openai"]
    llmock.assert_resilient(strict=True)


@pytest.mark.parametrize("fault", ["disconnect", "truncate", "corrupt", "stall"])
def test_a_stream_that_fails_before_its_first_word_is_tried_again(through, llmock, fault):
    client = through([target(llmock, "openai")])
    llmock.pace(20)  # chunks that arrive together fail together, before anything was passed on
    getattr(llmock, fault)(after_chunks=0)
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=hello(), stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[-1].choices[0].finish_reason == "stop" and len(llmock.requests) == 2
    llmock.assert_resilient(strict=True)


@pytest.mark.parametrize("fault", ["disconnect", "truncate", "corrupt", "stall"])
def test_a_stream_that_fails_midway_ends_in_one_error(through, llmock, fault):
    client = through([target(llmock, "openai")])
    llmock.pace(20)  # chunks that arrive together fail together, before anything was passed on
    getattr(llmock, fault)(after_chunks=3)
    text = ""
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model="gpt-4o", messages=hello(), stream=True):
            text += chunk.choices[0].delta.content or ""
    assert text, "what had arrived was passed on"
    assert type(caught.value) is openai.APIError and caught.value.code
    assert len(llmock.requests) == 1, "said words are never said twice"
    assert "no_read_timeout" not in [finding.code for finding in llmock.verdict().findings]


def test_a_quota_is_kept_by_waiting_as_long_as_the_vendor_says(through, llmock):
    client = through([target(llmock, "openai")])
    llmock.limits(rpm=20)
    for _ in range(21):
        assert client.chat.completions.create(model="gpt-4o", messages=hello()).choices[0].message.content
    assert [request.status for request in llmock.requests].count(429) >= 1
    llmock.assert_resilient(strict=True)


# Each way to choose a target, and what it needs: with one target, how that is treated is the strategy's own doing.
STRATEGIES = {
    "fallback": {},
    "loadbalance": {},
    "least-latency": {"hedge": {"max_percent": 100}},
    "cost-optimized": {},
    "conditional": {"conditions": [{"key": "model_prefix", "value": "gpt", "target_key": "openai"}]},
    "content-based": {"content_conditions": [{"type": "prompt_regex", "value": "tide \\d+", "target_key": "openai"}]},
    "ab-test": {"ab_variants": [{"target_key": "openai", "label": "only"}]},
}
GUARDED = {"circuit_breaker": {"failure_threshold": 20}, "concurrency": {"max_concurrency": 8}}


@pytest.mark.parametrize("mode", STRATEGIES)
def test_each_strategy_treats_a_vendor_in_trouble_well(mode, through, llmock):
    client = through([target(llmock, "openai", **GUARDED)], mode, strategy={"mode": mode, **STRATEGIES[mode]})

    def ask(**more: object) -> object:
        return client.chat.completions.create(model="gpt-4o", messages=hello(), **more)

    llmock.rate_limit(times=1, retry_after=1)
    assert ask().choices[0].message.content
    llmock.fail(400)
    with pytest.raises(openai.BadRequestError):
        ask()
    llmock.fail(503)
    assert list(ask(stream=True))[-1].choices[0].finish_reason == "stop"
    llmock.pace(20)
    llmock.truncate(after_chunks=0)
    assert list(ask(stream=True))[-1].choices[0].finish_reason == "stop"
    assert len(llmock.requests) == 2 + 1 + 2 + 2
    llmock.assert_resilient(strict=True)


def test_a_crowd_gets_its_answers_and_nobody_storms(through, llmock):
    patient = {"timeouts": {"first_byte": "10s", "idle": "10s"}, "retry": {"attempts": 6, "initial_backoff_ms": 50}}
    client = through([target(llmock, "openai", **patient, **GUARDED)])
    for status in (429, 500, 503, 529, 502):
        llmock.fail(status, times=2, retry_after=1 if status == 429 else None)

    def ask(turn: int) -> bool:
        streamed = turn % 2 == 1
        answer = client.chat.completions.create(model="gpt-4o", messages=hello(), stream=streamed)
        return list(answer)[-1].choices[0].finish_reason == "stop" if streamed else bool(answer.choices)

    with ThreadPoolExecutor(16) as crowd:
        assert all(crowd.map(ask, range(60)))
    assert len(llmock.requests) == 60 + 10
    # not strict: pauses have full jitter, and of so many some are equal by chance, which is taken for a constant pause
    llmock.assert_resilient()


@pytest.mark.parametrize("mode", ["fallback", "least-latency", "cost-optimized"])
def test_a_vendor_that_asks_for_a_pause_is_left_alone_while_another_answers(mode, through, llmock):
    targets = [target(llmock, vendor, models=["gpt-4o"], **GUARDED) for vendor in ("openai", "groq")]
    client = through(targets, mode)
    llmock.rate_limit(times=None, retry_after=2, provider="openai")
    deadline = time.monotonic() + 10
    refused: list[float] = []
    while len(refused) < 2:
        assert time.monotonic() < deadline, "it is not asked again"
        assert client.chat.completions.create(model="gpt-4o", messages=hello()).choices[0].message.content
        refused = [request.started_at for request in llmock.requests if request.provider == "openai"]
        if mode != "fallback" and refused:
            return  # the others need not come back soon
    assert refused[1] - refused[0] >= 1.95


def test_tools_and_structured_output_work_against_a_stranger(through, llmock):
    client = through([target(llmock, "openai")])
    reply = client.chat.completions.create(model="gpt-4o", messages=hello(), tools=[WEATHER])
    assert reply.choices[0].message.tool_calls[0].function.name == "weather"
    parsed = client.chat.completions.parse(model="gpt-4o", messages=hello(), response_format=Invoice)
    assert isinstance(parsed.choices[0].message.parsed, Invoice)
    llmock.assert_resilient(strict=True)
