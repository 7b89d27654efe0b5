"""The usual script of a batch at Cohere: the same things are asked for with Cohere's own SDK, and both must ask alike;
datasets and batches are made of its models, and fastavro writes the results."""

from __future__ import annotations

import io
import json
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import cohere
import fastavro
import openai
import pytest
from cohere.batches.types import Batch
from cohere.datasets.types import DatasetsGetResponse
from cohere.types import Dataset, DatasetPart
from openai import OpenAI

from harness import MASTER_KEY
from test_cohere import PLAIN

pytestmark = [
    pytest.mark.gateway,
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute"),  # in the SDK itself
]

KEY = "co-of-the-test"
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
TEXT = {"type": "record", "name": "Part", "fields": [{"name": "type", "type": "string"}, {"name": "text", "type": ["null", "string"]}]}
COUNT = {"type": "record", "name": "Tokens", "fields": [{"name": name, "type": "double"} for name in ("input_tokens", "output_tokens")]}
MESSAGE = {
    "type": "record",
    "name": "Message",
    "fields": [{"name": "role", "type": "string"}, {"name": "content", "type": {"type": "array", "items": TEXT}}],
}
BODY = {
    "type": "record",
    "name": "Body",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "finish_reason", "type": {"type": "enum", "name": "Reason", "symbols": ["COMPLETE", "MAX_TOKENS"]}},
        {"name": "message", "type": MESSAGE},
        {"name": "usage", "type": ["null", {"type": "record", "name": "Usage", "fields": [{"name": "tokens", "type": COUNT}]}]},
    ],
}
ROW = fastavro.parse_schema(
    {
        "type": "record",
        "name": "Row",
        "fields": [
            {"name": "custom_id", "type": "string"},
            {"name": "body", "type": ["null", BODY]},
            {"name": "error", "type": "string"},
        ],
    }
)


def wire(model) -> dict:
    return json.loads(model.model_dump_json(by_alias=True, exclude_none=True))


