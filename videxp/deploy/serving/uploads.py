"""One video of a form (multipart/form-data), written to its file as it comes in.

Not through FastAPI's UploadFile, which takes in the whole body, of any size, before the request can be refused.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from videxp.core.printable import in_one_line
from videxp.deploy.serving.refusal import Refused

if TYPE_CHECKING:  # an extra
    from starlette.requests import Request

FIELD = "video"
UPLOAD_SECONDS = 300.0
MAX_HEAD_BYTES = 8192
MAX_FORM_BYTES = 1 << 16
"""Beside the video."""
MAX_NAME = 200
BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.I)


class UploadBody:
    """A request's body, of which at most `max_bytes` are taken in."""

    def __init__(self, request: "Request", *, max_bytes: int) -> None:
        self.request, self.max_bytes = request, max_bytes
        self.deadline = asyncio.get_running_loop().time() + UPLOAD_SECONDS
        self.taken, self.is_whole = 0, False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises Refused: 413, 408, and 400 for one that broke off."""
        stated = self.request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > self.max_bytes:
            raise self._too_large()
        while not self.is_whole:
            chunk = await self._receive()
            if self.taken > self.max_bytes:
                raise self._too_large()
            yield chunk

    async def drain(self) -> None:
        """Takes in the rest, up to the limit, and drops it: a client that is still sending would not read the answer.
        One that waits for leave to send (`Expect: 100-continue`) is left waiting, and reads it at once."""
        if self.taken == 0 and self.request.headers.get("expect", "").lower() == "100-continue":
            return
        most = self.taken + self.max_bytes
        try:
            while not self.is_whole and self.taken <= most:
                await self._receive()
        except Refused:
            pass

    async def _receive(self) -> bytes:
        left = self.deadline - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self.request.receive(), max(left, 0))
        except asyncio.TimeoutError:
            raise Refused(408, f"the video did not come in within {UPLOAD_SECONDS:g} s") from None
        if message["type"] != "http.request":
            self.is_whole = True
            raise Refused(400, "the upload broke off")
        self.is_whole = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        self.taken += len(chunk)
        return chunk

    def _too_large(self) -> Refused:
        return Refused(413, f"the video is larger than {self.max_bytes - MAX_FORM_BYTES:,} bytes")


async def receive_video(body: UploadBody, destination: Path) -> str:
    """Writes the form's one video; returns its name, as its sender calls it. Raises Refused."""
    found = BOUNDARY.match(body.request.headers.get("content-type", ""))
    if found is None:
        raise Refused(415, f"send a form (multipart/form-data) with the file as {FIELD}: curl -F {FIELD}=@FILE ...")
    form = Form((found[1] or found[2]).encode("latin-1"))
    with destination.open("xb") as file:
        async for chunk in body.chunks():
            for piece in form.feed(chunk):
                file.write(piece)
    if not form.is_whole or form.name is None:
        raise Refused(400, f"the form has no whole file called {FIELD}: curl -F {FIELD}=@FILE ...")
    return form.name


class Form:
    """The content of the part called FIELD, from pieces of a form as they come (RFC 7578).

    name: of the file; None before there is one.
    """

    def __init__(self, boundary: bytes) -> None:
        self.delimiter = b"\r\n--" + boundary
        self.buffer = b"\r\n"  # so that the first delimiter is as the others
        self.part = "preamble"  # then "delimiter", "head", "file" or "other", "end"
        self.name: str | None = None

    @property
    def is_whole(self) -> bool:
        return self.part == "end"

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Pieces of the file. Raises Refused: 400."""
        self.buffer += chunk
        going = True
        while going:
            if self.part == "end":
                self.buffer, going = b"", False
            elif self.part == "delimiter":
                going = self._read_after_delimiter()
            elif self.part == "head":
                going = self._read_head()
            else:
                is_file = self.part == "file"
                content, going = self._read_content()
                if content and is_file:
                    yield content

    def _read_content(self) -> tuple[bytes, bool]:
        """(what is certainly no delimiter, whether there was one behind it)"""
        at = self.buffer.find(self.delimiter)
        end = at if at >= 0 else max(0, len(self.buffer) - len(self.delimiter) + 1)
        content, self.buffer = self.buffer[:end], self.buffer[end:]
        if at >= 0:
            self.buffer, self.part = self.buffer[len(self.delimiter) :], "delimiter"
        return content, at >= 0

    def _read_after_delimiter(self) -> bool:
        if len(self.buffer) < 2:
            return False
        if self.buffer[:2] not in (b"--", b"\r\n"):
            raise Refused(400, "the form is not well-formed")
        self.part = "end" if self.buffer[:2] == b"--" else "head"
        return True

    def _read_head(self) -> bool:
        at = self.buffer.find(b"\r\n\r\n")
        if at < 0:
            if len(self.buffer) > MAX_HEAD_BYTES:
                raise Refused(400, "the form is not well-formed")
            return False
        head, self.buffer = self.buffer[:at].decode(errors="replace"), self.buffer[at + 4 :]
        said = re.search(r"^content-disposition:(.*)$", head, re.I | re.M)
        fields = dict(re.findall(r'[;\s](name|filename)="((?:[^"\\]|\\.)*)"', said[1] if said else ""))
        self.part = "file" if fields.get("name") == FIELD and "filename" in fields else "other"
        if self.part == "file":
            if self.name is not None:
                raise Refused(400, f"the form has two files called {FIELD}: send them one by one")
            self.name = in_one_line(re.split(r"[\\/]", fields["filename"])[-1])[:MAX_NAME] or FIELD
        return True
