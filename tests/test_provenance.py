"""Every format says where its files come from, also to readers that are not ours."""

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from support.command import RunCli

from memegen import __version__
from memegen.errors import MemegenError
from memegen.media import provenance
from memegen.media.commands import probe
from memegen.media.encode import ffmpeg, target_for, write
from memegen.media.formats import FORMATS, Format
from memegen.media.formats.gif import xmp_block
from memegen.media.formats.mp4 import XMP_BOX
from memegen.media.platforms import platforms

SAID = provenance.sentence("recipe", "wide <smile> & \u00fc")
SUFFIXES = [suffix for fmt in FORMATS for suffix in fmt.suffixes]
EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC = "{http://purl.org/dc/elements/1.1/}"


def pictures(count: int = 4, side: int = 64) -> list[np.ndarray]:
    noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    return [np.roll(noise, index, 1) for index in range(count)]


def made(folder: Path, suffix: str, still: bool = False) -> Path:
    out = folder / f"a{suffix}"
    fmt = target_for(str(out)).fmt
    frames = pictures(4 if fmt.animated and not still else 1)
    write(frames, 25, True, target_for(str(out), comment=SAID))
    return out


def chunk_of_webp(data: bytes, name: bytes) -> bytes:
    at = 12
    while at < len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == name:
            return data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    raise AssertionError(name)


def boxes(data: bytes) -> dict[bytes, bytes]:
    """The outermost boxes of an MP4, which must fill it."""
    found, at = {}, 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found[data[at + 4 : at + 8]] = data[at + 8 : at + length]
        at += length
    assert at == len(data)
    return found


def packet_in(path: Path) -> bytes:
    """The XMP packet, by Pillow or by the structure that the format's specification gives it."""
    data = path.read_bytes()
    if path.suffix == ".gif":
        return data.split(b"\x21\xff\x0bXMP DataXMP", 1)[1].rsplit(b"\x01\xff\xfe\xfd", 1)[0]
    if path.suffix in (".mp4", ".m4v", ".mov"):
        body = boxes(data)[b"uuid"]
        assert body.startswith(XMP_BOX)
        return body[16:]
    if path.suffix == ".webp":
        assert data[20] & 0x04  # the flag of VP8X
        return chunk_of_webp(data, b"XMP ")
    with Image.open(path) as image:
        image.load()
        xmp = image.info["xmp"]
        return xmp if isinstance(xmp, bytes) else xmp.encode()


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s != ".webm"])
def test_xmp_says_it_in_every_format_that_holds_xmp(suffix: str, tmp_path: Path) -> None:
    path = made(tmp_path, suffix)
    packet = packet_in(path).decode().split("?>", 1)[1].rsplit("<?", 1)[0]
    described = ElementTree.fromstring(packet)[0][0]
    assert described.get(f"{EXT}DigitalSourceType") == provenance.SOURCE_TYPE_URI
    assert described.findtext(f"{DC}description/{RDF}Alt/{RDF}li") == SAID
    assert described.get("{http://ns.adobe.com/xap/1.0/}CreatorTool") == f"memegen {__version__}"


def test_comments_are_read_by_others(tmp_path: Path) -> None:
    """Pillow's and ffmpeg's own readers; WebP has no comments but XMP."""
    for suffix in SUFFIXES:
        path = made(tmp_path, suffix)
        if suffix in (".mp4", ".m4v", ".mov", ".webm"):
            run = subprocess.run([ffmpeg(), *probe(path)], capture_output=True, check=False)
            assert SAID in run.stderr.decode()
            assert suffix != ".webm" or provenance.SOURCE_TYPE_URI in run.stderr.decode()
        elif suffix != ".webp":
            with Image.open(path) as image:
                told = image.info.get("comment") or image.info["Comment"]
                text = told.decode() if isinstance(told, bytes) else told
                assert text.startswith(f"made with memegen {__version__}, recipe wide")
                assert provenance.SOURCE_TYPE in text


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_read_tells_it_again_and_the_picture_is_whole(suffix: str, tmp_path: Path) -> None:
    path = made(tmp_path, suffix)
    told = provenance.read(path)
    assert told is not None
    assert (told.version, told.made_of) == (__version__, "recipe wide <smile> & \u00fc")
    assert told.source_type == provenance.SOURCE_TYPE_URI and told.comment == SAID
    run = subprocess.run(
        [ffmpeg(), "-v", "error", "-i", str(path), "-f", "null", "-"], capture_output=True
    )
    assert suffix == ".webp" or (run.returncode == 0 and not run.stderr)
    if suffix not in (".mp4", ".m4v", ".mov", ".webm"):
        with Image.open(path) as image:
            frames = getattr(image, "n_frames", 1)
            image.seek(frames - 1)
            image.load()
        assert frames == (1 if suffix in (".jpg", ".jpeg") else 4)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_stills_say_it_too(suffix: str, tmp_path: Path) -> None:
    told = provenance.read(made(tmp_path, suffix, still=True))
    assert told is not None and told.source_type == provenance.SOURCE_TYPE_URI