class Vendor(ThreadingHTTPServer):
    """Cohere, as far as datasets and batches go: a batch has ended as soon as it is asked for."""

    daemon_threads = True

    def __init__(self, codec: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.codec = codec
        self.rows: dict[str, list[dict]] = {}
        self.names: dict[str, str] = {}
        self.jobs: dict[str, dict] = {}
        self.asked: list[tuple] = []
        self.bare: list[dict] = []

    def dataset(self, name: str, kind: str, parts: list[DatasetPart]) -> Dataset:
        return Dataset(
            id=name,
            name=self.names.get(name, name),
            created_at=NOW,
            updated_at=NOW,
            dataset_type=kind,
            validation_status="validated",
            dataset_parts=parts,
        )

    def results(self, job: str, half: int) -> bytes:
        told = []
        for row in self.rows[self.jobs[job]["input_dataset_id"]][half::2]:
            name = row["custom_id"]
            content = [{"type": "text", "text": f"Said to {name} é."}]
            body = {
                "id": f"c-{name}",
                "finish_reason": "COMPLETE",
                "message": {"role": "assistant", "content": content},
                "usage": {"tokens": {"input_tokens": 5.0, "output_tokens": 2.0}},
            }
            bad = name.startswith("bad")
            told.append({"custom_id": name, "body": None if bad else body, "error": "Invalid request" if bad else ""})
        file = io.BytesIO()
        fastavro.writer(file, ROW, told, codec=self.codec, sync_interval=500)
        return file.getvalue()

    def answer(self, method: str, target: str, headers: dict, body: bytes) -> tuple[int, bytes]:
        path, query = urlsplit(target).path, sorted(parse_qsl(urlsplit(target).query))
        if path.startswith("/files/"):
            self.bare.append(headers)
            return 200, self.results(path.split("/")[2], int(path.split("/")[3]))
        assert headers["authorization"] == f"Bearer {KEY}"
        said: dict = {}
        parts = path.strip("/").split("/")
        sent: object = None
        if (method, path) == ("POST", "/v1/datasets"):
            boundary = headers["content-type"].split("boundary=")[1].strip('"').encode()
            (part,) = body.split(b"--" + boundary)[1:-1]
            head, content = part.removesuffix(b"\r\n").split(b"\r\n\r\n", 1)
            assert b'name="data"' in head
            name = f"ds-{len(self.rows)}"
            self.rows[name] = [json.loads(row) for row in content.decode().splitlines()]
            self.names[name] = dict(query)["name"]
            said = {"id": name}
            sent = self.rows[name]
        elif (method, parts[:2], len(parts)) == ("GET", ["v1", "datasets"], 3):
            name = parts[2]
            if name.startswith("out-"):
                urls = [f"{self.url}/files/{name[4:]}/{half}?X-Goog-Signature=x" for half in (0, 1)]
                files = [DatasetPart(id=str(at), name="p", url=url, index=at) for at, url in enumerate(urls)]
                said = wire(DatasetsGetResponse(dataset=self.dataset(name, "batch-chat-v2-output", files)))
            elif name in self.rows:
                said = wire(DatasetsGetResponse(dataset=self.dataset(name, "batch-chat-v2-input", [])))
            else:
                return 404, b'{"message":"dataset not found"}'
        elif (method, path) == ("GET", "/v1/datasets"):
            offset = int(dict(query).get("offset", 0))
            known = [self.dataset(name, "batch-chat-v2-input", []) for name in self.rows]
            said = {"datasets": [wire(each) for each in known[offset:]]}
        elif (method, parts[:2]) == ("DELETE", ["v1", "datasets"]):
            self.rows.pop(parts[2], None)
        elif (method, path) == ("POST", "/v2/batches"):
            sent = json.loads(body)
            name = f"job-{len(self.jobs)}"
            self.jobs[name] = sent
            said = {"batch": self.job(name, "QUEUED")}
        elif (method, path) == ("GET", "/v2/batches"):
            said = {"batches": [self.job(name, "COMPLETED") for name in self.jobs]}
        elif method == "GET" and parts[:2] == ["v2", "batches"]:
            said = {"batch": self.job(parts[2], "CANCELING" if self.jobs[parts[2]].get("ended") else "COMPLETED")}
        elif method == "POST" and path.endswith(":cancel"):
            self.jobs[parts[2].removesuffix(":cancel")]["ended"] = True
        else:
            return 404, b'{"message":"no such path"}'
        self.asked.append((method, path, query, sent))
        return 200, json.dumps(said).encode()

    def job(self, name: str, status: str) -> dict:
        rows = self.rows.get(self.jobs[name]["input_dataset_id"], [])
        bad = sum(row["custom_id"].startswith("bad") for row in rows)
        done = status == "COMPLETED"
        batch = Batch(
            id=name,
            name=self.jobs[name]["name"],
            status=f"BATCH_STATUS_{status}",
            created_at=NOW,
            updated_at=NOW,
            input_dataset_id=self.jobs[name]["input_dataset_id"],
            output_dataset_id=f"out-{name}" if done else "",
            model=self.jobs[name]["model"],
            input_tokens=str(5 * len(rows)) if done else "0",
            output_tokens=str(2 * len(rows)) if done else "0",
            num_records=len(rows),
            num_successful_records=len(rows) - bad if done else 0,
            num_failed_records=bad if done else 0,
        )
        return wire(batch)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Vendor

    def log_message(self, *_: object) -> None:
        pass

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def do_ANY(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            status, answer = self.server.answer(self.command, self.path, headers, self.body())
        except Exception as error:  # a handler's exception would only close the connection
            status, answer = 500, json.dumps({"message": repr(error)}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_DELETE = do_ANY


@pytest.fixture(params=["null", "deflate"])
def vendor(request):
    server = Vendor(request.param)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(vendor, gateway):
    target = {"virtual_key": "cohere", "base_url": vendor.url, "api_key": "${KEY}"}
    started = gateway({"targets": [target], "batch_target": "cohere"}, {"KEY": KEY})
    with OpenAI(base_url=started.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as client:
        yield client


def line(name: str, **more: object) -> dict:
    body = {"model": PLAIN, "max_tokens": 9, "messages": [{"role": "user", "content": f"I am {name}."}], **more}
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def upload(client: OpenAI, lines: list[dict]):
    content = "".join(json.dumps(each) + "\n" for each in lines).encode()
    return client.files.create(file=("in.jsonl", content), purpose="batch")


def order(client: OpenAI, file: str):
    return client.batches.create(input_file_id=file, endpoint="/v1/chat/completions", completion_window="24h")


def results(client: OpenAI, file: str) -> dict[str, dict]:
    return {told["custom_id"]: told for told in map(json.loads, client.files.content(file).text.splitlines())}


def test_the_usual_script(client, vendor):
    names = ["a", "b é", "bad-1", *(f"n{at}" for at in range(50))]
    file = upload(client, [line(name) for name in names])
    batch = order(client, file.id)
    assert (batch.status, batch.input_file_id, batch.model) == ("validating", file.id, PLAIN)
    done = client.batches.retrieve(batch.id)
    assert (done.status, done.usage.total_tokens) == ("completed", 7 * len(names))
    assert done.request_counts.to_dict() == {"total": len(names), "completed": len(names) - 1, "failed": 1}
    good = results(client, done.output_file_id)
    assert set(good) == set(names) - {"bad-1"}
    answer = openai.types.chat.ChatCompletion.model_validate(good["b é"]["response"]["body"])
    assert answer.choices[0].message.content == "Said to b é é." and answer.usage.total_tokens == 7
    bad = results(client, done.error_file_id)
    assert bad["bad-1"]["response"]["body"]["error"]["message"] == "Invalid request"
    assert all("authorization" not in headers for headers in vendor.bare) and len(vendor.bare) == 4


def test_the_vendor_is_asked_as_its_sdk_asks(client, vendor):
    file = upload(client, [line("a")])
    batch = order(client, file.id)
    client.batches.retrieve(batch.id)
    client.batches.cancel(batch.id)
    client.files.retrieve(file.id)
    client.files.delete(file.id)
    ours = [asked for asked in vendor.asked]
    vendor.asked.clear()
    vendor.rows.clear()
    vendor.jobs.clear()
    sdk = cohere.ClientV2(api_key=KEY, base_url=vendor.url)
    row = {"custom_id": "a", "body": ours[0][3][0]["body"]}
    name = f"ferrogw__{PLAIN}__in.jsonl"
    data = ("batch.jsonl", (json.dumps(row) + "\n").encode())
    dataset = sdk.datasets.create(name=name, type="batch-chat-v2-input", data=data)
    sdk.datasets.get(dataset.id)
    made = sdk.batches.create(request={"name": "ferrogw", "input_dataset_id": dataset.id, "model": PLAIN})
    sdk.batches.retrieve(made.batch.id)
    sdk.batches.cancel(made.batch.id)
    sdk.batches.retrieve(made.batch.id)
    sdk.datasets.get(dataset.id)
    # only what is an input of batches is deleted, so it is looked at once more
    sdk.datasets.get(dataset.id)
    sdk.datasets.delete(dataset.id)
    assert ours == vendor.asked


def test_lists_go_over_pages(client, vendor):
    files = {upload(client, [line(name)]).id for name in ("a", "b", "c")}
    assert {file.id for file in client.files.list(limit=2, purpose="batch")} == files
    batches = {order(client, file).id for file in files}
    assert {batch.id for batch in client.batches.list(limit=2)} == batches
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve("file-aWRzLTk")
