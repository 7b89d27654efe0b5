"""The Realtime API, and the Responses API over a WebSocket, through the openai SDK for Python: its own client, and a vendor
made with the `websockets` package."""

from __future__ import annotations

import asyncio
import json

import pytest
import websockets
from openai import AsyncOpenAI, OpenAI

import harness

pytestmark = pytest.mark.gateway
ENV = {"UPSTREAM_KEY": harness.UPSTREAM_KEY, "FERRO_MODEL_DISCOVERY_INTERVAL": "0"}
USAGE = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "input_token_details": {"text_tokens": 20, "audio_tokens": 0, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 10, "audio_tokens": 0},
}


class Vendor:
    """Speaks as api.openai.com does, and remembers who came."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict[str, str]]] = []
        self.closed: list[int] = []

    def admit(self, connection, request):
        self.came.append((request.path, {name.lower(): value for name, value in request.headers.raw_items()}))
        if "refused" in request.path:
            body = json.dumps({"error": {"message": "not for you", "type": "invalid_request_error", "code": "no"}})
            return connection.respond(400, body)
        return None

    def choose(self, _, offered):
        return "realtime" if "realtime" in offered else None

    async def respond(self, connection) -> None:
        async for message in connection:
            asked = json.loads(message)
            usage = {
                "input_tokens": 36,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 87,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 123,
            }
            response = {"object": "response", "id": "resp_1", "created_at": 1, "model": asked["model"], "output": []}
            for number, (kind, more) in enumerate({"created": {}, "completed": {"usage": usage}}.items()):
                event = {"type": f"response.{kind}", "sequence_number": number, "response": response | more}
                await connection.send(json.dumps(event))
        self.closed.append(connection.close_code)

    async def talk(self, connection) -> None:
        if connection.request.path == "/v1/responses":
            return await self.respond(connection)
        await connection.send(json.dumps({"type": "session.created", "event_id": "e0", "session": {"type": "realtime"}}))
        async for message in connection:
            event = json.loads(message)
            if event["type"] == "input_audio_buffer.append":
                # as large as the client may send, and in parts
                half = len(event["audio"]) // 2
                delta = {"type": "response.output_audio.delta", "event_id": "e1", "delta": event["audio"]}
                text = json.dumps(delta)
                await connection.send([text[:half], text[half:]])
            elif event["type"] == "response.create":
                response = {"object": "realtime.response", "id": "r", "status": "completed", "output": [], "usage": USAGE}
                await connection.send(json.dumps({"type": "response.done", "event_id": "e2", "response": response}))
        self.closed.append(connection.close_code)

    async def __aenter__(self) -> Vendor:
        self.server = await websockets.serve(
            self.talk, "127.0.0.1", 0, process_request=self.admit, select_subprotocol=self.choose, max_size=None
        )
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()


@pytest.fixture
async def vendor():
    async with Vendor() as vendor:
        yield vendor


@pytest.fixture
def served(vendor, gateway):
    config = {
        "targets": [harness.openai_target(vendor.url, models=["gpt-realtime", "refused"])],
        "aliases": {"voice": "gpt-realtime"},
    }
    return gateway(config, ENV)


async def test_a_conversation_goes_both_ways(vendor, served):
    async with AsyncOpenAI(base_url=served.base_url, api_key=harness.MASTER_KEY) as client:
        async with client.realtime.connect(model="voice", max_retries=0) as connection:
            assert (await connection.recv()).type == "session.created"
            sound = "UklGRg" * 200_000
            await connection.input_audio_buffer.append(audio=sound)
            heard = await connection.recv()
            assert (heard.type, heard.delta) == ("response.output_audio.delta", sound)
            await connection.response.create()
            done = await connection.recv()
            assert (done.type, done.response.usage.total_tokens) == ("response.done", 30)
    ((path, headers),) = vendor.came
    assert path == "/v1/realtime?model=gpt-realtime"
    assert headers["authorization"] == f"Bearer {harness.UPSTREAM_KEY}"
    assert harness.MASTER_KEY not in str(headers)
    async with asyncio.timeout(10):
        while not vendor.closed:
            await asyncio.sleep(0.01)
    assert vendor.closed == [1000]
    metrics = harness.fetch(f"{served.origin}/metrics", harness.MASTER_KEY)[1].decode()
    assert 'gateway_tokens_input_total{model="gpt-realtime",provider="openai",target="openai"} 20' in metrics


async def test_responses_are_made_over_one_connection(vendor, gateway):
    config = {"targets": [harness.openai_target(vendor.url, models=["gpt-5"])], "responses_target": "openai"}
    served = gateway(config, ENV)
    async with AsyncOpenAI(base_url=served.base_url, api_key=harness.MASTER_KEY) as client:
        async with client.responses.connect() as connection:
            for turn in ("High tide?", "And low?"):
                await connection.response.create(model="gpt-5", input=turn, store=False)
                created, done = await connection.recv(), await connection.recv()
                assert (created.type, done.type, done.response.usage.total_tokens) == (
                    "response.created",
                    "response.completed",
                    123,
                )
    ((path, headers),) = vendor.came
    assert (path, headers["authorization"]) == ("/v1/responses", f"Bearer {harness.UPSTREAM_KEY}")
    async with asyncio.timeout(10):
        while not vendor.closed:
            await asyncio.sleep(0.01)
    metrics = harness.fetch(f"{served.origin}/metrics", harness.MASTER_KEY)[1].decode()
    assert 'gateway_tokens_input_total{model="none",provider="openai",target="openai"} 72' in metrics


async def test_the_blocking_client_talks_too(vendor, served):
    def talk() -> str:
        with OpenAI(base_url=served.base_url, api_key=harness.MASTER_KEY) as client:
            with client.realtime.connect(model="openai/gpt-realtime", max_retries=0) as connection:
                return connection.recv().type

    assert await asyncio.to_thread(talk) == "session.created"


async def test_a_page_shows_its_key_in_a_subprotocol(vendor, served):
    url = served.base_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
    offers = ["realtime", f"openai-insecure-api-key.{harness.MASTER_KEY}"]
    async with websockets.connect(url, subprotocols=offers, proxy=None) as connection:
        assert connection.subprotocol == "realtime"
        assert json.loads(await connection.recv())["type"] == "session.created"
    assert vendor.came[0][1]["sec-websocket-protocol"] == "realtime"


async def test_a_refusal_has_its_status_and_words(vendor, served):
    url = served.base_url.replace("http", "ws", 1) + "/realtime?model="
    headers = {"authorization": f"Bearer {harness.MASTER_KEY}"}
    for model, status, code in [("refused", 400, "invalid_request"), ("nobodys", 404, "model_not_found")]:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(url + model, additional_headers=headers, proxy=None)
        response = refused.value.response
        assert (response.status_code, json.loads(response.body)["error"]["code"]) == (status, code)


async def test_the_end_of_the_gateway_closes_with_a_code(vendor, gateway):
    config = {"targets": [harness.openai_target(vendor.url, models=["gpt-realtime"])], "server": {"drain": "100ms"}}
    served = gateway(config, ENV)
    url = served.base_url.replace("http", "ws", 1) + "/realtime?model=gpt-realtime"
    headers = {"authorization": f"Bearer {harness.MASTER_KEY}"}
    async with websockets.connect(url, additional_headers=headers, proxy=None) as connection:
        await connection.recv()
        served.process.terminate()
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await connection.recv()
        assert closed.value.rcvd.code == 1001
    async with asyncio.timeout(10):
        while not vendor.closed:
            await asyncio.sleep(0.01)
    assert vendor.closed == [1001]
