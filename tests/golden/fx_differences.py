"""Writes fx_differences.safetensors: small networks that PyTorch FX decides otherwise than this project, with FX's outputs.

Needs torch 2.8:  python fx_differences.py
Per network: its state dict, the calibration data, an input, its float output and FX's int8 output (backend fbgemm).
"""

import json

import torch
from torch import nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

torch.manual_seed(0)
torch.backends.quantized.engine = "fbgemm"


class ConvBnBn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn1, self.bn2 = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.BatchNorm2d(8)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        return self.last(self.bn2(self.bn1(self.conv(x))))


class AloneBatchNorm1d(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.bn, self.fc2 = nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Linear(32, 8)

    def forward(self, x):
        return self.fc2(self.bn(torch.relu(self.fc1(x))))


class PoolBehindFloat(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 8, 3), nn.AvgPool2d(3)

    def forward(self, x):
        return self.pool(self.conv(x))


class FloatSibling(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.plain = nn.Conv2d(3, 8, 3), nn.Linear(288, 8), nn.Linear(288, 8)

    def forward(self, x):
        y = torch.flatten(self.conv(x), 1)
        return self.fc(y) + self.plain(y)


class Chunked(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.left, self.right = nn.Conv2d(3, 8, 3), nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 1)

    def forward(self, x):
        a, b = torch.chunk(self.conv(x), 2, 1)
        return self.left(a) + self.right(b)


MODELS = {
    "conv_bn_bn": (ConvBnBn, [3, 8, 8], []),
    "alone_batch_norm1d": (AloneBatchNorm1d, [16], []),
    "pool_behind_float": (PoolBehindFloat, [3, 8, 8], ["conv"]),
    "float_sibling": (FloatSibling, [3, 8, 8], ["plain"]),
    "chunked": (Chunked, [3, 8, 8], []),
}

tensors = {}
for name, (model, shape, skipped) in MODELS.items():
    model = model().eval()
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.2, 2.0)
    calibration, x = torch.randn(24, *shape), torch.randn(8, *shape)
    mapping = get_default_qconfig_mapping("fbgemm")
    for module in skipped:
        mapping = mapping.set_module_name(module, None)
    prepared = prepare_fx(model, mapping, (x,))
    with torch.no_grad():
        prepared(calibration)
        converted = convert_fx(prepared)
        expected, int8 = model(x), converted(x)
    sqnr = 20 * torch.log10(expected.norm() / (expected - int8).norm())
    print(f"{name}: {sqnr:.2f} dB")
    print("  ", [str(node.target) for node in converted.graph.nodes if node.op.startswith("call")])
    used = {key: value for key, value in model.state_dict().items() if "num_batches" not in key}
    for key, value in used.items():
        tensors[f"{name}/state/{key}"] = value.contiguous()
    for key, value in [("calibration", calibration), ("x", x), ("float", expected), ("fx", int8)]:
        tensors[f"{name}/{key}"] = value.contiguous()

# A safetensors file is the length of its header, the header, and the bytes.
header, data = {}, b""
for name, tensor in tensors.items():
    values = tensor.numpy().astype("<f4").tobytes()
    header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(values)]}
    data += values
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open("fx_differences.safetensors", "wb").write(len(text).to_bytes(8, "little") + text + data)
