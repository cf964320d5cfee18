#!/usr/bin/env python3
"""Write what torchvision's networks, and two for text, give with weights from a formula.

    pip install torch torchvision safetensors numpy
    python expected_logits.py        # about 10 seconds on one CPU core

Writes `expected_logits.safetensors` next to this script: for each network a tensor of its name, f32, of torchvision's
[2, 10].
Real weights are too large for the repository, so weights and pictures come from the formula that
`src/synthetic.rs` holds too, bit for bit. Each tensor's values follow from its key, so a network whose keys
differ from torchvision's gives other logits.
"""
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
NUM_CLASSES = 10
NETWORKS = [
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext50_32x4d",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def forward(self, x):
        n, length, width = x.shape
        shape = (n, length, self.heads, width // self.heads)
        q, k, v = (layer(x).view(shape).transpose(1, 2) for layer in (self.query, self.key, self.value))
        scores = torch.matmul(q, k.transpose(-2, -1)) * (width // self.heads) ** -0.5
        y = torch.matmul(torch.softmax(scores, -1), v)
        return self.output(y.transpose(1, 2).reshape(n, length, width))


class EncoderLayer(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.attention, self.norm1 = Attention(width, heads), nn.LayerNorm(width)
        self.up, self.down, self.norm2 = nn.Linear(width, hidden), nn.Linear(hidden, width), nn.LayerNorm(width)

    def forward(self, x):
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.down(nn.functional.gelu(self.up(x))))


class Encoder(nn.Module):
    def __init__(self, layers, width, heads, hidden):
        super().__init__()
        self.layers = nn.ModuleList([EncoderLayer(width, heads, hidden) for _ in range(layers)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class WordModel(nn.Module):
    def __init__(self, words, width, layers):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(words, width), nn.LSTM(width, width, layers, batch_first=True)
        self.decoder = nn.Linear(width, words)

    def forward(self, ids):
        y, _ = self.lstm(self.embedding(ids))
        return self.decoder(y)


def fnv1a(name):
    hash = 0xCBF29CE484222325
    for byte in name.encode():
        hash = (hash ^ byte) * 0x100000001B3 % 2**64
    return hash


def mixed(bits):
    """The finalizer of SplitMix64."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def uniform(name, shape, low, high):
    index = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(fnv1a(name))
    unit = (mixed(index) >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
    low, high = np.float32(low), np.float32(high)
    return torch.from_numpy((low + (high - low) * unit).reshape(shape))


def fill(model):
    for key, tensor in model.state_dict().items():
        name = key.rsplit(".", 1)[-1]
        if name == "num_batches_tracked":
            continue
        if name == "running_mean":
            low, high = -0.2, 0.2
        elif name == "running_var":
            low, high = 0.5, 1.5
        elif name == "bias":
            low, high = -0.1, 0.1
        elif tensor.dim() == 1:
            low, high = 0.8, 1.2
        else:
            high = np.sqrt(np.float32(6) / np.float32(tensor[0].numel()))
            low = -high
        tensor.copy_(uniform(key, tensor.shape, low, high))


def network(name):
    arguments = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = getattr(torchvision.models, name)(weights=None, num_classes=NUM_CLASSES, **arguments)
    if name.startswith("vgg"):  # a smaller classifier, as tests/torchvision.rs builds it
        model.classifier[0] = torch.nn.Linear(512 * 7 * 7, 64)
        model.classifier[3] = torch.nn.Linear(64, 64)
        model.classifier[6] = torch.nn.Linear(64, NUM_CLASSES)
    return model.eval()


def main():
    logits = {}
    with torch.inference_mode():
        for name in NETWORKS:
            model = network(name)
            fill(model)
            size = 80 if name == "inception_v3" else 32
            x = uniform("x", (2, 3, size, size), -2, 2)
            logits[name] = model(x).contiguous()
        for name, model, x in [
            ("encoder", Encoder(2, 32, 4, 64), uniform("x", (2, 9, 32), -2, 2)),
            ("word_model", WordModel(50, 16, 2), uniform("x", (2, 7), 0, 50).floor().long()),
        ]:
            fill(model)
            logits[name] = model.eval()(x).contiguous()
    save_file(logits, HERE / "expected_logits.safetensors")


if __name__ == "__main__":
    main()
