import pytest
import torch
from support.networks import TINY
from torch import Tensor, nn

from memegen import aus
from memegen.folding import folded
from memegen.generators.network import GeneratorNet
from memegen.perception.network import PerceptionConfig, PerceptionNet

SMALL = PerceptionConfig(size=32, widths=(4, 8), blocks=(0, 1), squeeze=2, hidden=16, components=5)


def says(net: nn.Module) -> list[Tensor]:
    torch.manual_seed(1)
    if isinstance(net, PerceptionNet):
        return list(net(torch.rand(3, 3, 32, 32)))
    assert isinstance(net, GeneratorNet)
    window, side = net.of("mouth"), net.config.mouth.side
    photo, frame = torch.rand(1, 3 + 2, side, side), torch.rand(3, 3 + 2 + 2, side, side)
    return list(window(frame, torch.rand(3, 2 * len(aus.CHANNELS)), window.encode(photo)))


@pytest.mark.parametrize("net", [PerceptionNet(SMALL), GeneratorNet(TINY)])
def test_norms_folded_into_convolutions_change_nothing(net: nn.Module) -> None:
    norms = [module for module in net.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.inference_mode():
        for tensor in (*net.parameters(), *net.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.randn_like(tensor) * 0.3)
        for norm in norms:
            for values in (norm.weight, norm.running_mean, norm.running_var):
                assert values is not None
                values.copy_(torch.rand_like(values) + 0.5)
        before = {name: value.clone() for name, value in net.state_dict().items()}
        quick = folded(net)
        for wanted, found in zip(says(net), says(quick), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    assert norms and not any(isinstance(m, nn.BatchNorm2d) for m in quick.modules())
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), "the network itself is left as it was"
