"""What stands between the page and the network: only this machine gets in, no URL is fetched, nothing comes from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost")
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; connect-src 'self' data: blob:; font-src 'self' data:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; form-action 'self'"
)
"""A browser that heeds this asks nobody but us. Gradio's own scripts are partly inline and evaluate templates."""
LARGEST, UPLOADS = 64 << 20, 1 << 30
"""Bytes of a request that uploads no files, and of one that does; how large each file may be Gradio is told."""
CLOSED = "/process_recording"
"""Gradio's address for recordings of the screen runs ffmpeg over whatever is sent to it: playlists that name URLs, too."""
ELSEWHERE = "no URL is fetched: upload the file"


class Gate:
    """A server in front of Gradio's, for HTTP alone: Gradio has no web sockets."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        # of a header that is there twice the first counts, as it does behind
        headers = {name: value.decode("latin-1") for name, value in reversed(scope["headers"])}
        if not ours(headers):
            await _refuse(send, 403, "this page is for this machine alone")
        elif names_url(scope["path"]) or CLOSED in scope["path"]:
            await _refuse(send, 403, ELSEWHERE)
        elif headers.get(b"content-type", "").strip().lower().startswith("multipart/form-data"):
            await self.app(scope, _limited(receive, UPLOADS), _guarded(send))
        else:
            await self._checked(scope, receive, send)

    async def _checked(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on that names no file elsewhere."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > LARGEST:
                await _refuse(send, 413, "the request is too large")
                return
        try:
            found = any(map(names_url, paths(json.loads(body)))) if body else False
        except (ValueError, RecursionError):
            await _refuse(send, 400, "the request is not JSON")
            return
        if found:
            await _refuse(send, 403, ELSEWHERE)
            return
        read = False

        async def again() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, again, _guarded(send))


def ours(headers: Mapping[bytes, str]) -> bool:
    """Whether it is our own page that asks, or a program: not another's page, nor ours under another name (DNS rebinding)."""
    host = headers.get(b"host", "")
    return host.rsplit(":", 1)[0] in HOSTS and headers.get(b"origin", f"http://{host}") == f"http://{host}"


def names_url(text: str) -> bool:
    """Whether a path is, or asks for, something on another machine."""
    return text.strip().lower().startswith(("http:", "https:", "//")) or any(
        mark in text.lower() for mark in ("=http:", "=https:", "/proxy=", "file/http")
    )


def paths(value: Any) -> Iterator[str]:
    """Whatever files are named in data: Gradio has them under "path"."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "path" and isinstance(each, str):
                yield each
            yield from paths(each)
    elif isinstance(value, list):
        for each in value:
            yield from paths(each)


def _limited(receive: Receive, most: int) -> Receive:
    """A body of so many bytes at most; of a larger one the connection counts as lost."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return message if seen <= most else {"type": "http.disconnect"}

    return counted


def _guarded(send: Send) -> Send:
    async def more(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return more


async def _refuse(send: Send, status: int, text: str) -> None:
    body = json.dumps({"error": text, "detail": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
