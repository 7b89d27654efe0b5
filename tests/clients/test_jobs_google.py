"""Files and batches at Google's two services: OpenAI's usual script through the gateway, in front of vendors that Google's own
SDK can use just as well. What reaches them is compared with what that SDK sends, every line is judged by its types, and the
bucket of Vertex AI is an emulator that we did not write, in which Google's storage client reads what was uploaded."""

from __future__ import annotations

import io
import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from gcp_storage_emulator.server import create_server
from google import genai
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.genai import types
from google.oauth2.credentials import Credentials
from openai import OpenAI

from harness import MASTER_KEY, Gateway, free_port
from test_gemini import KEY, answer, judge, wire

pytestmark = pytest.mark.gateway

MODEL = "gemini-3-flash"
ASKED = {"temperature": 0.3, "max_tokens": 50}


def line(custom_id: str, content: str, model: str = MODEL) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": content}], **ASKED}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body})


LINES = [line("007", "When?"), line('a "b" é', "Where?"), line("2026-01-01", "fail")]


def run(request: dict) -> dict:
    """What the vendor makes of one request: one that asks for it fails."""
    read = judge(request)
    if read.contents[0].parts[0].text == "fail":
        return {"error": {"code": 3, "message": "Please use a valid role: user, model."}}
    return {"response": wire(answer(types.Part(text=f"{read.contents[0].parts[0].text} At 06:12.")))}


def shape(body: object) -> object:
    """The members of a body, by the names that the vendor has for them in either spelling."""
    if isinstance(body, dict):
        return {re.sub("_(.)", lambda found: found[1].upper(), name): shape(value) for name, value in body.items()}
    return [shape(value) for value in body] if isinstance(body, list) else None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def say(self, body: dict | bytes, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(200)
        for name, value in {"content-type": "application/json", **headers, "content-length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def log_message(self, *_: object) -> None:
        pass


def serve(handler: type[Handler], **state: object):
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in state.items():
        setattr(server, name, value)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def script(client: OpenAI) -> tuple[object, list[dict], list[dict]]:
    """OpenAI's usual script: the batch when it has ended, its answers and its failures."""
    file = client.files.create(file=("in.jsonl", "\n".join(LINES).encode()), purpose="batch")
    assert (file.purpose, file.filename, file.status) == ("batch", "in.jsonl", "processed")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"night": "7"}
    )
    assert (batch.object, batch.status, batch.input_file_id) == ("batch", "validating", file.id)
    deadline = time.monotonic() + 10
    while batch.status not in ("completed", "failed", "expired", "cancelled") and time.monotonic() < deadline:
        batch = client.batches.retrieve(batch.id)
    assert batch.status == "completed", batch
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (3, 2, 1)
    assert batch.metadata == {"night": "7"} and batch.completed_at >= batch.created_at
    told = [client.files.content(id).text for id in (batch.output_file_id, batch.error_file_id)]
    answers, failures = ([json.loads(one) for one in text.splitlines()] for text in told)
    assert {one["custom_id"]: one["response"]["body"]["choices"][0]["message"]["content"] for one in answers} == {
        "007": "When? At 06:12.",
        'a "b" é': "Where? At 06:12.",
    }
    (failed,) = failures
    assert (failed["custom_id"], failed["response"]["status_code"]) == ("2026-01-01", 400)
    assert failed["response"]["body"]["error"]["message"] == "Please use a valid role: user, model."
    assert batch.id in [one.id for one in client.batches.list()]
    assert file.id in [one.id for one in client.files.list(purpose="batch")]
    assert client.files.retrieve(file.id).id == file.id
    assert client.files.delete(file.id).deleted
    return batch, answers, failures


# ---- the Gemini API -----------------------------------------------------------------------------------------------------


