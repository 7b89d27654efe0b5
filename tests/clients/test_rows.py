"""Every provider row against an emulator that we did not write (npm `@copilotkit/aimock`), from nothing but environment
variables: each row has a server of its own that accepts only this row's key, and whose journal shows what arrived."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field

import openai
import pytest
from openai import OpenAI

from harness import MASTER_KEY, Gateway, Script, fetch
from test_openai import HELLO, WEATHER

pytestmark = pytest.mark.gateway


@dataclass(frozen=True)
class Row:
    """One provider: how it is set up, where its requests must arrive, and what it cannot do."""

    id: str
    key_variable: str
    url_variable: str
    path: str
    """Where chat arrives when the variable holds an origin without a path: proves the row's default path."""
    model: str
    embeddings: str | None = None
    path_given: str = ""
    """A path in the variable itself, which is then used as it is."""
    auth: str = "authorization"
    more: dict[str, str] = field(default_factory=dict)
    serves: str = ""
    """The model that arrives, where it is not the one asked for."""
    tools: bool = True
    listed: bool = False
    """The emulator has this row's list of models where the vendor has it."""
    prefix: bool = False
    """The bare model id belongs to this vendor by its prefix."""


def base(id: str, path: str, model: str, **more) -> Row:
    name = id.upper().replace("-", "_")
    return Row(id, f"{name}_API_KEY", f"{name}_BASE_URL", path, model, **more)


EMBED = "text-embedding-3-small"
AZURE = "/openai/deployments"
ROWS = [
    base("openai", "/v1", "gpt-4o", embeddings=EMBED, listed=True, prefix=True),
    Row(
        "azure-openai", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", f"{AZURE}/house", "gpt-4o",
        embeddings=EMBED, auth="api-key", more={"AZURE_OPENAI_DEPLOYMENT": "house"}, serves="house",
    ),
    Row(
        "azure-foundry", "AZURE_FOUNDRY_API_KEY", "AZURE_FOUNDRY_ENDPOINT", "/openai/v1", "Phi-4",
        embeddings="embed-v4", auth="api-key",
    ),
    base("openrouter", "/api/v1", "anthropic/claude-sonnet-4.5", embeddings=EMBED, listed=True),
    base("deepseek", "/v1", "deepseek-v4-flash", listed=True, prefix=True),
    base("perplexity", "", "sonar", tools=False, prefix=True),
    base("xai", "/v1", "grok-4", listed=True, prefix=True),
    base("mistral", "/v1", "mistral-small-latest", embeddings="mistral-embed", listed=True, prefix=True),
    base("groq", "/openai/v1", "llama-3.3-70b-versatile", listed=True),
    base("ai21", "/studio/v1", "jamba-large", prefix=True),
    base("moonshot", "/v1", "kimi-k2.6", listed=True, prefix=True),
    Row(
        "databricks", "DATABRICKS_TOKEN", "DATABRICKS_HOST", "/serving-endpoints",
        "databricks-meta-llama-3-3-70b-instruct", embeddings="databricks-gte-large-en", prefix=True,
    ),
    base(
        "cloudflare", "/client/v4/accounts/acc1/ai/v1", "@cf/meta/llama-3.1-8b-instruct",
        embeddings="@cf/baai/bge-m3", more={"CLOUDFLARE_ACCOUNT_ID": "acc1"}, prefix=True,
    ),
    Row("ollama", "", "OLLAMA_HOST", "/v1", "llama3.2", embeddings="nomic-embed-text", listed=True),
    Row("ollama-cloud", "OLLAMA_API_KEY", "OLLAMA_CLOUD_BASE_URL", "/v1", "gpt-oss:20b"),
    Row("hugging-face", "HUGGING_FACE_API_KEY", "HUGGING_FACE_ENDPOINT", "/v1", "Qwen/Qwen3-32B:groq", listed=True),
    base("together", "/v1", "meta-llama/Llama-3.3-70B-Instruct-Turbo", embeddings="BAAI/bge-base-en-v1.5"),
    base(
        "fireworks", "/inference/v1", "accounts/fireworks/models/llama-v3p1-8b-instruct",
        embeddings="nomic-ai/nomic-embed-text-v1.5", prefix=True,
    ),
    # the emulator does not know the default path of this vendor, /v1/openai
    base("deepinfra", "", "deepseek-ai/DeepSeek-V3", embeddings="BAAI/bge-m3", path_given="/deepinfra/openai"),
    base("nvidia-nim", "/v1", "meta/llama-3.1-8b-instruct", embeddings="nvidia/nv-embedqa-e5-v5", listed=True),
    base("sambanova", "/v1", "Meta-Llama-3.3-70B-Instruct", embeddings="E5-Mistral-7B-Instruct", listed=True),
    base("novita", "/openai/v1", "meta-llama/llama-3.1-8b-instruct", embeddings="baai/bge-m3", listed=True),
    base("cerebras", "/v1", "llama3.1-8b", listed=True),
    base("qwen", "/compatible-mode/v1", "qwen-plus", embeddings="text-embedding-v4", prefix=True),
]
by_id = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)


