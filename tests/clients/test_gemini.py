"""Gemini behind the gateway, judged by Google's own SDK: every request must be one that its types know, every answer is made
of its models. And the rows `gemini` and `vertex-ai` in front of an emulator that we did not write."""

from __future__ import annotations

import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest
from google.genai import types
from openai import OpenAI
from pydantic import BaseModel, TypeAdapter, ValidationError

from harness import MASTER_KEY, Gateway, Script, fetch
from test_openai import HELLO, PIXEL, WEATHER

pytestmark = pytest.mark.gateway

KEY = "AIza-of-the-test"

# ---- the judge ----------------------------------------------------------------------------------------------------------


class Generation(types.GenerationConfig):
    """The SDK writes pictures' shapes into it, and its type has no word for them."""

    image_config: types.ImageConfig | None = None


class Request(BaseModel, extra="forbid"):
    """The REST body: what the SDK makes of a GenerateContentConfig, which has all of it in one place."""

    contents: list[types.Content]
    systemInstruction: types.Content | None = None
    tools: list[types.Tool] | None = None
    toolConfig: types.ToolConfig | None = None
    safetySettings: list[types.SafetySetting] | None = None
    generationConfig: Generation | None = None
    cachedContent: str | None = None
    serviceTier: types.ServiceTier | None = None
    labels: dict[str, str] | None = None


class Embeds(BaseModel, extra="forbid"):
    class One(BaseModel, extra="forbid"):
        model: str
        content: types.Content
        taskType: str | None = None
        title: str | None = None
        outputDimensionality: int | None = None

    requests: list[One]


