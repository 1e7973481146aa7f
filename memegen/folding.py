"""Trained networks as they run fastest."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from memegen import winograd

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """The same network with its batch norms in the convolutions before them, channels together.

    A norm belongs to the layer before it in a Sequential, `norm1` to `conv1` elsewhere. On a
    processor perception takes a fifth less time so. What comes out can no longer be trained.
    """
    found = copy.deepcopy(network).eval()
    for module in list(found.modules()):
        layers = dict(module.named_children())
        for name, norm in layers.items():
            if not isinstance(norm, nn.BatchNorm2d):
                continue
            before = str(int(name) - 1) if isinstance(module, nn.Sequential) else ""
            before = before or name.replace("norm", "conv")
            convolution = layers[before]
            assert isinstance(convolution, nn.Conv2d)
            setattr(module, before, fuse_conv_bn_eval(convolution, norm))
            setattr(module, name, nn.Identity())
        for layer in layers.values():
            if isinstance(layer, nn.SiLU):
                layer.inplace = True  # of what a convolution or a sum has just made
    return found.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def quickened(network: Network) -> Network:
    """A folded network that shares its weights with the one given and takes less time for each run.

    It takes more memory, for what is worked out of the weights when it runs first: for who runs it
    often.
    """
    shared = {id(values): values for values in (*network.parameters(), *network.buffers())}
    found = copy.deepcopy(network, shared)
    for module in list(found.modules()) if winograd.pays() else ():
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.Conv2d) and winograd.fits(layer):
                setattr(module, name, winograd.WinogradConv2d(layer))
    return found
