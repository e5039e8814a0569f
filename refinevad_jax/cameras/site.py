"""The pages and answers of the page of the cameras, for a web server (ASGI, by Starlette)."""

import asyncio
import json
import pathlib
import re
import time
import urllib.parse
from collections.abc import AsyncIterator, Mapping
from typing import Any

from refinevad_jax.cameras.access import Access
from refinevad_jax.cameras.board import Board
from refinevad_jax.detection.live_source import say
from refinevad_jax.report import page

FOLDER = pathlib.Path(__file__).parent / "pages"
MAX_STREAMS = 16
_EVERY_S, _HEARTBEAT_S = 0.5, 5.0  # between two messages of a stream: least, and most
_LONGEST_FORM, _FORM_S = 4096, 10.0  # bytes, and seconds until they are there
_FILES = {
    "style.css": (page.FOLDER, "text/css"),
    "common.js": (page.FOLDER, "text/javascript"),
    "board.css": (FOLDER, "text/css"),
    "board.js": (FOLDER, "text/javascript"),
    "login.js": (FOLDER, "text/javascript"),
}
# What a browser needs for the form that asks for the token; it tells nothing of the cameras.
_OPEN = {"/login", "/favicon.ico", *(f"/{name}" for name in _FILES)}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Site:
    """The application. Everything but the form needs the token, if there is one.

    `/` is the page, `/stream` what it shows, as server-sent events, each with the JSON of
    `Board.changes` since the one before; `/state` the whole of it once, for programs.
    """

    def __init__(self, board: Board, access: Access) -> None:
        """Raises ImportError if Starlette is not installed."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        self._board, self._access = board, access
        self._num_streams = 0
        texts = {name: (folder / name).read_text("utf-8") for name, (folder, _) in _FILES.items()}
        self._files = texts
        self._app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/stream", self._stream),
                Route("/state", self._state),
                Route("/pictures/{key}/{version}", self._picture),
                Route("/login", self._login, methods=["GET", "POST"]),
                Route("/logout", self._logout, methods=["POST"]),
                Route("/favicon.ico", self._nothing),
                *(Route(f"/{name}", self._file) for name in _FILES),
            ]
        )
        self._app.router.redirect_slashes = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request; what is refused reaches no handler."""
        if scope["type"] != "http":  # the server sends nothing else
            return
        started = False

        async def send_safely(message: Any) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                safe = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *safe]}
            await send(message)

        try:
            answer = self._refusal(scope) or self._app
            await answer(scope, receive, send_safely)
        except Exception as error:
            say(f"warning: --serve: {type(error).__name__}: {error}")
            if not started:
                await _text(500, "something went wrong here")(scope, receive, send_safely)

    def _refusal(self, scope: Any) -> Any:
        """What answers a request that does not get in, None for one that does."""
        from starlette.datastructures import Headers
        from starlette.responses import RedirectResponse

        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        if method not in ("GET", "POST"):
            return _text(405, "only GET and POST")
        if not self._access.knows_host(headers):
            return _text(421, "this page is not served under that name: use localhost")
        if self._access.is_foreign(method, path, headers):
            return _text(403, "the request comes from another site")
        if path in _OPEN or self._access.admits(headers):
            return None
        if path == "/":
            return RedirectResponse("login", 303)
        return _text(401, "the token is needed", {"www-authenticate": "Bearer"})

    async def _page(self, request: Any) -> Any:
        return self._render("board.html", 200, token=self._access.needs_token)

    async def _login(self, request: Any) -> Any:
        from starlette.responses import RedirectResponse

        if self._access.admits(request.headers):
            return RedirectResponse("./", 303)
        if request.method == "GET":
            return self._render("login.html", 200, wrong=False)
        form = await _form(request)
        if not self._access.is_token(form.get("token", "").strip()):
            return self._render("login.html", 401, wrong=True)
        answer = RedirectResponse("./", 303)
        secure = request.scope["scheme"] == "https"
        answer.headers["set-cookie"] = self._access.cookie(secure=secure)
        return answer

    async def _logout(self, request: Any) -> Any:
        from starlette.responses import RedirectResponse

        answer = RedirectResponse("login", 303)
        secure = request.scope["scheme"] == "https"
        answer.headers["set-cookie"] = self._access.no_cookie(secure=secure)
        return answer

    async def _state(self, request: Any) -> Any:
        from starlette.responses import Response

        return Response(_json(self._board.changes()), media_type="application/json")

    async def _picture(self, request: Any) -> Any:
        from starlette.responses import Response

        key = request.path_params["key"]
        found = self._board.picture(int(key)) if re.fullmatch("[0-9]{1,18}", key) else None
        if found is None:
            return _text(404, "this picture is not kept any more")
        return Response(found, media_type="image/jpeg")

    async def _stream(self, request: Any) -> Any:
        from starlette.responses import StreamingResponse

        if self._num_streams >= MAX_STREAMS:
            return _text(503, "too many pages are open")
        headers = {"x-accel-buffering": "no"}  # of nginx, which would hold messages back
        return StreamingResponse(self._messages(), headers=headers, media_type="text/event-stream")

    async def _messages(self) -> AsyncIterator[str]:
        """The board's changes, for as long as the reader is there.

        The server takes the next one when the reader has taken the last: nothing piles up.
        """
        self._num_streams += 1
        try:
            version, said = 0, time.monotonic()
            yield "retry: 2000\n\n"
            while True:
                now = time.monotonic()
                if self._board.version > version or now - said >= _HEARTBEAT_S:
                    found, said = self._board.changes(version), now
                    version = found["version"]
                    yield f"data: {_json(found)}\n\n"
                await asyncio.sleep(_EVERY_S)
        finally:
            self._num_streams -= 1

    async def _file(self, request: Any) -> Any:
        from starlette.responses import Response

        name = request.url.path[1:]
        return Response(self._files[name], media_type=_FILES[name][1])

    async def _nothing(self, request: Any) -> Any:
        from starlette.responses import Response

        return Response(status_code=204)

    def _render(self, name: str, status: int, **values: Any) -> Any:
        from starlette.responses import HTMLResponse

        template = page.environment(FOLDER).get_template(name)
        return HTMLResponse(template.render(values), status)


async def _form(request: Any) -> dict[str, str]:
    """The fields of a form, {} if it is long, damaged or does not arrive."""
    from starlette.requests import ClientDisconnect

    body = b""
    try:
        async with asyncio.timeout(_FORM_S):
            async for part in request.stream():
                body += part
                if len(body) > _LONGEST_FORM:
                    return {}
        return dict(urllib.parse.parse_qsl(body.decode("latin-1"), max_num_fields=8))
    except (TimeoutError, ClientDisconnect, ValueError):
        return {}


def _text(status: int, text: str, headers: Mapping[str, str] | None = None) -> Any:
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(text + "\n", status, headers)


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
