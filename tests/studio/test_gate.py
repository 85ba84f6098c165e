"""What gets through to the page, and what does not."""

import asyncio
import json

import pytest

pytest.importorskip("gradio", reason="the extra studio is not installed")

from impasto.studio import gate
from impasto.studio.gate import Gate, names_url


def ask(path="/", host="127.0.0.1:7860", data=None, body=None, pieces=1, kinds=(b"application/json",), origin=None):
    """A request through the gate: its status, its headers, and what the server behind was given; `kinds`: content types."""
    content = json.dumps(data).encode() if data is not None else body
    seen, sent = [], []

    async def behind(scope, receive, send):
        got, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                seen.append("gone")
                break
            got, more = got + message["body"], message["more_body"]
        seen.append(got)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    whole = content or b""
    edge = max(1, -(-len(whole) // pieces))
    parts = [whole[place : place + edge] for place in range(0, max(1, len(whole)), edge)]
    messages = [{"type": "http.request", "body": part, "more_body": number + 1 < len(parts)} for number, part in enumerate(parts)]

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    headers = [(b"host", host.encode())] + [(b"content-type", kind) for kind in kinds if content is not None]
    headers += [(b"origin", origin.encode())] if origin else []
    asyncio.run(Gate(behind)({"type": "http", "path": path, "headers": headers}, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), seen


def file(path):
    return {"data": [[{"image": {"path": path, "meta": {"_type": "gradio.FileData"}}}], "https://example.com is only a text"]}


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "127.0.0.1"])
def test_this_machine_gets_in(host):
    status, headers, seen = ask(host=host)
    assert (status, seen) == (200, [b""])
    assert b"default-src 'self'" in headers[b"content-security-policy"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:7860", "", "10.0.0.1:7860"])
def test_pages_that_lead_a_browser_here_under_another_name_do_not(host):
    assert ask(host=host)[0::2] == (403, [])


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:7860", 200),
        ("http://127.0.0.1:3000", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_pages_of_others_do_not(origin, status):
    assert ask("/gradio_api/queue/join", data={}, origin=origin)[0] == status


def test_web_sockets_are_closed():
    sent = []

    async def send(message):
        sent.append(message["type"])

    asyncio.run(Gate(None)({"type": "websocket", "path": "/", "headers": [(b"host", b"evil.example")]}, None, send))
    assert sent == ["websocket.close"]


@pytest.mark.parametrize(
    "kinds",
    [
        (b"APPLICATION/JSON",),
        (b"application/vnd.api+json",),
        (b"text/plain",),
        (),
        (b"application/json", b"multipart/form-data"),  # the server behind takes the first
    ],
)
def test_a_file_elsewhere_is_refused_under_any_type(kinds):
    assert ask("/gradio_api/queue/join", data=file("http://10.0.0.1/a.png"), kinds=kinds)[0::2] == (403, [])


@pytest.mark.parametrize(
    "path", ["http://10.0.0.1/a.png", "https://example.com/a.png", " HTTPS://EXAMPLE.COM/a", "//example.com/a"]
)
def test_a_file_elsewhere_is_refused(path):
    assert ask("/gradio_api/queue/join", data=file(path))[0::2] == (403, [])


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=https://example.com/",
        "/gradio_api/proxy=https://x.hf.space/",
        "/file/http://a",
        "/gradio_api/process_recording",
    ],
)
def test_an_address_elsewhere_is_refused(path):
    assert ask(path)[0::2] == (403, [])


@pytest.mark.parametrize("pieces", [1, 3])
def test_everything_else_comes_through_whole(pieces):
    data = file("/tmp/gradio/abc/cat.jpg")
    status, _, seen = ask("/gradio_api/queue/join", data=data, pieces=pieces)
    assert status == 200
    assert json.loads(seen[0]) == data


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff\xfe"])
def test_what_is_not_json_is_refused(body):
    assert ask(body=body)[0::2] == (400, [])


def test_a_request_without_a_body_comes_through():
    assert ask(body=b"")[0] == 200


def test_requests_are_limited(monkeypatch):
    monkeypatch.setattr(gate, "LARGEST", 10)
    assert ask(data="x" * 20, pieces=4)[0::2] == (413, [])


@pytest.mark.parametrize(("size", "given"), [(10, b"x" * 10), (11, "gone")])
def test_uploads_are_limited_while_they_come(monkeypatch, size, given):
    monkeypatch.setattr(gate, "UPLOADS", 10)
    kinds = (b"multipart/form-data; boundary=a",)
    assert ask("/gradio_api/upload", body=b"x" * size, pieces=3, kinds=kinds)[2][0] == given


@pytest.mark.parametrize("text", ["/tmp/a/https.jpg", "photo.jpg", "/gradio_api/file=/tmp/x.png", ""])
def test_plain_paths_are_no_addresses(text):
    assert not names_url(text)
