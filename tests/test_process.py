"""What a process has only one of, under several threads."""

import threading
import warnings

from PIL import Image

from memegen.process import reading_pictures


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
