"""A training step of PyTorch on the CPU, for `lowland bench --against pytorch`.

    python pytorch_step.py NETWORK BATCH sgd|sam THREADS

Trains a network of `lowland bench` on random images or tokens. Prints `ready` and the version of
PyTorch; then, for each line `N` that it reads, takes N steps and prints the seconds that they took and
the seconds of processor time, each for one step. SAM is two passes with BatchNorm's momentum at 0 in the
second. SGD has momentum 0.9 and weight decay 5e-4, as the bench.
"""

import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


def convolution(channels_in, channels_out, size=3, stride=1):
    return nn.Conv2d(channels_in, channels_out, size, stride, size // 2, bias=False)


class SmallCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleList(
            [convolution(1, 8, 5, 2), convolution(8, 16), convolution(16, 32, 3, 2)]
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(n) for n in (8, 16, 32)])
        self.head = nn.Linear(512, 10)

    def forward(self, x):
        first, second, third = self.convolutions
        x = F.relu(self.norms[0](first(x)))
        x = F.relu(self.norms[1](F.max_pool2d(second(x), 2, 2, ceil_mode=True)))
        x = F.relu(self.norms[2](third(x)))
        return self.head(x.flatten(1))


class Block(nn.Module):
    """Two convolutions; the shortcut pads channels (option A) or is a convolution (option B)."""

    def __init__(self, channels_in, channels_out, stride, projects):
        super().__init__()
        self.first, self.first_norm = convolution(channels_in, channels_out, 3, stride), nn.BatchNorm2d(channels_out)
        self.second, self.second_norm = convolution(channels_out, channels_out), nn.BatchNorm2d(channels_out)
        self.stride, self.missing = stride, channels_out - channels_in
        self.shortcut = None
        if projects and self.missing:
            self.shortcut = nn.Sequential(
                convolution(channels_in, channels_out, 1, stride), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x):
        y = F.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        if self.shortcut is not None:
            x = self.shortcut(x)
        elif self.missing:
            before = self.missing // 2
            x = x[:, :, :: self.stride, :: self.stride]
            x = F.pad(x, (0, 0, 0, 0, before, self.missing - before))
        return F.relu(y + x)


class ResNet(nn.Module):
    def __init__(self, widths, blocks, projects):
        super().__init__()
        self.stem, self.norm = convolution(3, widths[0]), nn.BatchNorm2d(widths[0])
        layers, channels = [], widths[0]
        for width in widths:
            for _ in range(blocks):
                layers.append(Block(channels, width, 1 if channels == width else 2, projects))
                channels = width
        self.blocks, self.head = nn.Sequential(*layers), nn.Linear(channels, 10)

    def forward(self, x):
        x = self.blocks(F.relu(self.norm(self.stem(x))))
        return self.head(x.mean((2, 3)))


class Layer(nn.Module):
    """A layer of a transformer, with normalisation before or after each part."""

    def __init__(self, width, heads, hidden, norm_first):
        super().__init__()
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.attention_norm, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.expand, self.contract = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.heads, self.norm_first = heads, norm_first

    def attention(self, x):
        batch, tokens, width = x.shape

        def split(linear):
            return linear(x).view(batch, tokens, self.heads, -1).transpose(1, 2)

        context = F.scaled_dot_product_attention(split(self.query), split(self.key), split(self.value))
        return self.output(context.transpose(1, 2).reshape(batch, tokens, width))

    def feed_forward(self, x):
        return self.contract(F.gelu(self.expand(x)))

    def forward(self, x):
        if self.norm_first:
            x = x + self.attention(self.attention_norm(x))
            return x + self.feed_forward(self.norm(x))
        x = self.attention_norm(x + self.attention(x))
        return self.norm(x + self.feed_forward(x))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.places = nn.Linear(48, 192), nn.Parameter(torch.randn(64, 192) * 0.02)
        self.layers = nn.Sequential(*[Layer(192, 3, 768, True) for _ in range(6)])
        self.norm, self.head = nn.LayerNorm(192), nn.Linear(192, 10)

    def forward(self, x):
        patches = x.reshape(-1, 3, 8, 4, 8, 4).permute(0, 2, 4, 1, 3, 5).reshape(-1, 64, 48)
        x = self.layers(self.embedding(patches) + self.places)
        return self.head(self.norm(x).mean(1))


class MiniLm(nn.Module):
    """The sizes of MiniLM with 6 layers and a small vocabulary, on texts of 64 tokens."""

    def __init__(self):
        super().__init__()
        self.words, self.places, self.types = nn.Embedding(1000, 384), nn.Embedding(512, 384), nn.Embedding(2, 384)
        self.layers = nn.Sequential(*[Layer(384, 12, 1536, False) for _ in range(6)])
        self.norm, self.head = nn.LayerNorm(384), nn.Linear(384, 10)

    def forward(self, ids):
        x = self.words(ids) + self.places.weight[: ids.shape[1]] + self.types(torch.zeros_like(ids))
        return self.head(self.layers(self.norm(x)).mean(1))


NETWORKS = {
    "small-cnn": SmallCnn,
    "resnet20": lambda: ResNet([16, 32, 64], 3, False),
    "resnet56": lambda: ResNet([16, 32, 64], 9, False),
    "resnet18": lambda: ResNet([64, 128, 256, 512], 2, True),
    "vit": Vit,
    "minilm": MiniLm,
}


def main():
    name, batch, rule, threads = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    if name not in NETWORKS:
        sys.exit(f"no such network in PyTorch: {name}; there are {', '.join(NETWORKS)}")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = NETWORKS[name]()
    if name == "minilm":
        inputs = torch.randint(5, 900, (batch, 64))
    else:
        inputs = torch.randn(batch, 1, 28, 28) if name == "small-cnn" else torch.randn(batch, 3, 32, 32)
    labels = torch.randint(0, 10, (batch,))
    optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, weight_decay=5e-4)
    parameters = list(network.parameters())
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]

    def gradient():
        optimizer.zero_grad()
        loss = F.cross_entropy(network(inputs), labels)
        loss.backward()
        return loss

    def sgd():
        loss = gradient()
        optimizer.step()
        return loss.item()

    def sam(radius=0.05):
        loss = gradient()
        with torch.no_grad():
            norm = torch.norm(torch.stack(torch._foreach_norm([p.grad for p in parameters])))
            before = [p.clone() for p in parameters]
            for p in parameters:
                p.add_(p.grad * (radius / (norm + 1e-12)))
        momenta = [module.momentum for module in norms]
        for module in norms:
            module.momentum = 0.0
        gradient()
        for module, momentum in zip(norms, momenta):
            module.momentum = momentum
        with torch.no_grad():
            for p, old in zip(parameters, before):
                p.copy_(old)
        optimizer.step()
        return loss.item()

    step = {"sgd": sgd, "sam": sam}[rule]
    print("ready", torch.__version__, flush=True)
    for line in sys.stdin:
        steps = int(line)
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(steps):
            step()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(f"{wall / steps:.9f} {processor / steps:.9f}", flush=True)


main()
