#!/usr/bin/env python3
"""What PyTorch's own int8 quantization makes of `model.safetensors`.

    pip install torch scikit-learn safetensors numpy
    python evaluate_pytorch.py

FX static quantization with each engine's default configuration, calibrated on the first
512 training images in 16 batches of 32, in order; measured on the 360 held-out images.
"""
import warnings

import torch
from safetensors.torch import load_file

from train import HERE, N_TRAIN, DigitsNet, load_data

warnings.filterwarnings("ignore")
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

ENGINES = ["fbgemm", "x86", "qnnpack", "onednn"]
N_CALIBRATION = 512
BATCH = 32


def float_net():
    net = DigitsNet()
    net.load_state_dict(load_file(HERE / "model.safetensors"))
    return net.eval()


def main():
    torch.set_num_threads(1)
    x, y = load_data()
    held_x, held_y = x[N_TRAIN:], y[N_TRAIN:]

    def row(name, logits):
        right = int((logits.argmax(1) == held_y).sum())
        same = int((logits.argmax(1) == reference.argmax(1)).sum())
        rms = (logits - reference).pow(2).mean().sqrt() / reference.pow(2).mean().sqrt()
        n = len(held_y)
        print(f"| {name} | {right}/{n} | {100 * right / n:.2f} % | {same}/{n} | {100 * rms:.2f} % |")

    with torch.inference_mode():
        reference = float_net()(held_x)
    stored = load_file(HERE / "expected_logits.safetensors")["logits"]
    print(f"float logits against expected_logits.safetensors: "
          f"largest difference {(reference - stored).abs().max():.1e}\n")

    print("| network | right | accuracy | same answer as float | logit error (RMS, relative) |")
    print("|---|---|---|---|---|")
    row("float", reference)
    for engine in ENGINES:
        if engine not in torch.backends.quantized.supported_engines:
            continue
        torch.backends.quantized.engine = engine
        with torch.inference_mode():
            prepared = prepare_fx(float_net(), get_default_qconfig_mapping(engine), (x[:BATCH],))
            for batch in x[:N_CALIBRATION].split(BATCH):
                prepared(batch)
            net = convert_fx(prepared)
            row(f"int8, {engine}", net(held_x))


if __name__ == "__main__":
    main()
