"""Which devices there are, and which precision is chosen on them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from memegen import devices
from memegen.devices import checked_device, device_named, halves_share, has_halves
from memegen.errors import UsageError

CPU = torch.device("cpu")
CAN = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def test_names_are_checked() -> None:
    assert checked_device("cuda") == "cuda"
    assert device_named("cpu") == "cpu" and device_named("auto") in ("cpu", "cuda")
    for check in (checked_device, device_named):
        with pytest.raises(UsageError, match="unknown device 'tpu'"):
            check("tpu")


@pytest.mark.skipif(not CAN, reason="this processor says itself that it has no bfloat16")
def test_halves_are_used_where_they_were_found_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    for share, used in ((0.6, True), (1.1, True), (1.9, False), (20.0, False)):
        monkeypatch.setattr(devices, "halves_share", lambda share=share: share)
        assert has_halves(CPU) is used


def test_trying_leaves_threads_and_chance_as_they_were() -> None:
    before = torch.get_num_threads()
    random = torch.get_rng_state()
    halves_share.cache_clear()
    assert 0 < halves_share() < 100
    assert torch.get_num_threads() == before and halves_share() is halves_share()
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.skipif(not CAN, reason="this processor says itself that it has no bfloat16")
def test_halves_that_are_imitated_are_not_used() -> None:
    """As on a processor with AVX-512 from before there were instructions for them."""
    code = (
        "import torch; from memegen.devices import has_halves\n"
        "assert torch.ops.mkldnn._is_mkldnn_bf16_supported()\n"
        "print(has_halves(torch.device('cpu')))"
    )
    env = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout.strip() == "False"