def test_gif_readers_that_know_no_xmp_skip_it() -> None:
    """Whichever sub-block length they take a byte of the packet for, they end at its end."""
    block = xmp_block("made with memegen \u00fc")
    assert block[-2:] == b"\x00\x00"
    for start in range(14, len(block) - 258):
        at = start
        while block[at]:
            at += block[at] + 1
        assert at == len(block) - 1


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
def test_a_size_limit_counts_what_is_said(fmt: Format, tmp_path: Path) -> None:
    out = tmp_path / f"a{fmt.suffix}"
    frames = pictures(8 if fmt.animated else 1, 160)
    limit = 12_000
    write(frames, 25, True, target_for(str(out), comment=SAID, max_bytes=limit))
    assert out.stat().st_size <= limit
    assert provenance.read(out) is not None


def test_the_bytes_that_a_comment_takes_are_not_more_than_told(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        size = made(tmp_path, suffix).stat().st_size
        frames = pictures(4 if target_for(f"a{suffix}").fmt.animated else 1)
        bare = tmp_path / f"b{suffix}"
        write(frames, 25, True, target_for(str(bare), comment=""))
        more = provenance.most_bytes(SAID) - provenance.most_bytes("")
        assert size - bare.stat().st_size <= more


def test_every_platforms_files_say_it(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memegen.frames import Frames
    from memegen.media.platforms import fitted
    from memegen.pipeline import write as write_frames

    for name, platform in platforms().items():
        frames = Frames(iter(pictures(12, 128)), 12, (128, 128), 25.0, True, SAID)
        out = tmp_path / f"{name}{platform.output.suffix}"
        exact = platform.exact is not None
        write_frames(fitted(frames, platform), out, max_size=platform.bytes, exact=exact)
        assert out.stat().st_size <= platform.bytes
        told = json.loads(run_cli("inspect", str(out), "--json").out)[0]
        assert told["memegen"] and told["source_type"] == provenance.SOURCE_TYPE_URI


def test_inspect(tmp_path: Path, run_cli: RunCli) -> None:
    path, other = made(tmp_path, ".gif"), tmp_path / "photo.png"
    Image.new("RGB", (8, 8)).save(other)
    out = run_cli("inspect", str(path)).out
    assert f"memegen {__version__}" in out and "recipe wide" in out
    assert "photo.png: nothing says" in run_cli("inspect", str(path), str(other), code=1).err
    told = json.loads(run_cli("inspect", str(other), "--json", code=1).out)
    assert told == [{"file": str(other), "memegen": False}]
    assert "cannot read" in run_cli("inspect", str(tmp_path / "nix.gif"), code=2).err


def test_what_older_versions_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    Image.new("P", (8, 8)).save(path, comment=b"made with memegen, recipe smile")
    told = provenance.read(path)
    assert told == provenance.Provenance("made with memegen, recipe smile", "", "recipe smile", "")


def test_a_limit_below_what_is_said_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MemegenError, match="max_size"):
        write(
            pictures(), 25, True, target_for(str(tmp_path / "a.gif"), comment=SAID, max_bytes=1500)
        )
