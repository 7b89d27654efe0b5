"""Where the tests find the server under test, the scripted upstream and the gateway's binary."""

from __future__ import annotations

import os

import pytest
from openai import AsyncOpenAI, OpenAI

import harness
from recorder import Recorder

BASE_URL = os.environ["CLIENTS_BASE_URL"]
API_KEY = os.environ["CLIENTS_API_KEY"]
UPSTREAM = os.environ["CLIENTS_UPSTREAM"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ["CLIENTS_VIA"] == "gateway":
        return
    for item in items:
        if item.get_closest_marker("gateway"):
            item.add_marker(pytest.mark.skip(reason="says something about the gateway, which is not in the way"))


class Upstream:
    """The scripted upstream, started by the harness, seen from a test."""

    seen = harness.Script.seen
    ended = harness.Script.ended
    url = UPSTREAM


@pytest.fixture(scope="session")
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def client():
    """The SDK as a user has it, but for the retries: a test that wants them says so."""
    with OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
async def aclient():
    async with AsyncOpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
def gateway():
    """Starts further gateways: `gateway(config, env)`."""
    started: list[harness.Gateway] = []

    def start(config: dict | None, env: dict[str, str] | None = None) -> harness.Gateway:
        started.append(harness.Gateway(os.environ["CLIENTS_BINARY"], config, env))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="module")
def recorder(request):
    """In the vendor's place: what it is asked is kept, and the module's `vendor(body)` answers."""
    with Recorder(request.module.vendor) as recorder:
        yield recorder


@pytest.fixture
def recorded(recorder):
    """The same, as if nothing had been asked before."""
    recorder.sent.clear()
    return recorder


@pytest.fixture(scope="module")
def sdk(request, recorder):
    """OpenAI's SDK through a gateway whose one target is the recorder, as the module's `ROW`, with its `KEY`."""
    target = {"virtual_key": request.module.ROW, "base_url": recorder.url, "api_key": "${KEY}"}
    config = {"strategy": {"mode": "single"}, "targets": [target]}
    with harness.Gateway(os.environ["CLIENTS_BINARY"], config, {"KEY": request.module.KEY}) as gateway:
        with OpenAI(base_url=gateway.base_url, api_key=harness.MASTER_KEY, max_retries=0, timeout=20) as client:
            yield client
