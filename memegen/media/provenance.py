"""What a file says of its origin: made with memegen, how, and that a model had a part in it.

A sentence, which every format carries as its comment, and an XMP packet (ISO 16684-1) where the
format has a place for one. The kind of origin is IPTC's digital source type, as cameras, platforms
and C2PA write it.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

from memegen import __version__

# https://cv.iptc.org/newscodes/digitalsourcetype: "the compositing of trained algorithmic media
# with some other media, such as with inpainting or outpainting operations".
SOURCE_TYPE = "compositeWithTrainedAlgorithmicMedia"
SOURCE_TYPE_URI = f"http://cv.iptc.org/newscodes/digitalsourcetype/{SOURCE_TYPE}"
# Tag of Matroska and WebM; players show tags that they do not know by their name.
SOURCE_TYPE_TAG = "DIGITAL_SOURCE_TYPE"
FRAMING = 400  # bytes, at most, that formats add to a comment and a packet to hold them
MOST_READ = 1 << 26  # bytes at either end of a file that are searched for a packet

_SAID = re.compile(
    r"made with memegen(?: (?P<version>\d[\w.+-]*))?,? ?"
    r"(?P<made_of>.*?)(?:; digital source type|$)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Provenance:
    """What a file says of its origin."""

    comment: str  # the sentence
    version: str  # of the program; empty where it is not told
    made_of: str  # what was played: `recipe smile`, `performance clip`
    source_type: str  # an IPTC digital source type, as a URI; empty where it is not told


def sentence(kind: str, name: str) -> str:
    """What is said of frames that play `name`, which is a `kind`: `recipe`, `smile`."""
    return f"made with memegen {__version__}, {kind} {name}; digital source type: {SOURCE_TYPE}"


def xmp_packet(comment: str) -> bytes:
    """The comment and the digital source type as an XMP packet, UTF-8."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'xmp:CreatorTool="memegen {__version__}" '
        f'Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE_URI}">'
        '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">'
        f"{escape(_xml_text(comment))}</rdf:li></rdf:Alt></dc:description></rdf:Description>"
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode("utf-8", "replace")


def most_bytes(comment: str) -> int:
    """Bytes that a comment and its packet add to a file, at most."""
    return 2 * len(comment.encode("utf-8", "replace")) + len(xmp_packet(comment)) + FRAMING


def read(path: Path) -> Provenance | None:
    """What a file says of its origin, whatever its format; None if it names no memegen.

    Raises OSError where it cannot be read.
    """
    data = _ends(path)
    packet = _packet(data)
    texts = [_described(packet), *_comments(path, data)]
    for text in texts:
        found = _SAID.search(text)
        if found is None:
            continue
        told = re.search(r'DigitalSourceType="([^"]*)"', packet)
        plain = SOURCE_TYPE_URI if SOURCE_TYPE in text else ""
        uri = told[1] if told else plain
        return Provenance(text.strip(), found["version"] or "", found["made_of"].strip(), uri)
    return None


def _xml_text(text: str) -> str:
    """Without the control characters that XML 1.0 has no way to write."""
    return "".join(c for c in text if c >= " " or c in "\t\n")


def _ends(path: Path) -> bytes:
    """A file's bytes; of a very large one, its beginning and its end."""
    with path.open("rb") as file:
        data = file.read(MOST_READ)
        size = path.stat().st_size
        if size <= len(data):
            return data
        file.seek(max(len(data), size - MOST_READ))
        return data + file.read()


def _packet(data: bytes) -> str:
    found = re.search(rb"<x:xmpmeta.*?</x:xmpmeta>", data, re.DOTALL)
    return found[0].decode("utf-8", "replace") if found else ""


def _described(packet: str) -> str:
    found = re.search(r"<dc:description>.*?<rdf:li[^>]*>(.*?)</rdf:li>", packet, re.DOTALL)
    return unescape(found[1]) if found else ""


def _comments(path: Path, data: bytes) -> list[str]:
    """The comments of a picture, or what ffmpeg says of a video's tags."""
    from PIL import Image

    from memegen.process import reading_pictures

    try:
        with reading_pictures(), Image.open(path) as image:
            said = [image.info.get(key, "") for key in ("comment", "Comment")]
        return [s.decode("utf-8", "replace") if isinstance(s, bytes) else str(s) for s in said]
    except Exception:  # no picture, or a damaged one: whatever Pillow's readers raise
        return _tags(path) if data else []


def _tags(path: Path) -> list[str]:
    from memegen.media.commands import probe
    from memegen.media.encode import ffmpeg

    run = subprocess.run([ffmpeg(), *probe(path)], capture_output=True, check=False)
    text = run.stderr.decode("utf-8", "replace")
    return re.findall(r"^\s*comment\s*: (.*)$", text, re.MULTILINE | re.IGNORECASE)
