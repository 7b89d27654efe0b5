"""The usual script of a batch at Bedrock: moto's server is S3, botocore judges every signature and every body, boto3 reads
and writes the same objects in the place of Bedrock's jobs, and OpenAI's SDK is the caller."""

from __future__ import annotations

import http.client
import json
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import boto3
import botocore.parsers
import botocore.session
import openai
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.validate import ParamValidator
from moto.server import ThreadedMotoServer
from openai import OpenAI

from harness import MASTER_KEY
from test_openai import WEATHER

pytestmark = pytest.mark.gateway

REGION, BUCKET, ACCOUNT = "eu-central-1", "batches.of-the.test", "111122223333"
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session/token+of=test")
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Batch"
NOVA, TITAN = "eu.amazon.nova-pro-v1:0", "amazon.titan-embed-text-v2:0"
CONTROL = botocore.session.get_session().get_service_model("bedrock")
RUNTIME = botocore.session.get_session().get_service_model("bedrock-runtime")
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc).isoformat().replace("+00:00", "Z")


def shape(service, operation: str, params: dict, output: bool = False) -> None:
    model = service.operation_model(operation)
    wanted = model.output_shape if output else model.input_shape
    if output:
        body = json.dumps(params).encode()
        params = botocore.parsers.create_parser("rest-json").parse({"status_code": 200, "headers": {}, "body": body}, wanted)
        params.pop("ResponseMetadata")
    report = ParamValidator().validate(params, wanted)
    assert not report.has_errors(), report.generate_report()
    strange = set(params) - set(wanted.members)
    assert not strange, strange


def is_of_s3(target: str) -> bool:
    return urlsplit(target).path.startswith(f"/{BUCKET}")


