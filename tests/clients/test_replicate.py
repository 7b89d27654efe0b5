"""Replicate, judged by its own Python SDK: what our upstream answers are the SDK's `Prediction`s, and each thing the
gateway asks of it is set beside what the SDK asks for the same."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest
from openai import OpenAI
from replicate.client import Client
from replicate.prediction import Prediction
from replicate.version import Version

from harness import MASTER_KEY

pytestmark = pytest.mark.gateway

TOKEN = "r8_" + "5ca1ab1e" * 5
MODEL = "meta/meta-llama-3-8b-instruct"
SAID = ["High ", "water\n", "06:12 \u00e9."]
INPUT = {"prompt": "When is high water at Brest?", "system_prompt": "You are a harbour pilot.", "max_tokens": 300, "temperature": 0.3}
ASK = {
    "model": MODEL,
    "messages": [{"role": "system", "content": INPUT["system_prompt"]}, {"role": "user", "content": INPUT["prompt"]}],
    "max_completion_tokens": INPUT["max_tokens"],
    "temperature": INPUT["temperature"],
}
PROPERTIES = {
    "prompt": {"type": "string"},
    "system_prompt": {"type": "string"},
    "max_tokens": {"type": "integer", "minimum": 1},
    "temperature": {"type": "number"},
}
SCHEMA = {"openapi": "3.0.2", "components": {"schemas": {"Input": {"type": "object", "properties": PROPERTIES}}}}


class Api(ThreadingHTTPServer):
    """Replicate as far as one prediction goes: it needs `rounds` looks before it has ended, as `end`."""

    daemon_threads = True

    def __init__(self, rounds: int = 0, end: str = "succeeded", stream: bytes | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.rounds, self.end, self.events = rounds, end, stream
        self.asked: list[tuple[str, str, dict, dict | None]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def prediction(self) -> bytes:
        over = self.rounds <= 0
        self.rounds -= 1
        urls = {"get": f"{self.url}/v1/predictions/p1", "cancel": f"{self.url}/v1/predictions/p1/cancel"}
        if self.events is not None:
            urls["stream"] = f"{self.url}/v1/streams/p1"
        said = Prediction(
            id="p1", model=MODEL, version="hidden", status=self.end if over else "processing", input=INPUT, logs="",
            output=SAID if over and self.end == "succeeded" else None, urls=urls, created_at="2026-01-01T00:00:00Z",
            error="CUDA out of memory" if over and self.end == "failed" else None,
            metrics={"input_token_count": 12, "output_token_count": 6, "predict_time": 0.4} if over else None,
        )
        return said.json().encode()

    def took(self, path: str) -> list[tuple[str, str, dict, dict | None]]:
        return [asked for asked in self.asked if asked[1] == path]

    def until(self, path: str) -> None:
        deadline = time.monotonic() + 10
        while not self.took(path):
            assert time.monotonic() < deadline, f"{path} was never asked: {self.asked}"
            time.sleep(0.01)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Api

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def note(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers, json.loads(body) if body else None))

    def do_GET(self) -> None:
        self.note()
        if self.path == "/v1/streams/p1":
            self.reply(200, self.server.events or b"", "text/event-stream; charset=utf-8")
        elif self.path == "/v1/predictions/p1":
            self.reply(200, self.server.prediction())
        else:
            version = Version(id="v" * 64, created_at="2026-01-01T00:00:00Z", cog_version="0.9", openapi_schema=SCHEMA)
            owner, name = MODEL.split("/")
            described = {"url": "", "owner": owner, "name": name, "visibility": "public", "run_count": 1}
            self.reply(200, json.dumps({**described, "latest_version": json.loads(version.json())}).encode())

    def do_POST(self) -> None:
        self.note()
        self.reply(201, self.server.prediction())


@pytest.fixture
def api():
    """Starts one: `api(rounds=, end=, stream=)`."""
    started: list[Api] = []

    def start(**more) -> Api:
        started.append(Api(**more))
        return started[-1]

    yield start
    for one in started:
        one.shutdown()
        one.server_close()


def sdk(api: Api) -> Client:
    client = Client(api_token=TOKEN, base_url=api.url)
    client.poll_interval = 0.01
    return client


@pytest.fixture
def through(gateway):
    """The OpenAI SDK through a gateway that has nothing but Replicate's two variables: `through(api)`."""

    def start(api: Api, **more) -> OpenAI:
        target = {"virtual_key": "replicate", "base_url": f"{api.url}/v1", "api_key": "${REPLICATE_API_TOKEN}", "models": [MODEL]}
        config = {"targets": [{**target, "retry": {"attempts": 1}, **more}]}
        started = gateway(config, {"REPLICATE_API_TOKEN": TOKEN})
        return OpenAI(base_url=started.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20)

    return start


