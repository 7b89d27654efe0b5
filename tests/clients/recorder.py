"""An upstream that keeps what it is sent, and what two senders of the same request say differently."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Of the connection, or of the library that made it: no vendor's answer depends on them.
OF_THE_WIRE = re.compile(
    "host|content-length|connection|accept|accept-encoding|user-agent|transfer-encoding"
    "|x-client-request-id|x-stainless-.*|x-fern-.*"
)


class Recorder:
    """Answers every POST with `answer(body)`: what becomes JSON, or bytes, which are a stream of events."""

    def __init__(self, answer: Callable[[dict], object]) -> None:
        self.sent: list[dict] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self.reply(404, "application/json", b"{}")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                owner.sent.append({"method": "POST", "url": self.path, "headers": headers, "body": body})
                said = answer(body)
                if isinstance(said, bytes):
                    self.reply(200, "text/event-stream", said)
                else:
                    self.reply(200, "application/json", json.dumps(said).encode())

            def reply(self, status: int, kind: str, content: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def last(self) -> dict:
        return self.sent[-1]

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def members(value: object, path: str) -> Iterator[tuple[str, object]]:
    """The leaves of a JSON value by their paths; an empty list or object is a leaf."""
    if value and isinstance(value, dict):
        for name, inner in value.items():
            yield from members(inner, f"{path}.{name}")
    elif value and isinstance(value, list):
        for at, inner in enumerate(value):
            yield from members(inner, f"{path}[{at}]")
    else:
        yield path, value


def differences(theirs: dict, ours: dict) -> dict[str, tuple[object, object]]:
    """What two requests do not share: member -> (theirs, ours), where `None` is absent, or null, which says no more."""

    def flat(sent: dict) -> dict[str, object]:
        headers = {f"header {k}": v for k, v in sent["headers"].items() if not OF_THE_WIRE.fullmatch(k)}
        body = {k: v for k, v in members(sent["body"], "body") if v is not None}
        return {"method": sent["method"], "host": sent.get("host"), "path": sent["url"], **headers, **body}

    one, other = flat(theirs), flat(ours)
    found = {name: (one.get(name), other.get(name)) for name in {**one, **other}}
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}


class Refusing:
    """A proxy that lets nobody through, and knows where they wanted to go."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                self.hosts.append(lines.readline().split()[1].decode().removesuffix(":443"))
                while lines.readline().strip():
                    pass
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")

    def __enter__(self) -> Refusing:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