def key_of(row: Row) -> str | None:
    return f"key-of-{row.id}" if row.key_variable else None


def test_the_rows_are_the_24_of_openai_s_wire():
    assert len({row.id for row in ROWS}) == len(ROWS) == 24


class Journal:
    """What the emulator of one row was sent."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url, self.key = f"{url}/__aimock/journal", key

    def entries(self) -> list[dict]:
        entries = json.loads(fetch(self.url, self.key)[1])
        return [entry for entry in entries if entry["method"] == "POST"]

    def last(self) -> dict:
        return self.entries()[-1]


@pytest.fixture(scope="module")
def emulators():
    rows = [{"id": row.id, "key": key_of(row), "model": row.serves or row.model} for row in ROWS]
    with Script("emulator.mjs", ROWS=json.dumps(rows)) as script:
        yield json.loads(script.url)


@pytest.fixture(scope="module")
def house(emulators):
    """One gateway for all rows: no configuration file, only the variables of the 24 vendors."""
    env: dict[str, str] = {}
    for row in ROWS:
        env |= {row.url_variable: emulators[row.id] + row.path_given, **row.more}
        if row.key_variable:
            env[row.key_variable] = key_of(row)
    with Gateway(os.environ["CLIENTS_BINARY"], None, env) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def sdk(house):
    with OpenAI(base_url=house.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture
def journal(row, emulators):
    return Journal(emulators[row.id], key_of(row))


def path_of(entry: dict) -> str:
    return entry["path"].split("?")[0]


@by_id
def test_a_chat_arrives_at_its_vendor(row, sdk, journal):
    raw = sdk.chat.completions.with_raw_response.create(
        model=f"{row.id}/{row.model}", messages=HELLO, temperature=0.5, max_tokens=50
    )
    reply = raw.parse()
    assert reply.choices[0].message.content == f"{row.id} says hello"
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    assert raw.headers["x-gateway-provider"] == row.id
    sent = journal.last()
    assert path_of(sent) == f"{row.path_given or row.path}/chat/completions"
    assert (row.auth in sent["headers"]) == bool(row.key_variable) and MASTER_KEY not in json.dumps(sent)
    assert sent["body"]["model"] == (row.serves or row.model)
    if row.id == "azure-openai":
        assert sent["path"].endswith("?api-version=2024-10-21")
    assert sent["body"]["messages"][-1]["content"] == HELLO[0]["content"]


@by_id
def test_a_stream_comes_from_its_vendor(row, sdk, journal):
    chunks = list(
        sdk.chat.completions.create(
            model=f"{row.id}/{row.model}", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == f"{row.id} says hello"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert journal.last()["body"]["stream"] is True


@pytest.mark.parametrize("row", [row for row in ROWS if row.tools], ids=lambda row: row.id)
def test_a_tool_is_called_and_answered(row, sdk):
    ask = {"model": f"{row.id}/{row.model}", "tools": [WEATHER]}
    first = sdk.chat.completions.create(**ask, messages=HELLO)
    (call,) = first.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Oslo"})
    assert first.choices[0].finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
    last = sdk.chat.completions.create(**ask, messages=[*HELLO, first.choices[0].message, result])
    assert last.choices[0].message.content == f"{row.id} says hello"


@pytest.mark.parametrize("row", [row for row in ROWS if row.embeddings], ids=lambda row: row.id)
def test_embeddings_come_from_their_vendor(row, sdk, journal):
    reply = sdk.embeddings.create(model=f"{row.id}/{row.embeddings}", input="a tide")
    assert len(reply.data[0].embedding) > 100 and all(-1 <= x <= 1 for x in reply.data[0].embedding)
    path = f"{AZURE}/{EMBED}" if row.id == "azure-openai" else row.path_given or row.path
    assert path_of(journal.last()) == f"{path}/embeddings"


# A documented quirk each: what is asked, what must arrive, what must not (providers.md, section 4).
QUIRKS = [
    ("deepseek", {"user": "u1"}, {"user_id": "u1"}, "user"),
    ("groq", {"max_tokens": 9}, {"max_completion_tokens": 9}, "max_tokens"),
    ("groq", {"logit_bias": {"50256": -100}}, {}, "logit_bias"),
    ("mistral", {"seed": 7}, {"random_seed": 7}, "seed"),
    ("mistral", {"max_completion_tokens": 9}, {"max_tokens": 9}, "max_completion_tokens"),
    ("ollama", {"max_completion_tokens": 9}, {"max_tokens": 9}, "max_completion_tokens"),
    ("cerebras", {"n": 1, "presence_penalty": 0.5}, {}, "presence_penalty"),
    ("perplexity", {"tools": [WEATHER]}, {}, "tools"),
]


@pytest.mark.parametrize(("id", "asked", "arrives", "gone"), QUIRKS, ids=lambda value: value if type(value) is str else "")
def test_what_a_vendor_names_or_lacks_is_translated(id, asked, arrives, gone, sdk, emulators):
    row = next(row for row in ROWS if row.id == id)
    raw = sdk.chat.completions.with_raw_response.create(model=f"{id}/{row.model}", messages=HELLO, **asked)
    body = Journal(emulators[id], key_of(row)).last()["body"]
    assert arrives.items() <= body.items() and gone not in body
    if not arrives:
        assert gone in raw.headers["x-ferro-warnings"], "what is left out is said"


@pytest.mark.parametrize("row", [row for row in ROWS if row.prefix], ids=lambda row: row.id)
def test_a_bare_model_id_finds_its_vendor(row, sdk):
    raw = sdk.chat.completions.with_raw_response.create(model=row.model, messages=HELLO)
    assert raw.headers["x-gateway-provider"] == row.id


def test_the_vendors_lists_of_models_are_found_and_served(sdk):
    wanted = {row.model for row in ROWS if row.listed}
    deadline = time.monotonic() + 15
    while not wanted <= (listed := {entry.id for entry in sdk.models.list()}):
        assert time.monotonic() < deadline, f"not listed: {wanted - listed}"
        time.sleep(0.1)
    for row in ROWS:
        if row.id in ("groq", "cerebras", "sambanova", "nvidia-nim", "ollama"):  # no prefix is theirs, only the list
            raw = sdk.chat.completions.with_raw_response.create(model=row.model, messages=HELLO)
            assert raw.headers["x-gateway-provider"] == row.id


def test_a_wrong_vendor_key_is_the_operator_s_mistake(gateway, emulators):
    other = gateway(None, {"OPENAI_API_KEY": "stale-secret", "OPENAI_BASE_URL": emulators["openai"]})
    with OpenAI(base_url=other.base_url, api_key=MASTER_KEY, max_retries=0) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert caught.value.status_code == 502 and caught.value.code == "upstream_auth_error"
    assert "stale-secret" not in str(caught.value) + other.output()
