"""A second opinion on what every vendor is sent: litellm and the gateway are given the same chats, and each member of the two
requests that differs is explained in `litellm_differences.json`. Runs with CLIENTS_LITELLM=1 alone: litellm is heavy."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from openai import APIError, OpenAI

from harness import MASTER_KEY, Gateway
from recorder import Recorder, Refusing, differences
from test_openai import PIXEL, WEATHER
from test_rows import ROWS, Row, key_of

HERE = Path(__file__).resolve().parent
PYTHON = HERE / ".venv-litellm/bin/python"
EXPLAINED = json.loads((HERE / "litellm_differences.json").read_text())

pytestmark = [
    pytest.mark.gateway,
    pytest.mark.skipif(os.environ.get("CLIENTS_LITELLM") != "1", reason="litellm is asked with CLIENTS_LITELLM=1"),
]

CALL = {"id": "callOslo1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
TOOLS = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Is it warm in Oslo?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "callOslo1", "content": '{"degrees":21}'},
        {"role": "user", "content": "And in Rome?"},
    ],
    "tools": [WEATHER],
    "tool_choice": "auto",
    "temperature": 0.5,
    "max_tokens": 50,
    "stop": ["END"],
    "seed": 7,
}
SCHEMA = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"], "additionalProperties": False}
FORM = {
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Where is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}],
        },
    ],
    "response_format": {"type": "json_schema", "json_schema": {"name": "tide", "strict": True, "schema": SCHEMA}},
    "max_completion_tokens": 50,
    "top_p": 0.9,
    "user": "u1",
    "reasoning_effort": "low",
}
ASKS = {"tools": TOOLS, "form": FORM}

OPENAI = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
TEXT = [{"type": "text", "text": "Yes."}]
ANTHROPIC = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": TEXT,
    "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
}
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Yes."}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Yes."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    "metrics": {"latencyMs": 1},
}
COHERE = {
    "id": "c-1", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": TEXT},
    "usage": {"tokens": {"input_tokens": 1, "output_tokens": 1}},
}

NATIVE = [
    Row("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "", "claude-haiku-4-5"),
    Row("gemini", "GEMINI_API_KEY", "GEMINI_BASE_URL", "", "gemini-2.5-flash"),
    Row(
        "bedrock", "AWS_BEARER_TOKEN_BEDROCK", "BEDROCK_ENDPOINT_URL", "", "anthropic.claude-haiku-4-5-20251001-v1:0",
        more={"AWS_REGION": "us-east-1"},
    ),
    Row("cohere", "COHERE_API_KEY", "COHERE_BASE_URL", "", "command-a-03-2025"),
]
ANSWERS = {"anthropic": ANTHROPIC, "gemini": GEMINI, "bedrock": BEDROCK, "cohere": COHERE}
# What litellm calls a vendor, where it is not our name; and below, what else it must be told.
NAMES = {
    "azure-openai": "azure",
    "azure-foundry": "azure_ai",
    "ai21": "ai21_chat",
    "bedrock": "bedrock/converse",
    "cohere": "cohere_chat",
    "together": "together_ai",
    "fireworks": "fireworks_ai",
    "hugging-face": "huggingface",
    "nvidia-nim": "nvidia_nim",
    "qwen": "dashscope",
}
TOLD = {
    "azure-openai": {"api_base": "https://house.example", "api_version": "2024-10-21"},
    "azure-foundry": {"api_base": "https://house.services.ai.azure.com"},
    "databricks": {"api_base": "https://house.example/serving-endpoints"},
    "bedrock": {"aws_region_name": "us-east-1"},
}
ENDPOINTS = {
    "AZURE_OPENAI_ENDPOINT": "https://house.example",
    "AZURE_FOUNDRY_ENDPOINT": "https://house.services.ai.azure.com",
    "DATABRICKS_HOST": "house.example",
}
# litellm knows them only in the words of their own older interfaces.
UNKNOWN = {"cloudflare", "ollama", "ollama-cloud"}
JUDGED = [row for row in [*ROWS, *NATIVE] if row.id not in UNKNOWN]


def spelled(row: Row, sent: dict) -> dict:
    """Google reads members of JSON in both spellings."""
    if row.id != "gemini":
        return sent
    body = re.sub(r'"(\w+)":', lambda name: re.sub("_(.)", lambda at: at[1].upper(), name[0]), json.dumps(sent["body"]))
    return {**sent, "body": json.loads(body)}


def litellm_ask(row: Row, ask: dict) -> dict:
    name = NAMES.get(row.id, row.id)
    return {**ask, "model": f"{name}/{row.serves or row.model}", "api_key": key_of(row), **TOLD.get(row.id, {})}


@pytest.fixture(scope="module")
def theirs() -> dict[str, dict]:
    asks = [
        {"id": f"{row.id} {case}", "ask": litellm_ask(row, ask), "answer": ANSWERS.get(row.id, OPENAI)}
        for row in JUDGED
        for case, ask in ASKS.items()
    ]
    env = {"PATH": os.environ["PATH"], "HOME": str(HERE / ".venv-litellm")}
    script = [str(PYTHON), "litellm_sends.py"]
    done = subprocess.run(script, input=json.dumps(asks), env=env, cwd=HERE, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    posts = {id: [sent for sent in one["sent"] if sent["method"] == "POST"] for id, one in found.items()}
    assert {id: one["problem"] for id, one in found.items() if len(posts[id]) != 1} == {}
    return {id: located(sent) for id, (sent,) in posts.items()}


def located(sent: dict) -> dict:
    url = urlsplit(sent["url"])
    return {**sent, "host": url.hostname, "url": url.path + (f"?{url.query}" if url.query else "")}


def each(
    env: dict[str, str], before: Callable[[Row], None], asks: dict[str, dict]
) -> Iterator[tuple[Row, str, Exception | None]]:
    """Asks one gateway, which has nothing but variables, for every row in turn."""
    keys = {row.key_variable: key_of(row) for row in JUDGED}
    for row in JUDGED:
        env = {**row.more, **env}
    with Gateway(os.environ["CLIENTS_BINARY"], None, {**keys, **env}) as gateway:
        with OpenAI(base_url=gateway.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as client:
            for row in JUDGED:
                for case, ask in asks.items():
                    before(row)
                    try:
                        client.chat.completions.create(model=f"{row.id}/{row.model}", **ask)
                    except APIError as error:
                        yield row, case, error
                    else:
                        yield row, case, None


@pytest.fixture(scope="module")
def ours() -> dict[str, dict]:
    """What the rows send, from their variables alone, so that hosts and paths are their own: once to an upstream in place
    of all vendors, and once through a proxy, which learns the host."""
    now: list[Row] = []
    found = {}
    with Recorder(lambda _: ANSWERS.get(now[-1].id, OPENAI)) as upstream:
        for row, case, error in each({row.url_variable: upstream.url for row in JUDGED}, now.append, ASKS):
            assert error is None, (row.id, case, error)
            (found[f"{row.id} {case}"],) = upstream.sent
            upstream.sent.clear()
    with Refusing() as proxy:
        for row, _, error in each({**ENDPOINTS, "HTTPS_PROXY": proxy.url}, lambda _: None, {"tools": TOOLS}):
            assert error is not None
            for case in ASKS:
                # lists of models may be asked for at the same time
                found[f"{row.id} {case}"]["host"] = proxy.hosts[-1]
    return found


@pytest.mark.parametrize("case", ASKS)
@pytest.mark.parametrize("row", JUDGED, ids=lambda row: row.id)
def test_what_litellm_sends_differently_is_explained(row, case, theirs, ours):
    key = f"{row.id} {case}"
    found = differences(spelled(row, theirs[key]), spelled(row, ours[key]))
    explained = {**EXPLAINED["always"].get(row.id, {}), **EXPLAINED[case].get(row.id, {})}
    assert {name: pair for name, pair in found.items() if not any(covers(one, name) for one in explained)} == {}
    stale = [one for one in explained if not any(covers(one, name) for name in found)]
    assert stale == [], "explained, but there is no such difference any more"


def covers(explained: str, name: str) -> bool:
    """A member is explained by itself, or by what it is part of."""
    return name == explained or name.startswith((f"{explained}.", f"{explained}["))


def test_only_rows_that_are_judged_are_explained():
    assert set(EXPLAINED) == {"always", *ASKS}
    for rows in EXPLAINED.values():
        assert set(rows) <= {row.id for row in JUDGED}
        assert all(why.strip() for members in rows.values() for why in members.values())
