"""What a process has only one of: under several threads, at its start and at its end."""

import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from PIL import Image

from memegen.process import deferred, reading_pictures


def test_pillow_is_put_back_by_the_last_thread() -> None:
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    inside, leave = threading.Barrier(3), [threading.Event(), threading.Event()]

    def read(number: int) -> None:
        with reading_pictures():
            inside.wait()
            leave[number].wait()

    threads = [threading.Thread(target=read, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    inside.wait()
    assert Image.MAX_IMAGE_PIXELS is None
    leave[0].set()
    threads[0].join()
    assert Image.MAX_IMAGE_PIXELS is None, "the other one is still reading"
    leave[1].set()
    threads[1].join()
    assert limit == Image.MAX_IMAGE_PIXELS and list(warnings.filters) == filters


def test_a_deferred_function_brings_its_module_when_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "heavy_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "tools.py").write_text("def double(x, *, plus=0):\n    return 2 * x + plus\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ("heavy_package", "heavy_package.tools")
    with deferred("heavy_package.tools", "double"):
        from heavy_package.tools import double  # type: ignore[import-not-found]
    assert not set(names) & set(sys.modules)
    assert double(4, plus=1) == 9
    assert set(names) <= set(sys.modules)
    with deferred("heavy_package.tools", "double"):  # what is there already stays
        from heavy_package.tools import double as real
    assert real is sys.modules["heavy_package.tools"].double
    for name in names:
        monkeypatch.delitem(sys.modules, name)


def test_finding_faces_does_not_bring_in_the_compiler() -> None:
    probe = (
        "import sys, numpy as np\n"
        "from memegen.faces.detect import Detector\n"
        "assert not list(Detector().rungs(np.zeros((64, 64, 3), np.uint8)))\n"
        "assert 'torchvision' in sys.modules and 'torch._dynamo' not in sys.modules\n"
        "from torchvision.ops.roi_align import is_compile_supported\n"
        "assert is_compile_supported('cpu') in (True, False)\n"
        "assert 'torch._dynamo' in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", [0, 3])
def test_a_hard_exit_leaves_nothing_undone(code: int) -> None:
    """Threads, handlers, what is waiting to be printed and the exit code are as without it."""
    probe = (
        "import atexit, sys, threading, time\n"
        "from memegen.cli.ending import HardExit\n"
        "class Left:\n"
        "    def __del__(self): print('taken apart', flush=True)\n"
        "ending = HardExit()\n"
        "kept = Left()\n"
        "atexit.register(lambda: print('handler'))\n"
        "threading.Thread(target=lambda: (time.sleep(0.3), print('thread'))).start()\n"
        f"ending.code = {code}\n"
        f"sys.exit({code})\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (code, "thread\nhandler\n", "")
