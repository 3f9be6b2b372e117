"""Writes weights.json: names, shapes and outputs of the ResNets, by torchvision; and the files in fuzz/seeds/weights.

Every tensor of a state_dict is filled by a formula of its name, which tests/weights.rs has too, rounded to float32,
so that no weights need to be kept; what the network makes of images is computed in float64.
Written with PyTorch 2.9.0, torchvision 0.24.0 and NumPy 2.
Run: python weights.py
"""

import json
import math
import pathlib

import torch
import torchvision
from networks import option_a, rounded, uniform
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
SEEDS = HERE / "../../../../fuzz/seeds/weights"


class Block(nn.Module):
    """The basic block of ResNets for CIFAR, whose shortcut has no weights."""

    def __init__(self, of, to, stride):
        super().__init__()
        self.to, self.stride = to, stride
        self.conv1 = nn.Conv2d(of, to, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(to)
        self.conv2 = nn.Conv2d(to, to, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(to)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + option_a(x, self.to, self.stride))


class CifarResNet(nn.Module):
    """ResNet-20 under torchvision's names."""

    def __init__(self, n, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stages, of = [], 16
        for to, stride in [(16, 1), (32, 2), (64, 2)]:
            stages.append(nn.Sequential(Block(of, to, stride), *(Block(to, to, 1) for _ in range(n - 1))))
            of = to
        self.layer1, self.layer2, self.layer3 = stages
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def for_cifar(network):
    network.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    network.maxpool = nn.Identity()
    return network


def formula(name, shape):
    """The numbers of a tensor, which float32 holds exactly."""
    centre, spread = 0.0, 0.2
    if len(shape) > 1:
        spread = math.sqrt(3.0 / math.prod(shape[1:]))
    elif name.endswith("running_var"):
        centre, spread = 1.0, 0.5
    elif name.endswith("weight"):
        centre, spread = 1.0, 0.3
    return (centre + spread * uniform(name, shape)).float()


def case(network, classes, side):
    network = network.double().eval()
    state = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    state = {name: shape for name, shape in state.items() if not name.endswith("num_batches_tracked")}
    network.load_state_dict({name: formula(name, shape) for name, shape in state.items()})
    with torch.no_grad():
        images = 1.5 * uniform("images", [1, 3, side, side])
        outputs = network(images)[0]
    return {"classes": classes, "side": side, "state": state, "outputs": rounded(outputs)}


def seeds():
    """Small files of torch.save: today's and the older format, nested, with views."""
    SEEDS.mkdir(exist_ok=True)
    tensor = lambda name, *shape: formula(name, list(shape))
    plain = nn.Linear(3, 2).state_dict()
    for name in plain:
        plain[name] = tensor(name, *plain[name].shape)
    whole = tensor("whole", 4, 3)
    views = {"transposed": whole.T, "row": whole[1], "column": whole[:, 2], "last": whole[2:], "whole": whole}
    types = {
        "f64": tensor("f64", 3).double(),
        "f16": tensor("f16", 3).half(),
        "bf16": tensor("bf16", 3).bfloat16(),
        "i64": torch.arange(-1, 2),
        "parameter": nn.Parameter(tensor("parameter", 2, 2)),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(2.5, dtype=torch.float32),
    }
    nested = {"epoch": 3, "best": 0.5, "state_dict": {f"module.{name}": plain[name] for name in plain}, "arch": "x"}
    for name, what in [("plain", plain), ("views", views), ("types", types), ("nested", nested)]:
        torch.save(what, SEEDS / f"{name}.pth")
        torch.save(what, SEEDS / f"{name}-legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    # Tensors are float32 in files, as weights are; networks.py computes in float64.
    torch.set_default_dtype(torch.float32)
    resnets = torchvision.models
    cases = {
        "resnet20": case(CifarResNet(3, 10), 10, 32),
        "resnet18": case(for_cifar(resnets.resnet18(num_classes=10)), 10, 16),
        "resnet18-imagenet": case(resnets.resnet18(), 1000, 64),
        "resnet34-imagenet": case(resnets.resnet34(num_classes=7), 7, 48),
        "resnet50-imagenet": case(resnets.resnet50(num_classes=7), 7, 64),
    }
    for found in cases.values():
        found["outputs"] = found["outputs"][:10]
    lines = [f'"{name}":{json.dumps(found, separators=(",", ":"))}' for name, found in cases.items()]
    (HERE / "weights.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    seeds()
