"""Photos as phones, cameras and editors write them: HEIC, AVIF, colour profiles, layers."""

import struct
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms
from support.command import RunCli
from support.paths import SAMPLE

from memegen.errors import MemegenError
from memegen.performance.clip import open_clip, read_clip
from memegen.photo import picture_kind, picture_suffixes, read_photo

RED, BLUE = (200, 40, 30), (20, 60, 220)
P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))  # SMPTE EG 432-1
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001))  # ISO 22028-2
D50 = np.array([0.9642, 1.0, 0.8249])  # ICC's connection space
D65, D50_XY = (0.3127, 0.3290), (0.3457, 0.3585)
# XYZ (D50) to linear sRGB: the inverse of the colorants in its profile.
TO_SRGB = np.linalg.inv(
    [[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]
)
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


@pytest.fixture(scope="module", autouse=True)
def _heif() -> None:
    pillow_heif.register_heif_opener()


def two_colours(width: int = 120, height: int = 80) -> Image.Image:
    """Red above blue."""
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[: height // 2], rgb[height // 2 :] = RED, BLUE
    return Image.fromarray(rgb)


def oriented(picture: Image.Image, orientation: int) -> bytes:
    exif = picture.getexif()
    exif[0x0112] = orientation
    return exif.tobytes()


def profile(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile (ICC.1:2001-04) for displays (RGB) or printers (CMYK)."""
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    header = bytearray(128)
    header[8:24] = struct.pack(">I4s4s4s", 0x02400000, kind, space, pcs)
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">3i", *(round(v * 65536) for v in D50))
    text = b"A test's profile\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": xyz(D50),
        **tags,
    }
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    whole = bytes(header) + table + data
    return struct.pack(">I", len(whole)) + whole[4:]


def xyz(values: np.ndarray) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(v) * 65536) for v in values))


def colorants(primaries: tuple[tuple[float, float], ...], white: tuple[float, float]) -> np.ndarray:
    """(3, 3) columns: XYZ of red, green and blue, seen under D50 (Bradford)."""

    def lifted(x: float, y: float) -> np.ndarray:
        return np.array([x / y, 1.0, (1 - x - y) / y])

    matrix = np.stack([lifted(*p) for p in primaries], 1)
    matrix = matrix * np.linalg.solve(matrix, lifted(*white))
    gain = (BRADFORD @ D50) / (BRADFORD @ lifted(*white))
    return np.linalg.inv(BRADFORD) @ np.diag(gain) @ BRADFORD @ matrix


def rgb_profile(matrix: np.ndarray, gamma: float) -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    tags = {bytes([c]) + b"XYZ": xyz(matrix[:, i]) for i, c in enumerate(b"rgb")}
    return profile(b"RGB ", tags | {bytes([c]) + b"TRC": curve for c in b"rgb"})


def cmyk_profile() -> bytes:
    """Ink takes lightness: cyan 20, magenta 30, yellow 10, black 60 of 100; yellow adds b* 50."""
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    table += struct.pack(">9i", *(65536 * v for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table += bytes(range(256)) * 4
    for corner in np.ndindex(2, 2, 2, 2):
        c, m, y, k = corner
        light = max(0, 100 - 20 * c - 30 * m - 10 * y - 60 * k)
        table += bytes([round(light * 2.55), 128, 128 + 50 * y])
    table += bytes(range(256)) * 3
    return profile(b"CMYK", {b"A2B0": table}, b"Lab ")


def encoded(linear: np.ndarray) -> np.ndarray:
    """Linear 0..1 to sRGB 0..255 (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    low = 12.92 * linear
    return 255 * np.where(linear <= 0.0031308, low, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(("primaries", "white", "gamma"), [(P3, D65, 2.2), (PROPHOTO, D50_XY, 1.8)])
def test_wide_colours_come_to_srgb(
    tmp_path: Path,
    primaries: tuple[tuple[float, float], ...],
    white: tuple[float, float],
    gamma: float,
) -> None:
    matrix = colorants(primaries, white)
    rgb = np.array([[[128, 128, 128], [150, 110, 100], [90, 120, 110]]], np.uint8).repeat(20, 0)
    rgb = rgb.repeat(20, 1)
    wanted = encoded(((rgb / 255) ** gamma) @ matrix.T @ TO_SRGB.T)
    for name in ("a.png", "a.tif", "a.webp"):
        extra = {"lossless": True} if name.endswith("webp") else {}
        Image.fromarray(rgb).save(tmp_path / name, icc_profile=rgb_profile(matrix, gamma), **extra)
        photo = read_photo(tmp_path / name)
        assert photo.note is None
        assert np.abs(photo.rgb - wanted).max() < 2.5
    assert np.abs(wanted - rgb).max() > 8  # they would be seen to differ


def test_inks_come_to_srgb_by_their_profile(tmp_path: Path) -> None:
    inks = np.zeros((20, 60, 4), np.uint8)
    inks[:, 20:40, 3] = 255
    inks[:, 40:, 2] = 255
    picture = Image.fromarray(inks, "CMYK")
    picture.save(tmp_path / "a.tif", icc_profile=cmyk_profile())
    rgb = read_photo(tmp_path / "a.tif").rgb.astype(int)
    paper, black, yellow = rgb[5, 5], rgb[5, 30], rgb[5, 50]
    assert paper.min() > 250
    # L* of 40 is the grey 94; black point compensation takes the blackest ink to black.
    assert np.ptp(black) <= 3 and black.max() <= 96
    assert yellow[0] > yellow[2] + 60
    picture.save(tmp_path / "plain.tif")
    assert read_photo(tmp_path / "plain.tif").rgb[5, 30].max() == 0


@pytest.mark.parametrize("kind", ["no profile", "cut", "of inks", "without curves"])
def test_damaged_profiles_are_ignored_with_a_note(
    tmp_path: Path, kind: str, run_cli: RunCli
) -> None:
    whole = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    matrix = colorants(P3, D65)
    data = {
        "no profile": b"no profile",
        "cut": rgb_profile(matrix, 2.2)[:200],
        "of inks": cmyk_profile(),
        "without curves": rgb_profile(matrix, 2.2).replace(b"TRC", b"XXX"),
    }[kind]
    with Image.open(SAMPLE) as image:
        image.convert("RGB").crop((130, 20, 330, 220)).save(tmp_path / "a.png", icc_profile=data)
        image.convert("RGB").crop((130, 20, 330, 220)).save(tmp_path / "b.png", icc_profile=whole)
    photo = read_photo(tmp_path / "a.png")
    assert photo.note is not None and "colour profile is damaged" in photo.note
    assert "\n" not in photo.note and photo.resized(50, 50).note == photo.note
    assert np.array_equal(photo.rgb, read_photo(tmp_path / "b.png").rgb)
    assert read_clip(open_clip(tmp_path / "a.png")).problem == photo.note
    if kind == "cut":
        printed = run_cli("faces", str(tmp_path / "a.png"))
        told = printed
        assert "colour profile is damaged" in told.err and "profile" not in told.out


@pytest.mark.parametrize("name", ["a.heic", "a.avif", "a.HEIF"])
def test_what_phones_take_is_read_upright(tmp_path: Path, name: str) -> None:
    made = tmp_path / name
    picture = two_colours()
    picture.save(made, quality=95, exif=oriented(picture, 6))
    assert picture_kind(made) == "still"
    photo = read_photo(made)
    assert photo.size == (80, 120)
    assert np.abs(photo.rgb[60, -5].astype(int) - RED).max() < 12
    assert np.abs(photo.rgb[60, 5].astype(int) - BLUE).max() < 12
    clip = open_clip(made)
    (frame,) = read_clip(clip).frames
    assert clip.still and frame.shape == (120, 80, 3)


def test_tiles_are_one_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(pillow_heif.options, "GRID_TILE_SIZE"):
        pytest.skip("this pillow-heif writes no tiles")
    monkeypatch.setattr(pillow_heif.options, "GRID_TILE_SIZE", 64)
    two_colours(200, 180).save(tmp_path / "a.heic", quality=95)
    assert b"grid" in (tmp_path / "a.heic").read_bytes()
    photo = read_photo(tmp_path / "a.heic")
    assert photo.size == (200, 180)
    assert np.abs(photo.rgb[-5, -5].astype(int) - BLUE).max() < 12


def test_profiles_of_heic_are_followed(tmp_path: Path) -> None:
    matrix = colorants(P3, D65)
    picture = Image.fromarray(np.full((64, 64, 3), (150, 110, 100), np.uint8))
    wanted = encoded(((np.array([150, 110, 100]) / 255) ** 2.2) @ matrix.T @ TO_SRGB.T)
    for name in ("a.heic", "a.avif"):
        picture.save(tmp_path / name, quality=98, icc_profile=rgb_profile(matrix, 2.2))
        assert np.abs(read_photo(tmp_path / name).rgb[30, 30] - wanted).max() < 5


def test_several_pictures_in_a_heic_are_the_main_one(tmp_path: Path) -> None:
    red, blue = (Image.new("RGB", (64, 64), colour) for colour in (RED, BLUE))
    red.save(tmp_path / "a.heic", save_all=True, append_images=[blue], primary_index=1, quality=95)
    assert picture_kind(tmp_path / "a.heic") == "still"
    assert np.abs(read_photo(tmp_path / "a.heic").rgb[30, 30].astype(int) - BLUE).max() < 12


@pytest.mark.parametrize("name", ["a.avif", "a.webp"])
def test_sequences_move_at_their_own_speed(tmp_path: Path, name: str) -> None:
    red, blue = (Image.new("RGB", (64, 64), colour) for colour in (RED, BLUE))
    times = [200, 200, 400]
    red.save(tmp_path / name, save_all=True, append_images=[blue, red], duration=times)
    assert picture_kind(tmp_path / name) == "animated"
    clip = open_clip(tmp_path / name)
    frames = list(read_clip(clip).frames)
    assert clip.fps == pytest.approx(5) and clip.seconds == pytest.approx(0.8)
    assert [int(frame[30, 30, 0]) > 100 for frame in frames] == [True, False, True, True]
    assert np.abs(frames[1][30, 30].astype(int) - BLUE).max() < 12


def test_damaged_heics_are_one_line(tmp_path: Path) -> None:
    two_colours().save(tmp_path / "a.heic", quality=95)
    data = (tmp_path / "a.heic").read_bytes()
    rng = np.random.default_rng(0)
    for index in range(40):
        spoilt = bytearray(data)
        for place in rng.integers(0, len(data), 6):
            spoilt[place] = rng.integers(256)
        (tmp_path / "b.heic").write_bytes(bytes(spoilt)[: len(data) - 20 * (index % 3)])
        assert picture_kind(tmp_path / "b.heic") == "still"
        try:
            read_photo(tmp_path / "b.heic")
        except MemegenError as error:
            assert "\n" not in str(error)
    (tmp_path / "c.heic").write_bytes(data[: len(data) // 2])
    with pytest.raises(MemegenError, match=r"c\.heic"):
        read_photo(tmp_path / "c.heic")


def test_folders_are_searched_for_them() -> None:
    assert {".heic", ".heif", ".avif", ".jpg", ".png"} <= picture_suffixes()
    assert not {".eps", ".pdf", ".mpg"} & picture_suffixes()


def layered_psd() -> bytes:
    """An Adobe Photoshop file: red as a whole, with two layers of blue."""
    side, plane = 32, 32 * 32
    records, pixels = b"", b""
    for _ in range(2):
        channels = b"".join(struct.pack(">hI", channel, 2 + plane) for channel in range(3))
        extra = struct.pack(">II", 0, 0) + b"\x03one"
        records += struct.pack(">4IH", 0, 0, side, side, 3) + channels + b"8BIMnorm"
        records += bytes([255, 0, 0, 0]) + struct.pack(">I", len(extra)) + extra
        pixels += b"".join(bytes(2) + bytes([level]) * plane for level in BLUE)
    info = struct.pack(">h", 2) + records + pixels
    layers = struct.pack(">I", len(info)) + info
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, side, side, 8, 3)
    merged = bytes(2) + b"".join(bytes([level]) * plane for level in RED)
    return header + struct.pack(">III", 0, 0, len(layers)) + layers + merged


def test_layers_and_sizes_are_no_animation(tmp_path: Path) -> None:
    (tmp_path / "a.psd").write_bytes(layered_psd())
    with Image.open(tmp_path / "a.psd") as image:
        assert image.n_frames == 2  # Pillow counts layers
    two_colours(64, 64).save(tmp_path / "a.ico", sizes=[(16, 16), (64, 64)])
    two_colours(128, 128).save(tmp_path / "a.icns")
    for name, side in (("a.psd", 32), ("a.ico", 64), ("a.icns", 128)):
        assert picture_kind(tmp_path / name) == "still"
        photo = read_photo(tmp_path / name)
        assert photo.size[0] >= side and tuple(photo.rgb[2, 2]) == RED
