"""Takes an upload of one request apart: the emulator lets Python's mail parser look for lines in the content."""

from __future__ import annotations

import json
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

KIND = "multipart/related"


def related(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the resource, the content and its type, as the emulator's own reader does.

    Raises ValueError when the body is not what `content_type` says
    (https://cloud.google.com/storage/docs/uploading-objects#multipart-upload, RFC 2046 section 5.1.1).
    """
    header = Message()
    header["Content-Type"] = content_type
    mark = b"--" + str(header.get_boundary()).encode()
    begin, end = body.find(mark + b"\r\n"), body.rfind(b"\r\n" + mark + b"--")
    parts = body[begin:end].split(b"\r\n" + mark + b"\r\n", 1)
    if begin < 0 or end < 0 or len(parts) != 2:
        raise ValueError("the body holds no two parts between the boundary that its header names")
    (_, resource), (kind, content) = (_part(part.removeprefix(mark + b"\r\n")) for part in parts)
    return {"meta": json.loads(resource), "content": content, "content-type": kind}


def _part(part: bytes) -> tuple[str, bytes]:
    head, _, content = part.partition(b"\r\n\r\n")
    return BytesHeaderParser().parsebytes(head + b"\r\n\r\n").get_content_type(), content
