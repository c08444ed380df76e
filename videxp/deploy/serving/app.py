"""The addresses of the service."""

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from videxp import __version__
from videxp.deploy.serving.inspecting import CONTAINER_WORDS
from videxp.deploy.serving.meters import CONTENT_TYPE, Meters
from videxp.deploy.serving.pool import Pool
from videxp.deploy.serving.refusal import Refused, RequestLimits
from videxp.deploy.serving.served import VIDEO, Served, read_answer
from videxp.deploy.serving.uploads import FIELD, MAX_FORM_BYTES, UploadBody, receive_video

ASSETS = Path(__file__).parent / "assets"
PAGE = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
PREDICT = "/predict"
PIECE_BYTES = 1 << 16
MEDIA = {".json": "application/json", ".mp4": "video/mp4"}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
REFUSALS = {
    400: "The form is not well-formed, or broke off.",
    401: "The token is missing or wrong.",
    408: "The upload took too long.",
    413: "Too many bytes, seconds or pixels, or too much memory.",
    415: f"Not a form, or not a video in {CONTAINER_WORDS}.",
    422: "A damaged video, or one that the model cannot answer.",
    429: "Too many requests are under way: Retry-After says when to ask again.",
    503: "No worker is ready, or it ended: Retry-After says when to ask again.",
    504: "The work took too long.",
}


def build_app(
    served: Served, pool: Pool, *, spool: Path, token: str, ended: Callable[[BaseException], None]
) -> FastAPI:
    """spool: a folder of its own for uploads. token: "" for none. ended: told of an error that ends the service."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(pool.run())
        work.add_done_callback(lambda done: None if done.cancelled() else ended(done.exception() or SystemExit()))
        yield
        work.cancel()

    # FastAPI's own pages of documentation ask other hosts for scripts.
    app = FastAPI(
        title="videxp serve", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.add_middleware(Counted, meters=pool.meters)
    bearer = HTTPBearer(auto_error=False)

    def require_token(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        """Compared in constant time."""
        given = sent.credentials if sent is not None else ""
        if token and not secrets.compare_digest(given.encode(), token.encode()):
            raise Refused(401, "the token is missing or wrong: Authorization: Bearer TOKEN")

    guarded = [Depends(require_token)]

    @app.exception_handler(Refused)
    async def refuse(_: Request, refused: Refused) -> JSONResponse:
        headers = {"www-authenticate": "Bearer"} if refused.status == 401 else {}
        if refused.retry_after is not None:
            headers["retry-after"] = str(refused.retry_after)
        return JSONResponse({"error": refused.message}, refused.status, headers=headers)

    @app.exception_handler(HTTPException)
    async def refuse_address(request: Request, error: HTTPException) -> JSONResponse:
        """Of an address or a method that there is not."""
        told = f"{error.detail}: {request.method} {request.url.path}"
        return JSONResponse({"error": told}, error.status_code, headers=error.headers)

    @app.post(PREDICT, **_described(served))
    async def predict(
        request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> Response:
        """Answers one video. The file is deleted before the answer is sent."""
        body = UploadBody(request, max_bytes=served.limits.max_bytes + MAX_FORM_BYTES)
        try:
            require_token(sent)
            with pool.admission():
                return await _answered(served, pool, body, folder=spool / secrets.token_hex(16))
        except Refused:
            await body.drain()
            raise

    @app.get("/health")
    async def health() -> JSONResponse:
        """Whether some worker can answer."""
        ready = pool.ready
        status = {"status": "ok" if ready else "no worker is ready", "workers": ready, "token": bool(token)}
        return JSONResponse({**status, "serves": served.title, "limits": _told(served.limits)}, 200 if ready else 503)

    @app.get("/metrics", dependencies=guarded)
    async def metrics() -> PlainTextResponse:
        """Counts for Prometheus."""
        text = pool.meters.text(ready=pool.ready, slots=pool.slots)
        return PlainTextResponse(text, headers={"content-type": CONTENT_TYPE})

    @app.get("/openapi.json", dependencies=guarded, include_in_schema=False)
    async def openapi() -> dict[str, Any]:
        return app.openapi()

    for address, (name, media) in PAGE.items():
        app.get(address, include_in_schema=False)(_asset(name, media))
    return app


async def _answered(served: Served, pool: Pool, body: UploadBody, *, folder: Path) -> Response:
    folder.mkdir(mode=0o700)
    try:
        name = await receive_video(body, folder / VIDEO)
        await pool.answer(folder)
        answer = folder / served.answer_name
        if answer.suffix == ".json":
            return Response(read_answer(answer, name=name), media_type=MEDIA[answer.suffix])
        return _sent(answer)
    finally:
        shutil.rmtree(folder)


def _sent(path: Path) -> StreamingResponse:
    """A file that may be deleted before it is sent."""
    file = path.open("rb")

    async def pieces() -> AsyncIterator[bytes]:
        with file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    headers = {"content-length": str(os.fstat(file.fileno()).st_size)}
    return StreamingResponse(pieces(), media_type=MEDIA.get(path.suffix, "application/octet-stream"), headers=headers)


def _asset(name: str, media: str) -> Callable[[], Awaitable[FileResponse]]:
    async def asset() -> FileResponse:
        return FileResponse(ASSETS / name, media_type=media)

    return asset


def _told(limits: RequestLimits) -> dict[str, float]:
    return {"bytes": limits.max_bytes, "seconds": limits.max_seconds, "pixels": limits.max_pixels}


def _described(served: Served) -> dict[str, Any]:
    """What OpenAPI says of `predict`: its form is read by hand."""
    suffix = Path(served.answer_name).suffix
    schema: dict[str, Any] = {"type": "object"} if suffix == ".json" else {"type": "string", "format": "binary"}
    error = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    form = {"type": "object", "properties": {FIELD: {"type": "string", "format": "binary"}}, "required": [FIELD]}
    refusals = {
        status: {"description": what, "content": {"application/json": {"schema": error}}}
        for status, what in REFUSALS.items()
    }
    answer = {"description": "What `videxp predict` writes.", "content": {MEDIA[suffix]: {"schema": schema}}}
    request = {"required": True, "content": {"multipart/form-data": {"schema": form}}}
    return {
        "response_class": Response,
        "responses": {200: answer, **refusals},
        "openapi_extra": {"requestBody": request},
    }


class Counted:
    """ASGI middleware: counts predictions by status, and adds HEADERS to all answers."""

    def __init__(self, app: Any, *, meters: Meters) -> None:
        self.app, self.meters = app, meters

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, start = 500, time.perf_counter()

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in HEADERS.items())]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            if scope["path"] == PREDICT:
                self.meters.count_request(status, time.perf_counter() - start)