class Gemini(Handler):
    """Files and batches as https://ai.google.dev/api/files and https://ai.google.dev/api/batch-api have them."""

    def do_POST(self) -> None:
        body, path = self.read(), self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower().startswith("x-goog-upload-")}
        # the address of an upload is its credential
        assert self.headers["x-goog-api-key"] == KEY or "x-goog-upload-offset" in headers
        self.server.seen.append((path, headers, body))
        if path == "/upload/v1beta/files" and headers["x-goog-upload-command"] == "start":
            self.server.begun = (json.loads(body)["file"], headers)
            self.say({}, **{"x-goog-upload-url": f"{self.server.url}/upload/v1beta/files?upload_id=u&upload_protocol=resumable"})
        elif path == "/upload/v1beta/files":
            about, begun = self.server.begun
            assert int(begun["x-goog-upload-header-content-length"]) == len(body)
            kind = begun["x-goog-upload-header-content-type"]
            self.say({"file": self.keep(body, about.get("displayName"), kind)}, **{"x-goog-upload-status": "final"})
        elif path.endswith(":batchGenerateContent"):
            asked = json.loads(body)["batch"]
            name = f"batches/b{len(self.server.batches)}"
            self.server.batches[name] = {
                "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
                "model": path.removeprefix("/v1beta/").split(":")[0],
                "displayName": asked["displayName"],
                "inputConfig": asked["inputConfig"],
                "createTime": "2026-11-20T11:00:00.5Z",
                "updateTime": "2026-11-20T11:00:00.5Z",
                "state": "BATCH_STATE_PENDING",
                "name": name,
            }
            self.say({"name": name, "metadata": self.server.batches[name]})
        else:
            raise AssertionError(self.path)

    def keep(self, content: bytes, display: str | None, kind: str, name: str | None = None) -> dict:
        name = name or f"files/f{len(self.server.files)}"
        file = {
            "name": name,
            "displayName": display or "",
            "mimeType": kind,
            "sizeBytes": str(len(content)),
            "createTime": "2026-11-20T10:00:00Z",
            "uri": f"https://generativelanguage.googleapis.com/v1beta/{name}",
            "state": "ACTIVE",
        }
        self.server.files[name] = (file, content)
        return file

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].removeprefix("/v1beta/")
        if path == "files":
            return self.say({"files": [file for file, _ in self.server.files.values()]})
        if path == "batches":
            return self.say({"operations": [{"name": name, "metadata": one} for name, one in self.server.batches.items()]})
        if path.endswith(":download"):
            assert self.path.endswith("?alt=media")
            return self.say(self.server.files[path.removesuffix(":download")][1])
        if path.startswith("files/"):
            return self.say(self.server.files[path][0])
        batch = self.server.batches[path]
        if batch["state"] == "BATCH_STATE_PENDING":
            lines = [json.loads(one) for one in self.server.files[batch["inputConfig"]["fileName"]][1].splitlines()]
            results = [{"key": one["key"], **run(one["request"])} for one in lines]
            failed = sum("error" in one for one in results)
            name = path.replace("batches/", "files/batch-")
            self.keep(b"".join(json.dumps(one).encode() + b"\n" for one in results), None, "application/jsonl", name)
            stats = {"requestCount": len(lines), "successfulRequestCount": len(lines) - failed, "failedRequestCount": failed}
            batch |= {
                "batchStats": {name: str(count) for name, count in stats.items() if count},
                "state": "BATCH_STATE_SUCCEEDED",
                "endTime": "2026-11-20T11:05:00Z",
                "output": {"responsesFile": name},
            }
        done = {"done": True, "response": {"responsesFile": batch["output"]["responsesFile"]}}
        self.say({"name": path, "metadata": batch, **done})

    def do_DELETE(self) -> None:
        del self.server.files[self.path.removeprefix("/v1beta/")]
        self.say({})


@pytest.fixture(scope="module")
def gemini():
    server = serve(Gemini, seen=[], files={}, batches={})
    yield server
    server.shutdown()


