"""What may reach the page's server: requests of the page itself, from this machine, of a bounded length."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# All that the page asks for. Above all not `file=`, which hands out files, and `proxy=`, which fetches from elsewhere.
_PATHS = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/manifest\.json|/(?:assets|static)/[\w./@+-]+"
    r"|/gradio_api/(?:queue/join|queue/data|upload|upload_progress|heartbeat/\w+|startup-events|theme\.css|cancel|reset)/?"
)
_HOSTS = ("127.0.0.1", "localhost")
_WORDS = 2**20  # bytes of a request that is no upload
_WRAPPING = 2**16  # bytes around the file in an upload

# The page is made of inline scripts and evaluates its templates; but nothing comes from, or goes to, anywhere else.
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; form-action 'none'; base-uri 'self'; object-src 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Guard:
    """Stands before the application, and refuses what is not the page's own.

    Args:
        app: the application.
        upload: bytes of a file.
    """

    def __init__(self, app: ASGIApp, *, upload: int) -> None:
        self.app = app
        self.upload = upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        if (status := self._refused(scope)) is not None:
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self.app(scope, receive, answer)

    def _refused(self, scope: Scope) -> int | None:
        """The status with which a request is refused, or None."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        origin = headers.get("origin")
        # A page of a stranger, also under a name that points here, is not this page.
        if urlsplit(f"//{host}").hostname not in _HOSTS or (origin is not None and urlsplit(origin).netloc != host):
            return 403
        if _PATHS.fullmatch(scope["path"]) is None or ".." in scope["path"]:
            return 404
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST":
            return 405
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return 411
        most = self.upload + _WRAPPING if scope["path"].startswith("/gradio_api/upload") else _WORDS
        return 413 if int(length) > most else None