def known(value: object, path: str = "") -> None:
    """Enums of the SDK take any word; those that it has not are told by their name."""
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"{path}: {value.model_extra}"
        for name in value.model_fields_set:
            known(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            known(item, f"{path}[{at}]")
    elif hasattr(type(value), "__members__"):
        assert value.name in type(value).__members__, f"{path}: {value}"


def judge(body: dict) -> Request:
    read = TypeAdapter(Request).validate_python(body)
    known(read)
    for content in read.contents:
        assert content.role in ("user", "model") and content.parts
        for part in content.parts:
            # a part is one thing; a signature and a flag may stand beside it
            things = set(part.model_fields_set) - {"thought", "thought_signature", "media_resolution"}
            assert len(things) == 1, things
    turns = [content.role for content in read.contents]
    assert turns[0] == "user" and all(one != other for one, other in zip(turns, turns[1:])), turns
    return read


def test_the_judge_is_one():
    fine = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    judge(fine)
    broken = [
        {**fine, "stream": True},
        {"contents": [{"role": "user", "parts": [{"text": "hi", "cache_control": {}}]}]},
        {**fine, "generationConfig": {"max_tokens": 1}},
        {**fine, "tools": [{"functionDeclarations": [{"name": "f", "strict": True}]}]},
        {**fine, "generationConfig": {"temperature": "warm"}},
        {},
    ]
    for body in broken:
        with pytest.raises(ValidationError):
            judge(body)
    for parts in ([], [{"text": "hi", "functionCall": {"name": "f"}}]):
        with pytest.raises(AssertionError):
            judge({"contents": [{"role": "user", "parts": parts}]})


# ---- the vendor ---------------------------------------------------------------------------------------------------------


def answer(*parts: types.Part, reason=types.FinishReason.STOP, **more) -> types.GenerateContentResponse:
    content = types.Content(role="model", parts=list(parts)) if parts else None
    usage = types.GenerateContentResponseUsageMetadata(
        prompt_token_count=10, candidates_token_count=5, thoughts_token_count=3, cached_content_token_count=4, total_token_count=18
    )
    candidate = types.Candidate(index=0, content=content, finish_reason=reason, **more)
    return types.GenerateContentResponse(
        candidates=[candidate], usage_metadata=usage, model_version="gemini-3-flash", response_id="r-1"
    )


def wire(model: BaseModel) -> dict:
    return json.loads(model.model_dump_json(by_alias=True, exclude_none=True, exclude={"automatic_function_calling_history"}))


THOUGHT = types.Part(text='A "port" é.', thought=True)
CALLS = [
    types.Part(
        function_call=types.FunctionCall(id=f"fc-{city}", name="weather", args={"city": city}),
        thought_signature=b"signed" if city == "Oslo" else None,
    )
    for city in ("Oslo", "Rom")
]
IMAGE = types.Part(inline_data=types.Blob(mime_type="image/png", data=b"\x89PNG"), thought_signature=b"painted")

SOUND = types.Part(inline_data=types.Blob(mime_type="audio/L16;codec=pcm;rate=24000", data=b"\x01\x02samples!"))

SCRIPT = {
    "text": [answer(types.Part(text="Hello é"), reason=None), answer(types.Part(text=", world."))],
    "thinks": [answer(THOUGHT, reason=None), answer(types.Part(text="Take Brest.", thought_signature=b"said"))],
    "tools": [answer(THOUGHT, reason=None), answer(*CALLS)],
    "paints": [answer(IMAGE)],
    "speaks": [answer(SOUND)],
    "long": [answer(types.Part(text="Hel"), reason=types.FinishReason.MAX_TOKENS)],
    "unsafe": [answer(reason=types.FinishReason.SAFETY)],
}


class Vendor(BaseHTTPRequestHandler):
    """Answers with the SDK's models, by the model's name; what it was asked is judged by the SDK's types."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path, _, query = self.path.partition("?")
        model, verb = path.rsplit("/", 1)[-1].split(":")
        self.server.seen.append((self.path, body))
        try:
            TypeAdapter(Embeds).validate_python(body) if verb == "batchEmbedContents" else judge(body)
            assert self.headers["x-goog-api-key"] == KEY
        except (AssertionError, ValidationError) as wrong:
            self.server.wrong.append(f"{wrong}\n{json.dumps(body)}")
        kind = "application/json"
        if verb == "batchEmbedContents":
            vector = types.ContentEmbedding(values=[0.6, 0.8])
            data = json.dumps({"embeddings": [wire(vector)] * len(body["requests"])}).encode()
        else:
            script = SCRIPT.get(model.split("-")[-1], SCRIPT["text"])
            if called(body):
                script = SCRIPT["text"]
            if verb == "streamGenerateContent":
                assert query == "alt=sse"
                kind = "text/event-stream"
                data = b"".join(f"data: {json.dumps(wire(event))}\r\n\r\n".encode() for event in script)
            else:
                parts = [part for event in script for part in (event.candidates[0].content or types.Content(parts=[])).parts]
                data = json.dumps(wire(answer(*parts, reason=script[-1].candidates[0].finish_reason)), indent=2).encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def called(body: dict) -> bool:
    return any("functionResponse" in part for content in body.get("contents", []) for part in content["parts"])


@pytest.fixture(scope="module")
def vendor():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vendor)
    server.seen, server.wrong = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(scope="module")
def house(vendor):
    url = f"http://127.0.0.1:{vendor.server_address[1]}"
    env = {"GEMINI_API_KEY": KEY, "GEMINI_BASE_URL": url, "FERRO_MODEL_DISCOVERY_INTERVAL": "0"}
    with Gateway(os.environ["CLIENTS_BINARY"], None, env) as gateway:
        yield gateway


@pytest.fixture
def sdk(house, vendor):
    with OpenAI(base_url=house.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as client:
        yield client
    assert not vendor.wrong, vendor.wrong.pop()


def last(vendor) -> dict:
    return vendor.seen[-1][1]


SCHEMA = {"type": "object", "properties": {"hw": {"type": ["string", "null"]}}, "required": ["hw"], "additionalProperties": False}
MODELS = ["gemini-2.0-flash", "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-3-pro", "gemini-3-flash", "gemma-3-27b-it"]
ASKED = {
    "sampling": {"temperature": 0.3, "top_p": 0.9, "seed": 7, "stop": ["END"], "n": 2, "presence_penalty": 0.1, "frequency_penalty": 0.2},
    "limits": {"max_completion_tokens": 50},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "json": {"response_format": {"type": "json_object"}},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "t", "schema": SCHEMA, "strict": True}}},
    "tools": {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False},
    "one tool": {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
    "search": {"web_search_options": {}},
    "tier": {"service_tier": "flex"},
    "extensions": {
        "extra_body": {
            "top_k": 40,
            "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            "tools": [{"type": "google_search"}, {"type": "code_execution"}],
            "thinking_config": {"thinking_budget": 100, "include_thoughts": True},
        }
    },
    **{f"effort {step}": {"reasoning_effort": step} for step in ("none", "minimal", "low", "medium", "high", "xhigh")},
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_the_sdk_s_types_know_what_is_sent(asked, model, sdk, vendor):
    sdk.chat.completions.create(model=f"gemini/{model}", messages=HELLO, **asked)
    assert last(vendor)["contents"][-1]["parts"][-1]["text"]


def test_media_and_roles_are_parts_the_sdk_knows(sdk, vendor):
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://a.example/ship.webp"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
    ]
    messages = [
        {"role": "developer", "content": "You are a pilot."},
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Ahoy."},
        {"role": "user", "content": content},
    ]
    sdk.chat.completions.create(model="gemini/gemini-3-flash", messages=messages)
    read = judge(last(vendor))
    assert [part.text for part in read.systemInstruction.parts] == ["You are a pilot.", "Be brief."]
    parts = read.contents[-1].parts
    assert [part.inline_data.mime_type for part in parts if part.inline_data] == ["image/png", "audio/wav", "application/pdf"]
    assert parts[1].inline_data.data == base64.b64decode(PIXEL.split(",")[1])


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("case", SCRIPT)
def test_answers_of_the_sdk_s_models_are_openai_s(case, streamed, sdk):
    ask = {"model": f"gemini/gemini-3-{case}", "messages": HELLO, "tools": [WEATHER]}
    if streamed:
        with sdk.chat.completions.stream(**ask, stream_options={"include_usage": True}) as stream:
            try:
                reply = stream.get_final_completion()
            except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError) as early:
                reply = early.completion
    else:
        reply = sdk.chat.completions.create(**ask)
    choice = reply.choices[0]
    expected = {"tools": "tool_calls", "long": "length", "unsafe": "content_filter"}.get(case, "stop")
    assert (choice.finish_reason, reply.id, reply.model) == (expected, "r-1", "gemini-3-flash")
    said = {"text": "Hello é, world.", "thinks": "Take Brest.", "long": "Hel"}.get(case, "")
    assert (choice.message.content or "") == said
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (10, 8, 18)
    assert reply.usage.prompt_tokens_details.cached_tokens == 4
    assert reply.usage.completion_tokens_details.reasoning_tokens == 3
    if case in ("thinks", "tools"):
        assert choice.message.reasoning_content == 'A "port" é.'
    if case == "tools":
        assert [json.loads(call.function.arguments) for call in choice.message.tool_calls] == [{"city": "Oslo"}, {"city": "Rom"}]
    if case == "paints":
        assert choice.message.images[0]["image_url"]["url"] == "data:image/png;base64,iVBORw=="


def test_a_tool_loop_gives_signatures_back(sdk, vendor):
    ask = {"model": "gemini/gemini-3-tools", "tools": [WEATHER]}
    first = sdk.chat.completions.create(**ask, messages=HELLO)
    message = first.choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": '{"degrees": 21}'} for call in message.tool_calls]
    sdk.chat.completions.create(**ask, messages=[*HELLO, message.model_dump(exclude_none=True), *reversed(results)])
    read = judge(last(vendor))
    calls = read.contents[1].parts
    assert [call.function_call.id for call in calls] == ["fc-Oslo", "fc-Rom"]
    assert [call.thought_signature for call in calls] == [b"signed", None]
    assert [part.function_response.response for part in read.contents[2].parts] == [{"degrees": 21}] * 2
    assert [part.function_response.id for part in read.contents[2].parts] == ["fc-Oslo", "fc-Rom"]


def test_embeddings_are_what_the_sdk_asks(sdk, vendor):
    reply = sdk.embeddings.create(model="gemini/gemini-embedding-001", input=["a", "b"], dimensions=768)
    assert len(reply.data) == 2 and reply.data[1].embedding == pytest.approx([0.6, 0.8])
    assert [one["outputDimensionality"] for one in last(vendor)["requests"]] == [768, 768]


def test_speech_and_pictures_are_asked_for_in_the_sdk_s_words(sdk, vendor):
    ask = {"model": "gemini/gemini-2.5-flash-tts-speaks", "input": "High tide.", "voice": "Kore"}
    spoken = sdk.audio.speech.create(**ask, instructions="Say softly.").read()
    assert spoken[:4] == b"RIFF" and spoken[44:] == b"\x01\x02samples!"
    assert sdk.audio.speech.create(**ask, response_format="pcm").read() == b"\x01\x02samples!"
    painted = sdk.images.generate(model="gemini/gemini-2.5-flash-image-paints", prompt="a tide", size="1536x1024")
    assert base64.b64decode(painted.data[0].b64_json) == b"\x89PNG"


# ---- an emulator --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["gemini", "vertex-ai"])
def emulated(request):
    row = {"id": request.param, "key": KEY, "model": "gemini-3-flash"}
    with Script("emulator.mjs", ROWS=json.dumps([row])) as script:
        url = json.loads(script.url)[request.param]
        options = {"project_id": "p-1"} if request.param == "vertex-ai" else {}
        target = {"virtual_key": request.param, "base_url": url, "api_key": "${KEY}", "models": ["gemini-3-flash"], "options": options}
        config = {"strategy": {"mode": "single"}, "targets": [target]}
        with Gateway(os.environ["CLIENTS_BINARY"], config, {"KEY": KEY}) as gateway:
            with OpenAI(base_url=gateway.base_url, api_key=MASTER_KEY, max_retries=0, timeout=20) as client:
                yield request.param, client, f"{url}/__aimock/journal"


def test_an_emulator_is_asked_and_understood(emulated):
    row, sdk, journal = emulated
    reply = sdk.chat.completions.create(model="gemini-3-flash", messages=HELLO, temperature=0.5, max_tokens=50)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (f"{row} says hello", "stop")
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    chunks = list(sdk.chat.completions.create(model="gemini-3-flash", messages=HELLO, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == f"{row} says hello"
    paths = [entry["path"] for entry in json.loads(fetch(journal, KEY)[1]) if entry["method"] == "POST"]
    root = "/v1beta" if row == "gemini" else "/v1/projects/p-1/locations/global/publishers/google"
    assert paths[0] == f"{root}/models/gemini-3-flash:generateContent"
    assert paths[1].startswith(f"{root}/models/gemini-3-flash:streamGenerateContent")


def test_an_emulator_s_tool_is_called_and_answered(emulated):
    row, sdk, _ = emulated
    ask = {"model": "gemini-3-flash", "tools": [WEATHER]}
    first = sdk.chat.completions.create(**ask, messages=HELLO)
    (call,) = first.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Oslo"})
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
    last = sdk.chat.completions.create(**ask, messages=[*HELLO, first.choices[0].message, result])
    assert last.choices[0].message.content == f"{row} says hello"