class Aws(ThreadingHTTPServer):
    """S3 and the control plane at one address: what is not signed as botocore would sign it is a complaint."""

    daemon_threads = True

    def __init__(self, s3: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.s3 = s3
        self.url = f"http://127.0.0.1:{self.server_port}"
        session = boto3.Session(KEYS.access_key, KEYS.secret_key, KEYS.token, REGION)
        self.store = session.client("s3", endpoint_url=f"http://{s3[0]}:{s3[1]}")
        self.store.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.jobs: dict[str, dict] = {}
        self.complaints: list[str] = []
        self.asked: list[str] = []

    def judge(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        """The signature, made once more."""
        parts = dict(part.strip().split("=", 1) for part in headers["authorization"].partition(" ")[2].split(","))
        _, date, region, service, _ = parts["Credential"].split("/")
        signed = parts["SignedHeaders"].split(";")
        assert region == REGION and headers["x-amz-date"].startswith(date)
        assert {"host", "x-amz-date", "x-amz-security-token"} <= set(signed)
        assert {name for name in headers if name.startswith("x-amz-")} <= set(signed)
        request = AWSRequest(method=method, url=f"http://{headers['host']}{urlsplit(target).path}", data=body)
        request.params = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        for name in signed:
            if name != "host":
                request.headers[name] = headers[name]
        request.context["timestamp"] = headers["x-amz-date"]
        of_s3 = is_of_s3(target)
        assert service == ("s3" if of_s3 else "bedrock")
        if of_s3:
            request.context["payload_signing_enabled"] = True
        auth = (S3SigV4Auth if of_s3 else SigV4Auth)(KEYS, service, region)
        assert auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request) == parts["Signature"]

    def control(self, method: str, target: str, body: bytes) -> tuple[int, dict]:
        path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query))
        parts = path.strip("/").split("/")
        if method == "POST" and parts == ["model-invocation-job"]:
            order = json.loads(body)
            shape(CONTROL, "CreateModelInvocationJob", order)
            name = f"job{len(self.jobs):09d}"
            arn = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:model-invocation-job/{name}"
            kept = ("jobName", "modelId", "roleArn", "inputDataConfig", "outputDataConfig", "modelInvocationType")
            self.jobs[name] = {"jobArn": arn, "status": "Submitted", "submitTime": NOW, **{k: order[k] for k in kept}}
            self.jobs[name]["timeoutDurationInHours"] = order["timeoutDurationInHours"]
            return 200, {"jobArn": arn}
        if parts == ["model-invocation-jobs"]:
            asked = {"maxResults": int(query.pop("maxResults")), **query}
            shape(CONTROL, "ListModelInvocationJobs", asked)
            answer = {"invocationJobSummaries": list(reversed(self.jobs.values()))}
            shape(CONTROL, "ListModelInvocationJobs", answer, output=True)
            return 200, answer
        if parts[0] != "model-invocation-job":  # models are looked for here, too
            return 404, {"message": "Not here"}
        shape(CONTROL, "GetModelInvocationJob", {"jobIdentifier": parts[1]})
        if parts[1] not in self.jobs:
            return 404, {"message": "Could not find the job", "__type": "ResourceNotFoundException"}
        job = self.jobs[parts[1]]
        if parts[2:] == ["stop"]:
            job.update(status="Stopping", lastModifiedTime=NOW)
            return 200, {}
        shape(CONTROL, "GetModelInvocationJob", job, output=True)
        return 200, job

    def work(self, name: str) -> list[dict]:
        """Do a job as Bedrock does: read its input, write its results. Returns what each line asked for."""
        job = self.jobs[name]
        bucket, key = job["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].removeprefix("s3://").split("/", 1)
        lines = self.store.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
        records = [json.loads(line) for line in lines]
        told, good = [], 0
        for record in records:
            assert set(record) == {"recordId", "modelInput"}
            if record["recordId"].startswith("bad"):
                told.append({**record, "error": {"errorCode": 400, "errorMessage": "Malformed input request"}})
                continue
            good += 1
            if job["modelInvocationType"] == "Converse":
                shape(RUNTIME, "Converse", {"modelId": job["modelId"], **record["modelInput"]})
                answer = {
                    "output": {"message": {"role": "assistant", "content": [{"text": f"Said to {record['recordId']} é."}]}},
                    "stopReason": "end_turn",
                    "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7},
                    "metrics": {"latencyMs": 9},
                }
                shape(RUNTIME, "Converse", answer, output=True)
            else:
                answer = {"embedding": [0.5, -1.0], "inputTextTokenCount": 3}
            told.append({**record, "modelOutput": answer})
        bucket, out = job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].removeprefix("s3://").split("/", 1)
        text = "".join(json.dumps(line) + "\n" for line in reversed(told))
        counts = {"totalRecordCount": len(told), "processedRecordCount": len(told)}
        counts |= {"successRecordCount": good, "errorRecordCount": len(told) - good}
        manifest = {**counts, "inputTokenCount": 5 * good, "outputTokenCount": 2 * good}
        at = f"{out}{name}/"
        self.store.put_object(Bucket=bucket, Key=f"{at}{key.rsplit('/', 1)[1]}.out", Body=text.encode())
        self.store.put_object(Bucket=bucket, Key=f"{at}manifest.json.out", Body=json.dumps(manifest).encode())
        job.update(status="Completed", endTime=NOW, lastModifiedTime=NOW, **counts)
        return records


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Aws

    def log_message(self, *_: object) -> None:
        pass

    def do_ANY(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if is_of_s3(self.path) or "job" in self.path:
            self.server.asked.append(f"{self.command} {self.path}")
        status, kind, answer, extra = 500, "application/json", b"{}", {}
        try:
            self.server.judge(self.command, self.path, headers, body)
            if is_of_s3(self.path):
                status, kind, answer, extra = self.pass_on(headers, body)
            else:
                status, said = self.server.control(self.command, self.path, body)
                answer = json.dumps(said).encode()
        except Exception as error:  # a handler's exception would only close the connection
            self.server.complaints.append(f"{self.command} {self.path}: {error!r}")
        self.send_response(status)
        for name, value in {**extra, "content-type": kind, "content-length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def pass_on(self, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(*self.server.s3)
        connection.request(self.command, self.path, body, {**headers, "host": "s3.eu-central-1.amazonaws.com"})
        answer = connection.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() in ("last-modified", "content-range")}
        return answer.status, answer.getheader("content-type", ""), answer.read(), kept

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_ANY


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def aws(s3):
    connection = http.client.HTTPConnection(*s3)
    connection.request("POST", "/moto-api/reset")
    assert connection.getresponse().status == 200
    server = Aws(s3)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
    assert server.complaints == []


@pytest.fixture
def client(aws, gateway):
    options = {
        "region": REGION,
        "access_key_id": KEYS.access_key,
        "secret_access_key": "${AWS_TEST_SECRET}",
        "session_token": KEYS.token,
        "control_url": aws.url,
        "batch_bucket": f"s3://{BUCKET}/of/the-gateway",
        "batch_role": ROLE,
    }
    target = {"virtual_key": "aws", "provider": "bedrock", "base_url": "http://127.0.0.1:9", "options": options}
    env = {"AWS_TEST_SECRET": KEYS.secret_key, "AWS_ENDPOINT_URL_S3": aws.url}
    started = gateway({"targets": [target], "batch_target": "aws"}, env)
    with OpenAI(base_url=started.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as client:
        yield client


def line(name: str, **more: object) -> dict:
    body = {"model": NOVA, "max_tokens": 9, "messages": [{"role": "user", "content": f"I am {name}."}], **more}
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def upload(client: OpenAI, lines: list[dict], name: str = "mein (1) tag.jsonl"):
    content = "".join(json.dumps(each) + "\n" for each in lines).encode()
    return client.files.create(file=(name, content), purpose="batch")


def order(client: OpenAI, file: str, endpoint: str = "/v1/chat/completions"):
    return client.batches.create(input_file_id=file, endpoint=endpoint, completion_window="24h")


def results(client: OpenAI, file: str) -> dict[str, dict]:
    return {told["custom_id"]: told for told in map(json.loads, client.files.content(file).text.splitlines())}


def test_the_usual_script(client, aws):
    names = ["a", 'b "quoted" é', "bad-1"]
    pilot = {"role": "system", "content": "You are a pilot."}
    lines = [line(name) for name in names]
    lines[0]["body"]["messages"].insert(0, pilot)
    lines[0]["body"] |= {"temperature": 0.3, "stop": ["END"]}
    file = upload(client, lines)
    assert (file.status, file.purpose) == ("processed", "batch")
    batch = order(client, file.id)
    assert (batch.status, batch.input_file_id, batch.model) == ("validating", file.id, NOVA)
    assert client.batches.retrieve(batch.id).request_counts.total == 0
    (name,) = aws.jobs
    records = aws.work(name)
    assert [record["recordId"] for record in records] == names
    assert records[0]["modelInput"]["system"] == [{"text": "You are a pilot."}]
    done = client.batches.retrieve(batch.id)
    assert (done.status, done.id, done.usage.total_tokens) == ("completed", batch.id, 14)
    assert done.request_counts.to_dict() == {"total": 3, "completed": 2, "failed": 1}
    good = results(client, done.output_file_id)
    assert set(good) == set(names[:2])
    answer = openai.types.chat.ChatCompletion.model_validate(good[names[1]]["response"]["body"])
    assert answer.choices[0].message.content == f"Said to {names[1]} é." and answer.usage.total_tokens == 7
    bad = results(client, done.error_file_id)
    assert (set(bad), bad["bad-1"]["response"]["status_code"]) == ({"bad-1"}, 400)


def test_files_are_objects_that_boto3_finds(client, aws):
    files = [upload(client, [line(name)], f"{name}.jsonl") for name in ("a", "b", "c")]
    listed = aws.store.list_objects_v2(Bucket=BUCKET, Prefix="of/the-gateway/in/")["Contents"]
    assert len(listed) == 3
    seen = [file for file in client.files.list(limit=2, purpose="batch")]  # over pages
    assert {file.id for file in seen} == {file.id for file in files}
    assert seen[0].filename in ("a.jsonl", "b.jsonl", "c.jsonl")
    assert sorted(file.bytes for file in seen) == sorted(each["Size"] for each in listed)
    told = client.files.retrieve(files[0].id)
    assert (told.filename, told.bytes) == ("a.jsonl", next(file.bytes for file in seen if file.id == files[0].id))
    assert client.files.delete(files[0].id).deleted
    assert aws.store.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 2
    for gone in (client.files.retrieve, client.files.delete, lambda file: order(client, file)):
        with pytest.raises(openai.NotFoundError):
            gone(files[0].id)
    with pytest.raises(openai.BadRequestError, match="not kept as it came"):
        client.files.content(files[1].id)


def test_batches_are_listed_and_stopped(client, aws):
    file = upload(client, [line("a")])
    first, second = order(client, file.id), order(client, upload(client, [line("b")]).id)
    mine = next(iter(aws.jobs.values()))
    elsewhere = {"s3InputDataConfig": {"s3Uri": "s3://another/x.jsonl"}}
    aws.jobs["job000000009"] = {**mine, "jobArn": f"{mine['jobArn'][:-1]}9", "inputDataConfig": elsewhere}
    assert [batch.id for batch in client.batches.list().data] == [second.id, first.id]
    assert client.batches.cancel(first.id).status == "cancelling"
    assert client.batches.retrieve(second.id).status == "validating"


def test_embeddings_are_invoked(client, aws):
    lines = [{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": TITAN, "input": "tide"}}]
    batch = order(client, upload(client, lines).id, "/v1/embeddings")
    (name,) = aws.jobs
    assert aws.work(name)[0]["modelInput"] == {"inputText": "tide"}
    told = results(client, client.batches.retrieve(batch.id).output_file_id)
    answer = openai.types.CreateEmbeddingResponse.model_validate(told["a"]["response"]["body"])
    assert answer.data[0].embedding == [0.5, -1.0]


def test_a_large_input_arrives_whole(client, aws):
    lines = [line(f"n{at}", metadata={"pad": "x" * 400}) for at in range(8000)]
    batch = order(client, upload(client, lines).id)
    (name,) = aws.jobs
    assert len(aws.work(name)) == 8000
    done = client.batches.retrieve(batch.id)
    assert len(results(client, done.output_file_id)) == done.request_counts.completed == 8000


def test_tools_are_refused_by_line(client, aws):
    with pytest.raises(openai.BadRequestError, match="line 2.*no tools"):
        upload(client, [line("a"), line("b", tools=[WEATHER])])
    assert aws.asked == []
