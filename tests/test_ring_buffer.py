"""The buffer that holds training examples."""

import numpy as np
import pytest
import torch

from memegen.training.ring_buffer import RingBuffer

CPU = torch.device("cpu")


def filled(size: int, first: int, count: int) -> RingBuffer:
    buffer = RingBuffer(size, CPU, first)
    for number in range(first, first + count):
        buffer.add({"number": np.array(number), "row": np.full((2, 3), number, np.uint8)})
    return buffer


@pytest.mark.parametrize(
    ("first", "count", "held"), [(0, 2, range(2)), (0, 7, range(3, 7)), (5, 2, range(5, 7))]
)
def test_the_latest_are_held(first: int, count: int, held: range) -> None:
    buffer = filled(4, first, count)
    assert buffer.held == held and buffer.next == first + count and buffer.added == count
    batch = buffer.batch(60)
    assert batch["row"].shape == (60, 2, 3) and batch["row"].dtype == torch.uint8
    assert set(batch["number"].tolist()) == set(held)
    assert torch.equal(batch["row"][:, 1, 2].long(), batch["number"])


def test_the_newest_come_first_and_all_of_them_if_there_is_room() -> None:
    buffer = filled(4, 0, 9)
    assert buffer.batch(5, newest=2)["number"][:2].tolist() == [7, 8]
    assert buffer.batch(2, newest=3)["number"].tolist() == [7, 8]


def test_the_same_seed_draws_the_same_from_a_buffer_filled_again() -> None:
    found = []
    for buffer in (filled(4, 0, 9), filled(4, 5, 4)):
        torch.manual_seed(3)
        found.append(buffer.batch(20)["number"])
    assert torch.equal(*found)
