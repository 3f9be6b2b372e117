"""Writes networks.json: outputs and gradients of the networks, by PyTorch in float64.

The networks are put together here from their papers, and every tensor is filled by a formula that
tests/networks.rs has too, so that no weights need to be kept. Written with PyTorch 2.9.0 and NumPy 2.
Run: python networks.py > networks.json
"""

import json
import math
import zlib

import numpy
import torch
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)


def uniform(path, shape):
    """Numbers in [-1, 1): splitmix64 of the CRC-32 of the path and the place in the tensor."""
    count = math.prod(shape)
    z = (numpy.uint64(zlib.crc32(path.encode())) << numpy.uint64(32)) | numpy.arange(count, dtype=numpy.uint64)
    with numpy.errstate(over="ignore"):
        z = (z + numpy.uint64(0x9E3779B97F4A7C15)).astype(numpy.uint64)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    unit = (z >> numpy.uint64(11)).astype(numpy.float64) / 2.0**53
    return torch.from_numpy((2.0 * unit - 1.0).reshape(shape))


class Network:
    """Hands out tensors by path; a forward pass is a function of it and the images."""

    def __init__(self, training):
        self.training = training
        self.parameters = {}

    def tensor(self, path, shape, centre, spread, trained=True):
        if path not in self.parameters:
            value = centre + spread * uniform(path, shape)
            self.parameters[path] = value.requires_grad_(trained)
        return self.parameters[path]

    def convolution(self, path, x, to, size, stride=1):
        shape = [to, x.shape[1], size, size]
        weight = self.tensor(f"{path}.weight", shape, 0.0, math.sqrt(6.0 / math.prod(shape[1:])))
        return F.conv2d(x, weight, stride=stride, padding=size // 2)

    def batch_norm(self, path, x):
        width = [x.shape[1]]
        gamma = self.tensor(f"{path}.gamma", width, 1.0, 0.3)
        beta = self.tensor(f"{path}.beta", width, 0.0, 0.2)
        mean = self.tensor(f"{path}.running_mean", width, 0.0, 0.2, trained=False)
        variance = self.tensor(f"{path}.running_var", width, 1.0, 0.5, trained=False)
        return F.batch_norm(x, mean.clone(), variance.clone(), gamma, beta, self.training, 0.1, 1e-5)

    def layer_norm(self, path, x):
        width = [x.shape[-1]]
        gamma = self.tensor(f"{path}.gamma", width, 1.0, 0.3)
        return F.layer_norm(x, width, gamma, self.tensor(f"{path}.beta", width, 0.0, 0.2), 1e-5)

    def linear(self, path, x, to):
        shape = [x.shape[-1], to]  # Burn's layout
        weight = self.tensor(f"{path}.weight", shape, 0.0, math.sqrt(3.0 / shape[0]))
        return x @ weight + self.tensor(f"{path}.bias", [to], 0.0, 0.2)


def option_a(x, to, stride):
    x = x[:, :, ::stride, ::stride]
    extra = to - x.shape[1]
    return F.pad(x, (0, 0, 0, 0, extra // 2, extra - extra // 2))


def cifar_resnet(net, x, classes, n):
    x = F.relu(net.batch_norm("stem_norm", net.convolution("stem", x, 16, 3)))
    for i in range(3 * n):
        to, stride = 16 * 2 ** (i // n), 2 if i in (n, 2 * n) else 1
        y = net.convolution(f"blocks.{i}.first", x, to, 3, stride)
        y = F.relu(net.batch_norm(f"blocks.{i}.first_norm", y))
        y = net.batch_norm(f"blocks.{i}.second_norm", net.convolution(f"blocks.{i}.second", y, to, 3))
        x = F.relu(y + option_a(x, to, stride))
    return net.linear("head", x.mean((2, 3)), classes)


def resnet(net, x, classes, counts, stem="cifar", kind="basic"):
    size, stride = (7, 2) if stem == "imagenet" else (3, 1)
    x = F.relu(net.batch_norm("stem_norm", net.convolution("stem", x, 64, size, stride)))
    if stem == "imagenet":
        x = F.max_pool2d(x, 3, 2, 1)
    i = 0
    for stage, count in enumerate(counts):
        for block in range(count):
            width, stride = 64 * 2**stage, 2 if stage > 0 and block == 0 else 1
            to = 4 * width if kind == "bottleneck" else width
            size, strides = (1, (1, stride)) if kind == "bottleneck" else (3, (stride, 1))
            y = net.convolution(f"blocks.{i}.first", x, width, size, strides[0])
            y = F.relu(net.batch_norm(f"blocks.{i}.first_norm", y))
            y = net.convolution(f"blocks.{i}.second", y, width, 3, strides[1])
            y = net.batch_norm(f"blocks.{i}.second_norm", y)
            if kind == "bottleneck":
                y = net.convolution(f"blocks.{i}.third", F.relu(y), to, 1)
                y = net.batch_norm(f"blocks.{i}.third_norm", y)
            if x.shape[1] != to or stride == 2:
                x = net.convolution(f"blocks.{i}.shortcut.convolution", x, to, 1, stride)
                x = net.batch_norm(f"blocks.{i}.shortcut.norm", x)
            x = F.relu(y + x)
            i += 1
    return net.linear("head", x.mean((2, 3)), classes)


def wide_resnet(net, x, classes, n, k):
    x = net.convolution("stem", x, 16, 3)
    for i in range(3 * n):
        to, stride = 16 * k * 2 ** (i // n), 2 if i in (n, 2 * n) else 1
        active = F.relu(net.batch_norm(f"blocks.{i}.first_norm", x))
        y = net.convolution(f"blocks.{i}.first", active, to, 3, stride)
        y = F.relu(net.batch_norm(f"blocks.{i}.second_norm", y))
        y = net.convolution(f"blocks.{i}.second", y, to, 3)
        x = y + (net.convolution(f"blocks.{i}.shortcut", active, to, 1, stride) if i % n == 0 else x)
    return net.linear("head", F.relu(net.batch_norm("norm", x)).mean((2, 3)), classes)


def pyramid_net(net, x, classes, n, alpha):
    x = net.batch_norm("stem_norm", net.convolution("stem", x, 16, 3))
    for i in range(3 * n):
        to, stride = math.floor(16 + alpha * (i + 1) / (3 * n)), 2 if i in (n, 2 * n) else 1
        y = net.batch_norm(f"blocks.{i}.first_norm", x)
        y = net.convolution(f"blocks.{i}.first", y, to, 3, stride)
        y = F.relu(net.batch_norm(f"blocks.{i}.second_norm", y))
        y = net.batch_norm(f"blocks.{i}.last_norm", net.convolution(f"blocks.{i}.second", y, to, 3))
        around = F.avg_pool2d(x, 2, 2, ceil_mode=True) if stride == 2 else x
        x = y + torch.cat([around, torch.zeros(len(x), to - x.shape[1], *around.shape[2:])], 1)
    return net.linear("head", F.relu(net.batch_norm("norm", x)).mean((2, 3)), classes)


def attention(net, path, x, heads):
    batch, patches, width = x.shape
    split = lambda x: x.view(batch, patches, heads, width // heads).transpose(1, 2)
    parts = [split(net.linear(f"{path}.{name}", x, width)) for name in ("query", "key", "value")]
    x = F.scaled_dot_product_attention(*parts).transpose(1, 2).reshape(batch, patches, width)
    return net.linear(f"{path}.output", x, width)


def vision_transformer(net, x, classes, patch, grid, width, layers, heads, hidden):
    batch, channels, height, _ = x.shape
    weight = net.tensor("embedding.weight", [channels * patch**2, width], 0.0, math.sqrt(3.0 / (channels * patch**2)))
    kernel = weight.T.reshape(width, channels, patch, patch)
    x = F.conv2d(x, kernel, net.tensor("embedding.bias", [width], 0.0, 0.2), stride=patch)
    places = net.tensor("places", [grid, grid, width], 0.0, 0.2)
    x = x.permute(0, 2, 3, 1) + places[: height // patch, : height // patch]
    x = x.flatten(1, 2)
    for i in range(layers):
        path = f"encoder.layers.{i}"
        x = x + attention(net, f"{path}.mha", net.layer_norm(f"{path}.norm_2", x), heads)
        y = F.gelu(net.linear(f"{path}.pwff.linear_inner", net.layer_norm(f"{path}.norm_1", x), hidden))
        x = x + net.linear(f"{path}.pwff.linear_outer", y, width)
    return net.linear("head", net.layer_norm("norm", x).mean(1), classes)


def rounded(numbers):
    return [float(f"{float(x):.14g}") for x in numbers]


def case(name, function, images, classes, *sizes):
    x = 1.5 * uniform("images", images)
    with torch.no_grad():
        evaluated = function(Network(False), x, classes, *sizes)
    net = Network(True)
    trained = function(net, x, classes, *sizes)
    (trained * uniform("loss", trained.shape)).sum().backward()
    gradients = {}
    for path, parameter in net.parameters.items():
        if parameter.requires_grad:
            flat = parameter.grad.flatten()
            places = [0, len(flat) // 3, len(flat) - 1]
            gradients[path] = rounded([flat.norm(), *flat[places]])
    return {
        "name": name,
        "sizes": sizes,
        "images": images,
        "classes": classes,
        "evaluated": rounded(evaluated.flatten()),
        "trained": rounded(trained.detach().flatten()),
        "gradients": gradients,
    }


def cases():
    # Heads of 64 and 16: Burn takes their root, and in the gradient its reciprocal, in float32.
    return [
        case("cifar-resnet", cifar_resnet, [2, 3, 32, 32], 10, 3),
        case("cifar-resnet", cifar_resnet, [2, 3, 32, 32], 10, 9),
        case("resnet", resnet, [2, 3, 32, 32], 10, [2, 2, 2, 2], "cifar", "basic"),
        case("resnet", resnet, [2, 3, 48, 40], 10, [1, 1, 1, 1], "imagenet", "basic"),
        case("resnet", resnet, [2, 3, 48, 40], 10, [2, 1, 1, 1], "imagenet", "bottleneck"),
        case("wide-resnet", wide_resnet, [2, 3, 16, 16], 10, 2, 2),
        case("pyramid-net", pyramid_net, [2, 3, 16, 16], 10, 2, 60),
        case("pyramid-net", pyramid_net, [2, 1, 14, 14], 7, 3, 50),
        case("vision-transformer", vision_transformer, [2, 3, 32, 32], 10, 4, 8, 192, 6, 3, 768),
        case("vision-transformer", vision_transformer, [2, 1, 28, 28], 7, 4, 8, 32, 2, 2, 48),
    ]


if __name__ == "__main__":
    print("[")
    print(",\n".join(json.dumps(case, separators=(",", ":")) for case in cases()))
    print("]")
