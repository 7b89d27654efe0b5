"""The usual script of a batch, run by OpenAI's SDK against vendors whose batches have another form: what such a vendor is
sent is judged by its own SDK, and what it answers is made of that SDK's models."""

from __future__ import annotations

import json
import os
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest
from anthropic import types
from anthropic.types import messages, shared
from anthropic.types.beta import BetaFileMetadata
from openai import OpenAI

from harness import MASTER_KEY, Gateway
from test_anthropic import KEY, judge, message, text
from test_openai import HELLO, PIXEL, WEATHER

pytestmark = pytest.mark.gateway

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
NAME = "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"
FILE = "file_011CNha8iCJcU1wXNR6q4V8w"
PDF = b"%PDF-1.7 of a tide"


class Vendor(ThreadingHTTPServer):
    """Anthropic, as far as batches and files go: a batch has ended as soon as it is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[dict] = []
        self.cancelled = False
        self.url = f"http://127.0.0.1:{self.server_port}"

    def results(self) -> list[messages.MessageBatchIndividualResponse]:
        """One answer for each request, but for those that are called after what becomes of them; in no order."""
        told = []
        for request in reversed(self.requests):
            fate = request["custom_id"].split("-")[0]
            if fate == "errored":
                why = shared.ErrorResponse(
                    type="error",
                    request_id="req_1",
                    error=shared.InvalidRequestError(type="invalid_request_error", message="no such model"),
                )
                result = messages.MessageBatchErroredResult(type="errored", error=why)
            elif fate == "canceled":
                result = messages.MessageBatchCanceledResult(type="canceled")
            elif fate == "expired":
                result = messages.MessageBatchExpiredResult(type="expired")
            elif fate == "schema":
                block = types.ToolUseBlock(type="tool_use", id="toolu_1", name="json_output", input={"city": "Oslo"})
                result = messages.MessageBatchSucceededResult.model_construct(
                    type="succeeded", message=message(block, stop_reason="tool_use")
                )
            else:
                result = messages.MessageBatchSucceededResult.model_construct(
                    type="succeeded", message=message(text(f"Hello {request['custom_id']}"))
                )
            told.append(
                messages.MessageBatchIndividualResponse.model_construct(custom_id=request["custom_id"], result=result)
            )
        return told

    def job(self, status: str) -> str:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        if status == "ended":
            for one in self.results():
                counts[one.result.type] += 1
        else:
            counts["processing"] = len(self.requests)
        ended = NOW + timedelta(hours=1) if status == "ended" else None
        return messages.MessageBatch(
            id=NAME, type="message_batch", processing_status=status, created_at=NOW, ended_at=ended,
            expires_at=NOW + timedelta(days=1), cancel_initiated_at=NOW if self.cancelled else None,
            request_counts=messages.MessageBatchRequestCounts(**counts),
            results_url=f"https://elsewhere.example/{NAME}" if ended else None,
        ).model_dump_json()


class Handler(BaseHTTPRequestHandler):
    server: Vendor

    def log_message(self, *_: object) -> None:
        pass

    def say(self, body: str | bytes, kind: str = "application/json", status: int = 200) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, why: object) -> None:
        told = {"type": "error", "error": {"type": "invalid_request_error", "message": str(why)[:1500]}}
        self.say(json.dumps(told), status=400)

    def is_of_files(self) -> bool:
        betas = self.headers.get("anthropic-beta", "").split(",")
        return self.path.startswith("/v1/files") and "files-api-2025-04-14" in betas

    def file(self) -> str:
        return BetaFileMetadata(
            id=FILE, type="file", filename="tide.pdf", mime_type="application/pdf", size_bytes=len(PDF), created_at=NOW,
            downloadable=False,
        ).model_dump_json()

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if self.headers["x-api-key"] != KEY or self.headers["anthropic-version"] != "2023-06-01":
            self.refuse("headers")
        elif path == "/v1/models":
            self.say(json.dumps({"data": [], "has_more": False}))
        elif path == f"/v1/messages/batches/{NAME}/results":
            lines = [one.model_dump_json(warnings=False) + "\n" for one in self.server.results()]
            self.say("".join(lines), "application/x-jsonl")
        elif path == f"/v1/messages/batches/{NAME}":
            self.say(self.server.job("ended"))
        elif path == "/v1/messages/batches":
            self.say(f'{{"data":[{self.server.job("ended")}],"has_more":false}}')
        elif self.is_of_files():
            listed = f'{{"data":[{self.file()}],"has_more":false}}'
            self.say(listed if path == "/v1/files" else self.file())
        else:
            self.refuse(self.path)

    def do_DELETE(self) -> None:
        if self.is_of_files():
            return self.say(json.dumps({"id": FILE, "type": "file_deleted"}))
        self.say(messages.DeletedMessageBatch(id=NAME, type="message_batch_deleted").model_dump_json())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == f"/v1/messages/batches/{NAME}/cancel":
            self.server.cancelled = True
            return self.say(self.server.job("canceling"))
        if self.path == "/v1/files":
            fine = self.is_of_files() and PDF in body and b"purpose" not in body
            return self.say(self.file()) if fine else self.refuse("the form")
        if self.path == "/v1/messages":
            sent = json.loads(body)
            source = {"type": "file", "file_id": FILE}
            fine = sent["messages"][0]["content"][0] == {"type": "document", "source": source}
            beta = "files-api-2025-04-14" in self.headers.get("anthropic-beta", "")
            return self.say(message(text("A tide")).model_dump_json(warnings=False)) if fine and beta else self.refuse(sent)
        try:
            assert self.path == "/v1/messages/batches"
            sent = json.loads(body)
            assert set(sent) == {"requests"}
            for request in sent["requests"]:
                assert set(request) == {"custom_id", "params"} and not request["params"].get("stream")
                judge(request["params"])
        except (AssertionError, ValueError) as error:
            return self.refuse(error)
        self.server.requests = sent["requests"]
        self.say(self.server.job("in_progress"))


@pytest.fixture
def vendor():
    with Vendor() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def sdk(vendor):
    target = {"virtual_key": "anthropic", "base_url": f"{vendor.url}/v1", "api_key": "${VENDOR_KEY}"}
    config = {"targets": [target], "batch_target": "anthropic"}
    with Gateway(os.environ["CLIENTS_BINARY"], config, {"VENDOR_KEY": KEY}) as gateway:
        with OpenAI(base_url=gateway.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as client:
            yield client


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}
PARTS = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
BODIES = {
    "plain": {"temperature": 0.5, "stop": ["END"]},
    "tools": {"tools": [WEATHER], "tool_choice": "required"},
    "parts": {"messages": [{"role": "system", "content": "Short."}, {"role": "user", "content": PARTS}]},
    "thinking": {"model": "claude-sonnet-4-5", "reasoning_effort": "low", "max_completion_tokens": 4000},
    "schema-1": {"model": "claude-sonnet-4-20250514", "response_format": FORMAT},
    "errored-1": {},
    "canceled-1": {},
    "expired-1": {},
}


def lines() -> bytes:
    asked = []
    for custom_id, more in BODIES.items():
        body = {"model": "claude-haiku-4-5", "messages": HELLO, "max_tokens": 50, **more}
        asked.append({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body})
    return "".join(json.dumps(line) + "\n" for line in asked).encode()


def order(sdk, file):
    return sdk.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"night": "1"}
    )


def test_the_usual_script_of_a_batch(sdk, vendor, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(lines())
    with path.open("rb") as opened:
        file = sdk.files.create(file=opened, purpose="batch")
    assert (file.object, file.purpose, file.filename, file.bytes) == ("file", "batch", "in.jsonl", len(lines()))
    assert sdk.files.retrieve(file.id).id == file.id
    batch = order(sdk, file)
    assert (batch.object, batch.status, batch.input_file_id) == ("batch", "in_progress", file.id)
    assert [request["custom_id"] for request in vendor.requests] == list(BODIES)
    batch = sdk.batches.retrieve(batch.id)
    counts = batch.request_counts
    assert (batch.status, counts.total, counts.completed, counts.failed) == ("expired", 8, 5, 3)
    type(batch).model_validate(batch.model_dump())

    answers = {}
    for line in sdk.files.content(batch.output_file_id).iter_lines():
        line = json.loads(line)
        assert (line["error"], line["response"]["status_code"]) == (None, 200)
        answers[line["custom_id"]] = openai.types.chat.ChatCompletion.model_validate(line["response"]["body"], strict=False)
    assert set(answers) == {"plain", "tools", "parts", "thinking", "schema-1"}
    assert answers["plain"].choices[0].message.content == "Hello plain"
    assert answers["plain"].usage.completion_tokens == 5
    assert json.loads(answers["schema-1"].choices[0].message.content) == {"city": "Oslo"}

    failures = [json.loads(line) for line in sdk.files.content(batch.error_file_id).text.splitlines()]
    failures = {line["custom_id"]: line for line in failures}
    assert set(failures) == {"errored-1", "canceled-1", "expired-1"}
    response = failures["errored-1"]["response"]
    assert (response["status_code"], response["body"]["error"]["message"]) == (400, "no such model")
    assert failures["expired-1"]["error"]["code"] == "batch_expired"

    assert [one.id for one in sdk.batches.list(limit=5)] == [batch.id]
    assert {one.id for one in sdk.files.list()} == {file.id, FILE, batch.output_file_id, batch.error_file_id}
    assert [one.id for one in sdk.files.list(purpose="batch")] == [file.id]
    assert sdk.files.delete(file.id).deleted and sdk.files.delete(batch.output_file_id).deleted
    with pytest.raises(openai.NotFoundError):
        sdk.files.retrieve(file.id)


def test_a_batch_is_cancelled(sdk):
    batch = order(sdk, sdk.files.create(file=("in.jsonl", lines()), purpose="batch"))
    assert sdk.batches.cancel(batch.id).status == "cancelling"
    assert sdk.batches.retrieve(batch.id).status == "cancelled"


def test_a_line_that_is_wrong_is_named(sdk):
    wrong = lines().replace(b'"custom_id": "tools"', b'"custom_id": "the tools"')
    with pytest.raises(openai.BadRequestError, match="line 2: `the tools`"):
        sdk.files.create(file=("in.jsonl", wrong), purpose="batch")


def test_a_file_of_the_vendors_own_is_asked_about(sdk):
    file = sdk.files.create(file=("tide.pdf", PDF, "application/pdf"), purpose="user_data")
    assert (file.id, file.purpose, file.bytes) == (FILE, "user_data", len(PDF))
    parts = [{"type": "file", "file": {"file_id": file.id}}, {"type": "text", "text": "What is it?"}]
    reply = sdk.chat.completions.create(model="claude-haiku-4-5", messages=[{"role": "user", "content": parts}])
    assert reply.choices[0].message.content == "A tide"
    assert sdk.files.delete(file.id).deleted
