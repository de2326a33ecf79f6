"""The form that an upload is."""

from __future__ import annotations

import pathlib
import typing
import uuid


class Form:
    """A form, read as it goes out: wheels may be larger than the memory."""

    def __init__(self, fields: dict[str, str], path: pathlib.Path | None = None) -> None:
        boundary = uuid.uuid4().hex
        text = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
        self._parts: list[bytes | pathlib.Path] = []
        if path is not None:
            # As browsers write it: no name ends the quotes or the line. The server refuses what is no file's name.
            name = path.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
            text += (
                f'--{boundary}\r\nContent-Disposition: form-data; name="content"; filename="{name}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n"
            )
            self._parts = [text.encode(), path]
            text = "\r\n"
        self._parts.append(f"{text}--{boundary}--\r\n".encode())
        self._length = sum(len(part) if isinstance(part, bytes) else part.stat().st_size for part in self._parts)
        self.headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(self._length)}

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> typing.Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as file:
                while piece := file.read(1 << 20):
                    yield piece
