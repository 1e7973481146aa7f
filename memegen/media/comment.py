"""A comment in the file's own metadata, for the formats whose ffmpeg muxer writes none.

GIF89a specification, section 24 (comment extension); PNG, third edition, section 11.3.3 (tEXt);
WebP container specification (XMP chunk, VP8X flags).
"""

from __future__ import annotations

import struct
import zlib
from html import escape


def with_comment(name: str, data: bytes, comment: str, alpha: bool = False) -> bytes:
    """The file's bytes with the comment added; other formats are returned as they are.

    `alpha` says that the animation is transparent: a WebP whose opaque part is a rectangle leaves
    its encoder without the flag that says so, and would be shown on white.
    """
    if name == "webp":
        return _webp(data, comment, alpha)
    add = {"gif": _gif, "apng": _png}.get(name)
    return add(data, comment) if add else data


def _gif(data: bytes, comment: str) -> bytes:
    packed = data[10]
    table = 3 * 2 ** ((packed & 7) + 1) if packed & 0x80 else 0
    start = 13 + table
    text = comment.encode("ascii", "replace")[:255]
    block = b"\x21\xfe" + bytes([len(text)]) + text + b"\x00"
    return data[:start] + block + data[start:]


def _png(data: bytes, comment: str) -> bytes:
    after_header = 8 + 25  # signature and IHDR
    body = b"tEXtComment\x00" + comment.encode("latin-1", "replace")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:after_header] + chunk + data[after_header:]


def _webp(data: bytes, comment: str, alpha: bool) -> bytes:
    if data[12:16] != b"VP8X" or data[20] & 0x04:  # a simple still, or one that has its comment
        return data
    xmp = xmp_packet(comment)
    chunk = b"XMP " + struct.pack("<I", len(xmp)) + xmp + b"\x00" * (len(xmp) % 2)
    flags = bytes([data[20] | 0x04 | (0x10 if alpha else 0)])
    body = data[8:20] + flags + data[21:] + chunk
    return b"RIFF" + struct.pack("<I", len(body)) + body


def xmp_packet(comment: str) -> bytes:
    """The comment as an XMP description, as WebP carries it."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description>'
        f"{escape(comment)}</dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()
