"""Everything but chat through the openai SDK for Python: images, audio, moderations, files, batches, responses."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import openai
import pytest
from openai import OpenAI

import harness

SOUND = bytes(range(251)) * 20_000  # five megabytes: spooled
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def gateway_pid(address):
    return address[2]


@pytest.fixture(scope="module")
def address():
    """Where the SDK is pointed to: a gateway in front of the vendor of this suite, or that vendor itself."""
    with harness.Script("surfaces.mjs", UPSTREAM_KEY=harness.UPSTREAM_KEY) as vendor:
        if os.environ["CLIENTS_VIA"] != "gateway":
            yield f"{vendor.url}/v1", harness.UPSTREAM_KEY, None
            return
        config = {
            "targets": [harness.openai_target(vendor.url)],
            "batch_target": "openai",
            "responses_target": "openai",
            "aliases": {"ears": "whisper-1"},
        }
        gateway = harness.Gateway(os.environ["CLIENTS_BINARY"], config, {"UPSTREAM_KEY": harness.UPSTREAM_KEY})
        yield gateway.base_url, harness.MASTER_KEY, gateway.process.pid
        gateway.stop()


@pytest.fixture
def client(address):
    base_url, api_key, _ = address
    with OpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=30) as client:
        yield client


# ---- images ---------------------------------------------------------------------------------------------------------------


def test_images_are_made(client):
    answer = client.images.generate(model="gpt-image-1", prompt="a tide", n=2, size="1024x1024")
    assert [base64.b64decode(image.b64_json) for image in answer.data] == [b"gpt-image-1: a tide"] * 2
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (7, 11)


def test_images_are_made_in_a_stream(client):
    events = list(client.images.generate(model="gpt-image-1", prompt="a tide", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_generation.partial_image", "image_generation.completed"]
    assert events[-1].usage.total_tokens == 18


def test_images_are_edited_and_varied(client):
    edited = client.images.edit(model="gpt-image-1", image=[PICTURE, PICTURE[:99]], prompt="a boat")
    expected = [f"https://example.test/gpt-image-1/{sha256(picture)}" for picture in (PICTURE, PICTURE[:99])]
    assert [image.url for image in edited.data] == expected
    varied = client.images.create_variation(model="dall-e-2", image=PICTURE)
    assert varied.data[0].url == f"https://example.test/dall-e-2/{sha256(PICTURE)}"


# ---- audio ----------------------------------------------------------------------------------------------------------------


def test_speech_is_sound(client):
    answer = client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="The tide is high.")
    assert answer.content == bytes(i % 251 for i in range(200_000))
    assert answer.response.headers["content-type"] == "audio/mpeg"


def test_speech_is_read_as_it_comes(client):
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="The tide.") as answer:
        assert sum(len(chunk) for chunk in answer.iter_bytes(4096)) == 200_000


def test_a_recording_is_transcribed(client):
    answer = client.audio.transcriptions.create(model="whisper-1", file=("a.mp3", SOUND), language="en")
    assert answer.text == f"whisper-1 heard {len(SOUND)} bytes: {sha256(SOUND)}"
    assert answer.usage.total_tokens == 11


def test_a_transcript_has_the_form_that_was_asked_for(client):
    text = client.audio.transcriptions.create(model="whisper-1", file=SOUND[:9], response_format="srt")
    assert text.startswith("1\n00:00:00,000 --> ")
    verbose = client.audio.translations.create(model="whisper-1", file=SOUND[:9], response_format="verbose_json")
    assert verbose.duration == 1.5
    words = client.audio.transcriptions.create(
        model="whisper-1", file=SOUND[:9], response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert [word.word for word in words.words] == ["word", "segment"]


def test_a_transcript_comes_in_a_stream(client):
    events = list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=SOUND, stream=True))
    assert "".join(event.delta for event in events[:-1]) == events[-1].text
    assert events[-1].type == "transcript.text.done" and sha256(SOUND) in events[-1].text


@pytest.mark.gateway
def test_an_alias_is_replaced_inside_a_form(client):
    assert client.audio.transcriptions.create(model="ears", file=SOUND[:9]).text.startswith("whisper-1 heard 9 bytes")


# ---- moderations ------------------------------------------------------------------------------------------------------------


def test_texts_are_judged_with_and_without_a_model(client):
    answer = client.moderations.create(model="omni-moderation-latest", input=["a", "b"])
    assert [result.flagged for result in answer.results] == [True, True]
    assert answer.results[0].categories.violence and answer.results[0].category_scores.violence == 0.9
    assert client.moderations.create(input="a").results[0].flagged


# ---- files and batches ------------------------------------------------------------------------------------------------------


def test_a_file_is_kept_listed_read_and_deleted(client):
    content = b'{"custom_id":"1"}\n' * 200_000
    made = client.files.create(file=("lines.jsonl", content), purpose="batch")
    assert (made.bytes, made.filename, made.purpose) == (len(content), "lines.jsonl", "batch")
    assert client.files.retrieve(made.id).id == made.id
    assert made.id in [file.id for file in client.files.list()]
    assert client.files.content(made.id).content == content
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError) as failure:
        client.files.retrieve(made.id)
    assert f"No such File object: {made.id}" in str(failure.value)


def test_a_batch_is_made_watched_and_cancelled(client):
    made = client.batches.create(input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h")
    assert (made.status, made.input_file_id) == ("in_progress", "file-1")
    assert client.batches.retrieve(made.id).id == made.id
    assert made.id in [batch.id for batch in client.batches.list()]
    assert client.batches.cancel(made.id).status == "cancelling"


# ---- responses --------------------------------------------------------------------------------------------------------------


def test_a_response_answers(client):
    answer = client.responses.create(model="gpt-5", input="How is the tide?", metadata={"a": "b"})
    assert (answer.output_text, answer.status, answer.metadata) == ("The tide is high.", "completed", {"a": "b"})
    assert (answer.usage.total_tokens, answer.usage.input_tokens_details.cached_tokens) == (14, 4)


def test_a_response_comes_in_a_stream(client):
    events = list(client.responses.create(model="gpt-5", input="How is the tide?", stream=True))
    assert [event.sequence_number for event in events] == list(range(9))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "The tide is high."
    with client.responses.stream(model="gpt-5", input="How is the tide?") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == "The tide is high."


def test_a_response_in_the_background_is_fetched_later(client):
    queued = client.responses.create(model="gpt-5", input="How is the tide?", background=True)
    assert queued.status == "queued"
    done = client.responses.retrieve(queued.id)
    assert (done.status, done.output_text) == ("completed", "The tide is high.")
    (item,) = client.responses.input_items.list(queued.id).data
    assert item.content[0].text == "How is the tide?"
    assert client.responses.cancel(queued.id).status == "cancelled"
    client.responses.delete(queued.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(queued.id)


# ---- everything else --------------------------------------------------------------------------------------------------------


def test_what_nobody_knows_goes_to_whom_the_caller_names(client):
    store = client.vector_stores.create(name="tides", extra_headers={"X-Provider": "openai"})
    assert (store.id, store.name, store.model_extra["beta"]) == ("vs_1", "tides", "assistants=v2")


# ---- memory -----------------------------------------------------------------------------------------------------------------


def memory(pid: int, name: str) -> int:
    """A figure of the process's memory, bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


@pytest.mark.gateway
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("surface", ["files", "transcriptions"])
def test_an_upload_takes_no_memory_of_its_size(client, gateway_pid, surface):
    def send(size: int) -> None:
        content = b"x" * size
        if surface == "files":
            assert client.files.create(file=("lines.jsonl", content), purpose="batch").bytes == size
        else:
            assert f"heard {size} bytes" in client.audio.transcriptions.create(model="whisper-1", file=content).text

    send(2 << 20)
    before = memory(gateway_pid, "VmRSS")
    Path(f"/proc/{gateway_pid}/clear_refs").write_text("5")
    send(50 << 20)
    grown = memory(gateway_pid, "VmHWM") - before
    assert grown < 8 << 20, f"grew by {grown >> 10} KiB"
