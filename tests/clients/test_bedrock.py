"""Bedrock, judged by AWS' own Python SDK: every request's signature is recomputed by botocore, its body validated against
botocore's model of the service, and what our upstream answers is read by botocore's parsers, beside the gateway."""

from __future__ import annotations

import base64
import binascii
import json
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import boto3
import botocore.parsers
import botocore.session
import openai
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from botocore.validate import ParamValidator
from openai import OpenAI

from harness import MASTER_KEY

pytestmark = pytest.mark.gateway

REGION = "eu-central-1"
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session/token+of=test")
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
TEXT_ONLY = "openai.gpt-oss-120b-1:0"
LLAMA = "meta.llama3-70b-instruct-v1:0"
ARN = "arn:aws:bedrock:eu-central-1:111122223333:application-inference-profile/ab12cd34ef56"
SERVICE = botocore.session.get_session().get_service_model("bedrock-runtime")
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = {
    "type": "function",
    "function": {
        "name": "tide_table",
        "description": "Tides of one port",
        "parameters": {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]},
    },
}

USAGE = {"inputTokens": 30, "outputTokens": 45, "totalTokens": 1075, "cacheReadInputTokens": 1000, "cacheWriteInputTokens": 0}
WHOLE = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "Need the table.", "signature": "YnItc2ln"}}},
                {"text": "Checking \u00e9\U0001f6a2."},
                {"toolUse": {"toolUseId": "tooluse_1", "name": "tide_table", "input": {"port": "Brest", "n": [1, 2.5]}}},
            ],
        }
    },
    "stopReason": "tool_use",
    "usage": USAGE,
    "metrics": {"latencyMs": 812},
}
EVENTS = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Need the table."}}, "p": "abcdef"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "YnItc2ln"}}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Checking \u00e9"}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "\U0001f6a2."}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "tide_table"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"port":"Bre'}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": 'st"}'}}}),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 640}}),
]


def frame(name: str, payload: dict, kind: str = "event") -> bytes:
    """One message of an event stream, made here."""
    named = ":exception-type" if kind == "exception" else ":event-type"
    headers = b""
    for header, value in ((named, name), (":content-type", "application/json"), (":message-type", kind)):
        headers += struct.pack("!B", len(header)) + header.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack("!I", binascii.crc32(prelude)) + headers + body
    return message + struct.pack("!I", binascii.crc32(message))


FRAMES = b"".join(frame(name, payload) for name, payload in EVENTS)


