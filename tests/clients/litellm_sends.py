"""What litellm would send: asks as JSON on stdin, the requests it makes of them as JSON on stdout. Runs in an environment of
its own, since litellm wants an older `openai` than the suite. Nothing leaves the process: every request ends in `answered`."""

from __future__ import annotations

import contextlib
import json
import os
import sys

os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_TELEMETRY": "False"}

import httpx  # noqa: E402
import litellm  # noqa: E402  reads its environment when it is imported

sent: list[dict] = []
answer: object = None


def answered(_: object, request: httpx.Request) -> httpx.Response:
    """In place of the network: keeps a request and answers it as its vendor would."""
    body = json.loads(request.read() or b"null")
    sent.append({"method": request.method, "url": str(request.url), "headers": dict(request.headers), "body": body})
    return httpx.Response(200, json=answer, request=request)


def send(one: dict) -> dict:
    global answer
    answer = one["answer"]
    sent.clear()
    os.environ |= one.get("env", {})
    problem = None
    try:
        litellm.completion(**one["ask"], num_retries=0, max_retries=0)
    except Exception as error:  # how it reads an answer is not our concern, if only it has asked
        problem = f"{type(error).__name__}: {error}"
    return {"sent": list(sent), "problem": problem}


def main() -> dict:
    httpx.HTTPTransport.handle_request = answered
    litellm.drop_params = True
    litellm.suppress_debug_info = True
    return {one["id"]: send(one) for one in json.load(sys.stdin)}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # litellm prints
        found = main()
    json.dump(found, sys.stdout)