def test_openai_s_script_at_the_gemini_api_sends_what_google_s_sdk_sends(gemini):
    options = types.HttpOptions(base_url=gemini.url, api_version="v1beta")
    google = genai.Client(api_key=KEY, http_options=options)
    content = json.dumps({"key": "a", "request": {"contents": [{"role": "user", "parts": [{"text": "When?"}]}]}})
    config = types.UploadFileConfig(display_name="mine", mime_type="application/jsonl")
    file = google.files.upload(file=io.BytesIO(content.encode()), config=config)
    job = google.batches.create(model=MODEL, src=file.name, config={"display_name": "mine"})
    assert google.batches.get(name=job.name).state == types.JobState.JOB_STATE_SUCCEEDED
    theirs = list(gemini.seen)
    gemini.seen.clear()

    target = {"virtual_key": "gemini", "base_url": f"{gemini.url}/v1beta", "api_key": "${KEY}"}
    config = {"strategy": {"mode": "single"}, "targets": [target], "batch_target": "gemini"}
    with Gateway(os.environ["CLIENTS_BINARY"], config, {"KEY": KEY, "FERRO_MODEL_DISCOVERY_INTERVAL": "0"}) as gateway:
        with OpenAI(base_url=gateway.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as client:
            script(client)
            report = client.files.create(file=("tide.pdf", b"%PDF-1.7"), purpose="user_data")
            assert report.to_dict()["mimeType"] == "application/pdf"
    ours = gemini.seen[:3]
    for (path, headers, body), (same, told, sent) in zip(theirs, ours, strict=True):
        # the SDK repeats the fields of the first request of an upload in the second
        assert path == same and all(headers[name] == told[name] for name in told if "content-length" not in name)
        assert all(name in told for name in headers if name.endswith(("command", "offset")))
        if "finalize" not in told.get("x-goog-upload-command", ""):
            ours_of, theirs_of = shape(json.loads(sent)), shape(json.loads(body))
            # the SDK tells a file's length and kind twice
            assert ours_of == theirs_of or ours_of.keys() == {"file"} and ours_of["file"].keys() < theirs_of["file"].keys()
    # what the gateway has made is a batch to the SDK, too
    made = google.batches.get(name="batches/b1")
    assert (made.state, made.dest.file_name, made.model) == (types.JobState.JOB_STATE_SUCCEEDED, "files/batch-b1", f"models/{MODEL}")
    assert len(google.files.download(file=made.dest.file_name).splitlines()) == len(LINES)


# ---- Vertex AI ----------------------------------------------------------------------------------------------------------

ROOT = "/v1/projects/p-1/locations/europe-west4/batchPredictionJobs"


class Vertex(Handler):
    """Jobs as https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.batchPredictionJobs has them."""

    def do_POST(self) -> None:
        body = json.loads(self.read())
        assert self.path == ROOT, self.path
        self.server.seen.append(body)
        number = str(1000 + len(self.server.jobs))
        job = {"name": f"{ROOT.removeprefix('/v1/')}/{number}", **body, "state": "JOB_STATE_PENDING"}
        self.server.jobs[number] = {**job, "createTime": "2026-11-20T11:00:00.5Z", "updateTime": "2026-11-20T11:00:00.5Z"}
        self.say(self.server.jobs[number])

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == ROOT:
            return self.say({"batchPredictionJobs": list(self.server.jobs.values())})
        job = self.server.jobs[path.rsplit("/", 1)[-1]]
        if job["state"] == "JOB_STATE_PENDING":
            (uri,) = job["inputConfig"]["gcsSource"]["uris"]
            bucket = self.server.client.bucket("tides")
            content = bucket.blob(uri.removeprefix("gs://tides/")).download_as_bytes()
            lines = [json.loads(one) for one in content.splitlines()]
            results = []
            for one in lines:
                assert set(one) == {"custom_id", "request"} and not re.fullmatch(r"[\d\-.:]*", one["custom_id"])
                came = run(one["request"])
                status = f"Bad Request: {json.dumps({'error': came['error']})}" if "error" in came else ""
                row = {"status": status, "processed_time": "2026-11-20T11:04:00+00:00", **one}
                results.append(row | {"response": came.get("response", {})})
            folder = f"{job['outputConfig']['gcsDestination']['outputUriPrefix']}/prediction-model-2026-11-20T11:00:00.5Z"
            blob = bucket.blob(f"{folder.removeprefix('gs://tides/')}/predictions.jsonl")
            blob.upload_from_string("\n".join(json.dumps(one) for one in results))
            failed = sum(bool(one["status"]) for one in results)
            job |= {
                "state": "JOB_STATE_SUCCEEDED",
                "startTime": "2026-11-20T11:01:00Z",
                "endTime": "2026-11-20T11:05:00Z",
                "completionStats": {"successfulCount": str(len(results) - failed), "failedCount": str(failed)},
                "outputInfo": {"gcsOutputDirectory": folder},
            }
        self.say(job)


@pytest.fixture(scope="module")
def store():
    port = free_port()
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="tides")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="module")
def vertex(store):
    client = storage.Client(project="p-1", credentials=AnonymousCredentials(), client_options={"api_endpoint": store})
    server = serve(Vertex, seen=[], jobs={}, client=client)
    yield server
    server.shutdown()


def test_openai_s_script_at_vertex_ai_keeps_its_lines_where_google_s_client_reads_them(vertex, store):
    options = types.HttpOptions(base_url=vertex.url, api_version="v1")
    google = genai.Client(vertexai=True, project="p-1", location="europe-west4", credentials=Credentials("ya29.x"), http_options=options)
    config = types.CreateBatchJobConfig(display_name="mine", dest="gs://tides/mine")
    google.batches.create(model=MODEL, src="gs://tides/mine.jsonl", config=config)
    (theirs,) = vertex.seen
    vertex.jobs.clear()

    options = {"project_id": "p-1", "region": "europe-west4", "batch_bucket": "gs://tides/blue"}
    target = {"virtual_key": "vertex-ai", "base_url": vertex.url, "api_key": "${KEY}", "options": options}
    config = {"strategy": {"mode": "single"}, "targets": [target], "batch_target": "vertex-ai"}
    env = {"KEY": KEY, "STORAGE_EMULATOR_HOST": store, "FERRO_MODEL_DISCOVERY_INTERVAL": "0"}
    with Gateway(os.environ["CLIENTS_BINARY"], config, env) as gateway:
        with OpenAI(base_url=gateway.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as client:
            batch, _, _ = script(client)
            results = client.files.retrieve(batch.output_file_id)
            assert (results.purpose, results.bytes > 0) == ("batch_output", True)
            assert client.files.delete(batch.output_file_id).deleted
    assert [blob.name for blob in vertex.client.list_blobs("tides")] == []
    ours = vertex.seen[-1]
    assert shape(ours) == shape(theirs)
    assert (ours["model"], ours["inputConfig"]["instancesFormat"]) == (theirs["model"], theirs["inputConfig"]["instancesFormat"])
    (number,) = vertex.jobs
    made = google.batches.get(name=f"{ROOT.removeprefix('/v1/')}/{number}")
    assert (made.state, made.completion_stats.successful_count) == (types.JobState.JOB_STATE_SUCCEEDED, 2)