def signature(method: str, host: str, path: str, headers: dict[str, str], body: bytes) -> tuple[str, str]:
    """The signature that came, and the one botocore makes of the same request."""
    scheme, _, rest = headers["authorization"].partition(" ")
    assert scheme == "AWS4-HMAC-SHA256"
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    _, date, region, service, _ = parts["Credential"].split("/")
    assert (region, service) == (REGION, "bedrock") and headers["x-amz-date"].startswith(date)
    signed = parts["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "content-type", "x-amz-security-token"} <= set(signed) == set(sorted(signed))
    request = AWSRequest(method=method, url=f"http://{host}{path}", data=body)
    for name in signed:
        if name != "host":
            request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(KEYS, service, region)
    return parts["Signature"], auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


class Bedrock:
    """An upstream that believes nothing: a request that botocore would not have sent is remembered as a complaint."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict]] = []
        self.complaints: list[str] = []
        self.frames = FRAMES
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                try:
                    owner.judge(self.command, self.path, headers, body)
                except Exception as error:  # a handler's exception would only close the connection
                    owner.complaints.append(f"{self.path}: {error!r}")
                streamed = self.path.endswith("/converse-stream")
                kind = "application/vnd.amazon.eventstream" if streamed else "application/json"
                answer = owner.frames if streamed else json.dumps(WHOLE).encode()
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def judge(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        came, made = signature(method, headers["host"], path, headers, body)
        assert came == made, f"signature {came}, botocore has {made}"
        _, kind, model, operation = path.split("/")
        assert kind == "model" and "/" not in model and ":" not in model
        shape = SERVICE.operation_model("ConverseStream" if operation == "converse-stream" else "Converse").input_shape
        content = json.loads(body)
        self.seen.append((unquote(model), content))
        report = ParamValidator().validate({"modelId": unquote(model), **content}, shape)
        assert not report.has_errors(), report.generate_report()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def bedrock():
    upstream = Bedrock()
    yield upstream
    upstream.stop()
    assert upstream.complaints == []


@pytest.fixture
def chat(bedrock, gateway):
    options = {
        "region": REGION,
        "access_key_id": KEYS.access_key,
        "secret_access_key": "${AWS_TEST_SECRET}",
        "session_token": KEYS.token,
    }
    target = {"virtual_key": "aws", "provider": "bedrock", "base_url": bedrock.url, "options": options}
    started = gateway({"targets": [target]}, {"AWS_TEST_SECRET": KEYS.secret_key})
    with OpenAI(base_url=started.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as client:
        yield client.chat.completions


def conversation() -> list[dict]:
    call = {"id": "call_A", "type": "function", "function": {"name": "tide_table", "arguments": '{"port":"Brest"}'}}
    other = {"id": "call B!", "type": "function", "function": {"name": "tide_table", "arguments": ""}}
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "YnI=", "format": "bedrock-v1", "index": 0}]
    document = {"filename": "Tide tables: 2026.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjcK"}
    return [
        {"role": "system", "content": [{"type": "text", "text": "You are a pilot.", "cache_control": {"type": "ephemeral"}}]},
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Which tide?", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "file", "file": document},
            ],
        },
        {"role": "assistant", "content": None, "tool_calls": [call, other], "reasoning_details": details},
        {"role": "tool", "tool_call_id": "call_A", "content": '{"hw":"06:12"}'},
        {"role": "tool", "tool_call_id": "call B!", "content": [{"type": "text", "text": "unknown port"}]},
    ]


def test_the_judge_accepts_what_the_sdk_sends(bedrock):
    session = boto3.Session(KEYS.access_key, KEYS.secret_key, KEYS.token, REGION)
    config = Config(retries={"max_attempts": 1})
    client = session.client("bedrock-runtime", endpoint_url=bedrock.url, config=config)
    answer = client.converse(modelId=ARN, messages=[{"role": "user", "content": [{"text": "ping"}]}])
    assert answer["stopReason"] == "tool_use" and bedrock.seen[0][0] == ARN
    stream = client.converse_stream(modelId=CLAUDE, messages=[{"role": "user", "content": [{"text": "ping"}]}])
    read = [next(iter(event.items())) for event in stream["stream"]]
    assert read == [(name, {k: v for k, v in payload.items() if k != "p"}) for name, payload in EVENTS]


@pytest.mark.parametrize("model", [CLAUDE, ARN, "amazon.nova-pro-v1:0", NOVA_2, TEXT_ONLY])
def test_a_whole_answer_says_what_the_sdk_reads_in_it(bedrock, chat, model):
    messages = conversation() if model == CLAUDE else conversation()[1:3]
    if model == TEXT_ONLY:
        messages[1]["content"].pop(1)
    answer = chat.create(model=model, messages=messages, tools=[TOOL], tool_choice="auto", max_tokens=300, temperature=0.3)
    asked, _ = bedrock.seen[0]
    assert asked == model
    parser = botocore.parsers.create_parser("rest-json")
    response = {"status_code": 200, "headers": {}, "body": json.dumps(WHOLE).encode()}
    read = parser.parse(response, SERVICE.operation_model("Converse").output_shape)
    thought, text, call = read["output"]["message"]["content"]
    message = answer.choices[0].message
    assert message.content == text["text"]
    assert json.loads(message.tool_calls[0].function.arguments) == call["toolUse"]["input"]
    assert message.reasoning_details[0]["signature"] == thought["reasoningContent"]["reasoningText"]["signature"]
    assert answer.usage.prompt_tokens == 1030 and answer.usage.prompt_tokens_details.cached_tokens == 1000


def test_a_stream_says_what_the_sdk_reads_in_it(bedrock, chat):
    usage = {"include_usage": True}
    chunks = list(
        chat.create(model=CLAUDE, messages=conversation(), tools=[TOOL], stream=True, stream_options=usage)
    )
    buffer = EventStreamBuffer()
    buffer.add_data(FRAMES)
    events = [(event.headers[":event-type"], json.loads(event.payload)) for event in buffer]
    assert events == EVENTS
    deltas = [payload["delta"] for name, payload in events if name == "contentBlockDelta"]
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    said = "".join(choice.delta.content or "" for choice in choices)
    assert said == "".join(delta.get("text", "") for delta in deltas)
    arguments = "".join(
        call.function.arguments or "" for choice in choices for call in choice.delta.tool_calls or []
    )
    assert arguments == "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)
    assert choices[-1].finish_reason == "tool_calls" and chunks[-1].usage.total_tokens == 1075
    assert bedrock.seen[0][0] == CLAUDE


def test_a_frame_the_sdk_refuses_breaks_the_stream_here_too(bedrock, chat):
    damaged = bytearray(FRAMES)
    damaged[FRAMES.index(b"Checking") + 3] ^= 1
    bedrock.frames = bytes(damaged)
    buffer = EventStreamBuffer()
    buffer.add_data(bedrock.frames)
    with pytest.raises(ChecksumMismatch):
        list(buffer)
    with pytest.raises(openai.APIError):
        list(chat.create(model=CLAUDE, messages=conversation()[2:3], stream=True))


REQUESTS = [
    {"reasoning_effort": "medium", "max_tokens": 512},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "tide", "schema": TOOL["function"]["parameters"]}}},
    {"tool_choice": {"type": "function", "function": {"name": "tide_table"}}, "tools": [TOOL], "stop": ["END", " "]},
    {"tool_choice": "required", "tools": [TOOL], "parallel_tool_calls": False},
    {"metadata": {"team": "search"}, "user": "u-7", "service_tier": "flex", "top_p": 0.5},
    {"extra_body": {"guardrail_config": {"guardrailIdentifier": "gr1", "guardrailVersion": "DRAFT", "trace": "enabled"}}},
    {"extra_body": {"performance_config": {"latency": "optimized"}, "top_k": 20}},
]


@pytest.mark.parametrize("more", REQUESTS)
@pytest.mark.parametrize("model", [CLAUDE, "anthropic.claude-opus-5-v1", NOVA_2, LLAMA, "mistral.mistral-large-2402-v1:0"])
def test_every_parameter_makes_a_request_the_service_model_knows(bedrock, chat, model, more):
    chat.create(model=model, messages=[{"role": "user", "content": "Which tide?"}], **more)
    assert len(bedrock.seen) == 1


def test_bytes_arrive_as_they_were(bedrock, chat):
    chat.create(model=CLAUDE, messages=conversation(), tools=[TOOL])
    _, body = bedrock.seen[0]
    image, document = body["messages"][0]["content"][2:4]
    assert base64.b64decode(image["image"]["source"]["bytes"]) == base64.b64decode(PNG)
    assert (document["document"]["format"], document["document"]["name"]) == ("pdf", "Tide tables 2026")
