"""Starts what the client suite talks to, runs it, and stops what it started.

    python harness.py BINARY      both SDKs through the gateway, then the emulators
    python harness.py --direct    the SDK tests straight against the scripted upstream: proves the tests themselves

Everything listens on loopback on free ports; every child is stopped by its own process id.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
MASTER_KEY = "fgw_" + "5ca1ab1e" * 4
UPSTREAM_KEY = "sk-upstream"


def fetch(url: str, key: str | None = None, timeout: float = 15.0) -> tuple[int, bytes]:
    """GET on loopback, whatever proxies the environment names; a status is an answer, not an exception."""
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {key}"} if key else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def model(scenario: str, family: str = "gpt-4o") -> str:
    """A model name that makes the scripted upstream play `scenario`, and that no other test uses."""
    return f"{family}-{scenario}-{secrets.token_hex(4)}"


class Child:
    """A process of ours: stopped by pid, killed if it does not go."""

    def __init__(self, command: list[str], env: dict[str, str], **options) -> None:
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, **options)

    def stop(self) -> int:
        if self.process.stdin:
            self.process.stdin.close()
        self.process.terminate()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Script(Child):
    """A Node script of this folder; `url` is the first line it prints: its address, or its addresses as JSON."""

    def __init__(self, name: str, **env: str) -> None:
        super().__init__(["node", str(HERE / name)], {**os.environ, **env}, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"{name} did not start: exit code {self.process.wait()}")

    def seen(self, model: str) -> list[dict]:
        return json.loads(fetch(f"{self.url}/_seen?model={model}")[1])

    def ended(self, model: str) -> list[dict]:
        """What was asked for `model`, once every request has ended (at most 10 s)."""
        return json.loads(fetch(f"{self.url}/_ended?model={model}")[1])


class Gateway(Child):
    """The built binary with a configuration file, or with nothing but `env` when `config` is None."""

    def __init__(self, binary: str, config: dict | None, env: dict[str, str] | None = None) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="ferrogw-clients-")
        folder = Path(self.folder.name)
        port = free_port()
        self.origin = f"http://127.0.0.1:{port}"
        self.base_url = f"{self.origin}/v1"
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "MASTER_KEY": MASTER_KEY,
            "PORT": str(port),
            "FERROGW_HOST": "127.0.0.1",
            "LOG_LEVEL": "warn",
            **(env or {}),
        }
        if config is not None:
            file = folder / "gateway.yaml"  # JSON is YAML: no library needed to write it
            file.write_text(json.dumps(config, indent=1))
            variables["GATEWAY_CONFIG"] = str(file)
        self.log = folder / "gateway.log"
        with self.log.open("wb") as log:
            super().__init__([binary], variables, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def _await_ready(self) -> None:
        deadline = time.monotonic() + 20
        answer: object = "no answer"
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                answer = fetch(f"{self.origin}/readyz", timeout=2)
            except OSError as error:
                answer = error
            if isinstance(answer, tuple) and answer[0] == 200:
                return
            time.sleep(0.05)
        raise RuntimeError(f"the gateway is not ready: {answer}, exit code {self.process.poll()}\n{self.output()}")

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        code = super().stop()
        self.folder.cleanup()
        return code


def openai_target(upstream: str, **more: object) -> dict:
    return {"virtual_key": "openai", "base_url": f"{upstream}/v1", "api_key": "${UPSTREAM_KEY}", **more}


def sdk_config(upstream: str) -> dict:
    """One OpenAI target without retries of the gateway's own, so that the SDK's retries are seen; a short idle bound."""
    timeouts = {"connect": "2s", "first_byte": "4s", "idle": "2s"}
    return {
        "strategy": {"mode": "single"},
        "targets": [openai_target(upstream, timeouts=timeouts)],
        "aliases": {"house-model": "gpt-4o-text-0a11a5e5"},
    }


def run(title: str, command: list[str], env: dict[str, str]) -> bool:
    print(f"\n== {title}", flush=True)
    return subprocess.run(command, check=False, env=env, cwd=HERE, stdin=subprocess.DEVNULL).returncode == 0


def suite(env: dict[str, str], more: list[str]) -> bool:
    node = ["node", "--test", "--test-reporter=spec", "--test-concurrency=1", "--test-timeout=60000", "openai.test.mjs"]
    outcomes = [
        run("openai for Python, emulators", [sys.executable, "-m", "pytest", *more], env),
        run("openai for Node", node, env),
    ]
    return all(outcomes)


def main(arguments: list[str]) -> int:
    direct = arguments[:1] == ["--direct"]
    if not arguments or not (direct or os.access(arguments[0], os.X_OK)):
        print(__doc__, file=sys.stderr)
        return 2
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith("OPENAI_")}
    with Script("upstream.mjs", UPSTREAM_KEY=UPSTREAM_KEY) as upstream:
        env = {**clean, "CLIENTS_UPSTREAM": upstream.url}
        if direct:
            env |= {"CLIENTS_VIA": "direct", "CLIENTS_BASE_URL": f"{upstream.url}/v1", "CLIENTS_API_KEY": UPSTREAM_KEY}
            return 0 if suite(env, arguments[1:]) else 1
        binary = str(Path(arguments[0]).resolve())
        with Gateway(binary, sdk_config(upstream.url), {"UPSTREAM_KEY": UPSTREAM_KEY}) as gateway:
            env |= {"CLIENTS_VIA": "gateway", "CLIENTS_BASE_URL": gateway.base_url, "CLIENTS_API_KEY": MASTER_KEY}
            passed = suite({**env, "CLIENTS_BINARY": binary}, arguments[1:])
            if gateway.process.poll() is not None:
                print(f"the gateway ended with {gateway.process.returncode} while the clients ran")
                passed = False
            if not passed:
                print(f"\n== what the gateway said\n{gateway.output()[-20000:]}")
            return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
