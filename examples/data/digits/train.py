#!/usr/bin/env python3
"""Train the small residual network of the quickstart example on 8x8 digits.

    pip install torch scikit-learn safetensors numpy
    python train.py              # about 25 seconds on one CPU core

Writes, next to this script:

    digits.safetensors           x  u8  [1797, 1, 8, 8]   pixels, 0..16
                                 y  u8  [1797]            labels, 0..9
    model.safetensors            the trained network's state_dict
    expected_logits.safetensors  logits  f32  [360, 10]   the float network's answers
                                                          on the held-out images

The images are shuffled once, with a fixed seed, before they are saved, so the split
is by position: the first 1,437 train (and calibrate), the last 360 are held out.
`evaluate_pytorch.py` measures what PyTorch's own int8 quantization makes of the result.
"""
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent
N_TRAIN = 1437  # images 0..1437 train, images 1437..1797 are held out
SHUFFLE_SEED = 0
TRAIN_SEED = 0
EPOCHS = 40
BATCH = 64


# ---------------------------------------------------------------- network

class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a 1x1 shortcut."""

    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.downsample = nn.Sequential(
            nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False),
            nn.BatchNorm2d(c_out),
        )
        self.relu2 = nn.ReLU()

    def forward(self, x):
        identity = self.downsample(x)
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu2(out + identity)


class DigitsNet(nn.Module):
    """Input [N, 1, 8, 8] in 0..1, output [N, 10] logits."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layers = nn.Sequential(
            BasicBlock(16, 32, stride=2),  # 8x8 -> 4x4
            BasicBlock(32, 64, stride=2),  # 4x4 -> 2x2
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layers(x)
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


# ---------------------------------------------------------------- data

def make_data():
    """scikit-learn's digits, shuffled once: u8 x [1797, 1, 8, 8] and u8 y [1797]."""
    digits = load_digits()
    # RandomState's stream is frozen by NumPy, so the order is the same everywhere.
    order = np.random.RandomState(SHUFFLE_SEED).permutation(len(digits.target))
    x = digits.images[order].astype(np.uint8)[:, None]
    y = digits.target[order].astype(np.uint8)
    return torch.from_numpy(x), torch.from_numpy(y)


def load_data():
    """What `digits.safetensors` holds, ready for the network: f32 x in 0..1, i64 y."""
    data = load_file(HERE / "digits.safetensors")
    return data["x"].float() / 16, data["y"].long()


def shift(x):
    """Augmentation: move each image by -1, 0 or 1 pixel along both axes."""
    padded = F.pad(x, (1, 1, 1, 1))
    dy, dx = torch.randint(0, 3, (2, len(x))).tolist()
    return torch.stack([p[:, i:i + 8, j:j + 8] for p, i, j in zip(padded, dy, dx)])


# ---------------------------------------------------------------- training

def train(x, y):
    torch.manual_seed(TRAIN_SEED)
    net = DigitsNet()
    steps = len(x) // BATCH
    opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=1e-2, total_steps=EPOCHS * steps)
    for epoch in range(EPOCHS):
        net.train()
        total = 0.0
        # (the few images left over from whole batches differ from epoch to epoch)
        for batch in torch.randperm(len(x))[:steps * BATCH].split(BATCH):
            loss = F.cross_entropy(net(shift(x[batch])), y[batch], label_smoothing=0.05)
            opt.zero_grad()
            loss.backward()
            opt.step()
            schedule.step()
            total += loss.item()
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1:2}: training loss {total / steps:.4f}")
    return net.eval()


def main():
    torch.set_num_threads(1)  # the network is tiny; this also keeps runs repeatable
    x, y = make_data()
    save_file({"x": x, "y": y}, HERE / "digits.safetensors")

    x, y = load_data()
    net = train(x[:N_TRAIN], y[:N_TRAIN])
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, HERE / "model.safetensors")

    with torch.inference_mode():
        logits = net(x[N_TRAIN:])
    save_file({"logits": logits.contiguous()}, HERE / "expected_logits.safetensors")
    right = int((logits.argmax(1) == y[N_TRAIN:]).sum())
    total = len(y) - N_TRAIN
    print(f"float accuracy on the held-out images: {right}/{total} = {100 * right / total:.2f} %")


if __name__ == "__main__":
    main()