def same(ours: Api, theirs: Api, path: str, *headers: str) -> None:
    """Both were asked the same at a path, with the same of these headers; the body as it is but for the host in it."""
    (method, _, sent, body), (their_method, _, their_sent, their_body) = ours.took(path)[0], theirs.took(path)[0]
    assert (method, body) == (their_method, their_body)
    for header in ("authorization", *headers):
        assert sent.get(header) == their_sent.get(header), header


def test_a_prediction_is_made_as_the_sdk_makes_it(api, through):
    ours, theirs = api(), api()
    answer = through(ours).chat.completions.create(**ASK)
    made = sdk(theirs).models.predictions.create(MODEL, INPUT, wait=60)
    assert answer.choices[0].message.content == "".join(made.output) == "".join(SAID)
    assert (answer.id, answer.model, answer.choices[0].finish_reason) == (made.id, made.model, "stop")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (12, 6, 18)
    same(ours, theirs, f"/v1/models/{MODEL}/predictions", "prefer", "content-type")


def test_it_is_waited_for_as_the_sdk_waits(api, through):
    ours, theirs = api(rounds=3), api(rounds=3)
    answer = through(ours).chat.completions.create(**ASK)
    made = sdk(theirs).models.predictions.create(MODEL, INPUT)
    made.wait()
    assert answer.choices[0].message.content == "".join(made.output)
    same(ours, theirs, "/v1/predictions/p1")
    assert len(ours.took("/v1/predictions/p1")) == len(theirs.took("/v1/predictions/p1")) == 3


STREAM = (
    ": hi\n\nevent: output\nid: 1:0\ndata: High\n\nevent: logs\nid: 1:1\ndata: step 1\n\n"
    "event: output\nid: 2:0\ndata:  water\ndata:   at \u00e9\ndata: \n\nevent: output\nid: 3:0\ndata: 06:12\n\n"
)


def test_a_stream_is_heard_as_the_sdk_hears_it(api, through):
    whole = (STREAM + "event: done\nid: 4:0\ndata: {}\n\n").encode()
    ours, theirs = api(rounds=1, stream=whole), api(rounds=1, stream=whole)
    chunks = list(through(ours).chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}))
    made = sdk(theirs).models.predictions.create(MODEL, INPUT, stream=True)
    heard = "".join(str(event) for event in made.stream())
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == heard == "High water\n  at \u00e9\n06:12"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens == 18 and not chunks[-1].choices
    assert {chunk.id for chunk in chunks} == {"p1"}
    same(ours, theirs, "/v1/streams/p1", "accept", "cache-control")
    same(ours, theirs, f"/v1/models/{MODEL}/predictions")


def test_who_leaves_cancels_as_the_sdk_cancels(api, through):
    endless = api(rounds=1000)
    with pytest.raises(openai.APITimeoutError):
        through(endless).with_options(timeout=1.0).chat.completions.create(**ASK)
    endless.until("/v1/predictions/p1/cancel")
    theirs = api(rounds=1000)
    sdk(theirs).models.predictions.create(MODEL, INPUT).cancel()
    same(endless, theirs, "/v1/predictions/p1/cancel")


def test_a_failed_prediction_is_an_error_with_its_words(api, through):
    ours, theirs = api(end="failed"), api(end="failed")
    with pytest.raises(openai.InternalServerError) as failed:
        through(ours).chat.completions.create(**ASK)
    assert sdk(theirs).models.predictions.create(MODEL, INPUT).error in failed.value.message
    assert (failed.value.status_code, failed.value.code) == (502, "upstream_error")


def test_a_cut_stream_is_an_error(api, through):
    client = through(api(rounds=1000, stream=STREAM.encode()))
    with pytest.raises(openai.APIError, match="before its answer was finished"):
        list(client.chat.completions.create(**ASK, stream=True))
