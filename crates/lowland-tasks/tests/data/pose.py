"""Writes pose.json: heatmaps, loss and gradients of two small pose networks, by PyTorch in float64.

The networks are put together here from their paper (arXiv 1804.06208), and every tensor is filled by
a formula that tests/pose/network.rs has too. Written with PyTorch 2.9.0.
Run: python pose.py > pose.json
"""

import json
import math

import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)

WIDTH, BLOCKS, HEAD, JOINTS = 2, [2, 1, 1], 3, 2


def places(shape):
    return torch.arange(math.prod(shape), dtype=torch.float64).reshape(shape)


class Network:
    """Hands out trained tensors in the order in which the network under test visits them."""

    def __init__(self):
        self.tensors = []

    def tensor(self, *shape):
        number = len(self.tensors)
        wave = torch.sin(1.0 + 1.3 * number + 0.7 * places(shape))
        value = 0.5 + 0.5 * wave if len(shape) == 1 else 0.3 * wave
        self.tensors.append(value.requires_grad_())
        return value


def layers(large):
    """All layers in the order of their tensors, as functions."""
    net = Network()

    def convolution(of, to, size, stride):
        weight = net.tensor(to, of, size, size)
        return lambda x: F.conv2d(x, weight, stride=stride, padding=size // 2)

    def batch_norm(width):
        gamma, beta = net.tensor(width), net.tensor(width)
        return lambda x: F.batch_norm(x, None, None, gamma, beta, True, 0.1, 1e-5)

    def block(of, to, stride):
        first, first_norm = convolution(of, to, 3, stride), batch_norm(to)
        second, second_norm = convolution(to, to, 3, 1), batch_norm(to)
        changes = of != to or stride != 1
        shortcut = (convolution(of, to, 1, stride), batch_norm(to)) if changes else None

        def forward(x):
            y = second_norm(second(F.relu(first_norm(first(x)))))
            return F.relu(y + (shortcut[1](shortcut[0](x)) if shortcut else x))

        return forward

    def doubling(of, to):
        weight, norm = net.tensor(of, to, 4, 4), batch_norm(to)
        return lambda x: F.relu(norm(F.conv_transpose2d(x, weight, stride=2, padding=1)))

    stem, stem_norm = convolution(3, WIDTH, 7 if large else 3, 2), batch_norm(WIDTH)
    found = [lambda x: F.relu(stem_norm(stem(x)))]
    if large:
        found.append(lambda x: F.max_pool2d(x, 3, 2, 1))
    of = WIDTH
    for stage, count in enumerate(BLOCKS):
        to, halves = WIDTH * 2**stage, stage > 0 or not large
        for number in range(count):
            found.append(block(of, to, 2 if halves and number == 0 else 1))
            of = to
    for _ in BLOCKS[1:]:
        found.append(doubling(of, HEAD))
        of = HEAD
    weight, bias = net.tensor(JOINTS, of, 1, 1), net.tensor(JOINTS)
    found.append(lambda x: F.conv2d(x, weight, bias))
    return net, found


def rounded(numbers):
    return [float(f"{float(x):.14g}") for x in numbers]


def case(stem):
    net, functions = layers(stem == "large")
    heatmaps = torch.sin(0.11 * places([2, 3, 32, 32]) ** 1.1)
    for function in functions:
        heatmaps = function(heatmaps)
    targets = torch.cos(0.3 * places([2, JOINTS, 8, 8]))
    weights = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    errors = ((heatmaps - targets) ** 2).sum((2, 3))
    loss = ((errors * weights).sum(1) / weights.sum(1)).mean()
    loss.backward()
    gradients = []
    for tensor in net.tensors:
        flat = tensor.grad.flatten()
        gradients.append(rounded([flat.norm(), flat @ torch.cos(0.5 * places(flat.shape))]))
    return {
        "stem": stem,
        "loss": rounded([loss.detach()])[0],
        "heatmaps": rounded(heatmaps.detach().flatten()),
        "gradients": gradients,
    }


print("[")
print(",\n".join(json.dumps(case(stem), separators=(",", ":")) for stem in ("large", "small")))
print("]")
