import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from PIL.GifImagePlugin import GifImageFile

from memegen.errors import MemegenError, UsageError
from memegen.performance.clip import open_clip, read_clip
from memegen.photo import decoding, picture_kind, read_photo


def gradient(width: int = 40, height: int = 30) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 6, y * 8, (x + y) * 3], -1).astype(np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "1", "YCbCr", "LAB"])
def test_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(gradient()).convert(mode)
    path = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr", "LAB") else "a.png")
    picture.save(path)
    try:
        Image.open(path).load()
    except OSError:
        pytest.skip("this Pillow does not read what it writes")  # YCbCr, before Pillow 13
    photo = read_photo(path)
    assert photo.rgb.shape == (30, 40, 3)
    assert photo.alpha is None
    if mode in ("RGB", "CMYK"):
        assert np.abs(photo.rgb.astype(int) - gradient()).mean() < 3


def test_16_bit_keeps_its_range(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 1200).reshape(30, 40).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    grey = read_photo(tmp_path / "a.png").rgb[..., 0]
    assert grey.min() == 0
    assert grey.max() == 255
    assert abs(int(grey[15, 0]) - 128) < 3


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    picture = Image.fromarray(gradient())
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.size == (30, 40)
    assert np.abs(photo.rgb.astype(int) - np.rot90(gradient(), -1)).mean() < 6


def test_alpha_is_kept_and_opaque_alpha_dropped(tmp_path: Path) -> None:
    alpha = np.full((30, 40, 1), 255, np.uint8)
    Image.fromarray(np.dstack([gradient(), alpha])).save(tmp_path / "opaque.png")
    assert read_photo(tmp_path / "opaque.png").alpha is None
    alpha[:, :20] = 0
    Image.fromarray(np.dstack([gradient(), alpha])).save(tmp_path / "half.png")
    photo = read_photo(tmp_path / "half.png")
    assert photo.alpha is not None
    assert photo.channels().shape == (30, 40, 4)


def test_animated_pictures_give_their_first_frame(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((30, 40, 3), v, np.uint8)) for v in (200, 10)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_photo(tmp_path / "a.gif").rgb.mean() == pytest.approx(200, abs=3)


def test_unicode_path(tmp_path: Path) -> None:
    path = tmp_path / "fotö 写真 😀.png"
    Image.fromarray(gradient()).save(path)
    assert read_photo(path).size == (40, 30)


def test_bad_files_are_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    Image.fromarray(np.tile(gradient(), (10, 10, 1))).save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    Image.fromarray(gradient(1, 1)).save(tmp_path / "dot.png")
    cases = {"none.jpg": (UsageError, "no such file"), "empty.jpg": (MemegenError, "empty"),
             "text.jpg": (MemegenError, "not a picture"), "cut.jpg": (MemegenError, "damaged"),
             "dot.png": (UsageError, "too few"), ".": (UsageError, "is a folder")}  # fmt: skip
    for name, (error, says) in cases.items():
        with pytest.raises(error, match=says) as caught:
            read_photo(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_arrays_and_pil_images() -> None:
    assert read_photo(gradient()).size == (40, 30)
    assert read_photo(Image.fromarray(gradient())).size == (40, 30)
    with pytest.raises(UsageError):
        read_photo(np.zeros((4, 4), np.uint8))


def test_resized() -> None:
    assert read_photo(gradient(80, 60)).resized(20, 15).rgb.shape == (15, 20, 3)


def test_colours_are_brought_from_their_profile_to_srgb(tmp_path: Path) -> None:
    """A profile whose red and green primaries are swapped: so are the picture's."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = data.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "GRB ".encode("utf-16-be"))
    picture = Image.fromarray(gradient())
    picture.save(tmp_path / "swapped.png", icc_profile=swapped)
    picture.save(tmp_path / "plain.png", icc_profile=data)
    picture.save(tmp_path / "broken.png", icc_profile=b"no profile")
    found = read_photo(tmp_path / "swapped.png").rgb.astype(int)
    assert np.abs(found - gradient()[..., [1, 0, 2]]).max() <= 2
    for name in ("plain.png", "broken.png"):
        assert (read_photo(tmp_path / name).rgb == gradient()).all()


def test_second_pictures_are_no_animation(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((30, 40, 3), v, np.uint8)) for v in (200, 10)]
    for name in ("pages.tif", "lenses.mpo"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        assert picture_kind(tmp_path / name) == "still"
        assert abs(int(read_photo(tmp_path / name).rgb.mean()) - 200) < 3
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert picture_kind(tmp_path / "a.gif") == "animated"


def test_postscript_is_never_started(tmp_path: Path) -> None:
    Image.fromarray(gradient()).save(tmp_path / "a.eps")
    with pytest.raises(MemegenError, match="not a picture"):
        read_photo(tmp_path / "a.eps")


@pytest.mark.parametrize("most", [1023, 4095, 65535])
def test_fewer_bits_in_16_are_stretched(tmp_path: Path, most: int) -> None:
    values = np.linspace(0, most, 1200).reshape(30, 40).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").rgb.max() == 255


@pytest.mark.parametrize(
    "error", [RuntimeError("no item"), KeyError(3), IndexError(), zlib.error()]
)
def test_whatever_a_reader_raises_is_a_damaged_picture(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.gif"
    moving = [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    moving[0].save(path, save_all=True, append_images=moving[1:], duration=100)
    clip = open_clip(path)
    read = GifImageFile.seek

    def seek(self: GifImageFile, frame: int) -> None:
        if frame:
            raise error
        read(self, frame)

    monkeypatch.setattr(GifImageFile, "seek", seek)
    with pytest.raises(MemegenError, match="damaged picture"):
        list(read_clip(clip).frames)
    with pytest.raises(MemegenError, match="damaged picture"):
        open_clip(path)
    monkeypatch.setattr(GifImageFile, "load", lambda _: seek(_, 1))
    with pytest.raises(MemegenError, match="damaged picture"):
        read_photo(path)
    with pytest.raises(MemoryError), decoding(path):
        raise MemoryError
