"""Writes operations.json: operations in float, with the gradients of their inputs, by PyTorch.

Needs torch 2.8:  python operations.py
"""

import json

import torch
from torch.nn import functional as F

torch.manual_seed(0)


def tensor(values):
    return dict(shape=list(values.shape), values=[float(f"{x:.9g}") for x in values.detach().flatten().tolist()])


cases = []


def case(name, function, *inputs, parameters=None, **arguments):
    inputs = [x.requires_grad_() for x in inputs]
    parameters = {key: x.requires_grad_() for key, x in (parameters or {}).items()}
    output = function(*inputs, **parameters)
    gradient = torch.randn(output.shape)
    output.backward(gradient)
    cases.append(
        dict(
            name=name,
            arguments=arguments,
            inputs=[tensor(x) for x in inputs],
            output=tensor(output),
            gradient=tensor(gradient),
            gradients=[tensor(x.grad) for x in inputs],
        )
    )
    if parameters:
        cases[-1]["parameters"] = {key: [tensor(x), tensor(x.grad)] for key, x in parameters.items()}


def randn(*shape):
    return torch.randn(*shape)


for a, b in [((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 1, 3, 4), (3, 4, 2)), ((4,), (2, 4, 3)), ((2, 3, 4), (4,)), ((5,), (5,))]:
    case("matmul", torch.matmul, randn(*a), randn(*b))
for shape in [((2, 3), (2, 3)), ((2, 1, 3), (4, 1))]:
    case("maximum", torch.maximum, randn(*shape[0]), randn(*shape[1]))
    case("minimum", torch.minimum, randn(*shape[0]), randn(*shape[1]))
ties = torch.tensor([1.0, 2.0, -1.0])
case("maximum", torch.maximum, ties.clone(), torch.tensor([1.0, 3.0, -2.0]))
for name, function in [("abs", torch.abs), ("neg", torch.neg), ("exp", torch.exp), ("square", torch.square)]:
    case(name, function, randn(2, 5))
case("sqrt", torch.sqrt, torch.rand(2, 5) + 0.1)
for arguments in [
    dict(size=[5, 7]), dict(size=[2, 2]), dict(scale_factor=1.7), dict(scale_factor=0.6),
]:
    case("interpolate", lambda x: F.interpolate(x, mode="nearest", **arguments), randn(2, 2, 4, 5), mode="nearest", align_corners=False, **arguments)
    for corners in (False, True):
        case("interpolate", lambda x: F.interpolate(x, mode="bilinear", align_corners=corners, **arguments), randn(1, 3, 4, 5),
             mode="bilinear", align_corners=corners, **arguments)
for mode, pad in [("constant", [1, 2]), ("constant", [0, 1, 2, 0]), ("reflect", [2, 1, 1, 2]), ("replicate", [3, 0, 0, 4]), ("circular", [1, 2, 3, 0])]:
    value = 0.5 if mode == "constant" else 0.0
    case("pad", lambda x: F.pad(x, pad, mode, value), randn(2, 2, 3, 4), pad=pad, mode=mode, value=value)
case("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), randn(2, 8, 3, 2), factor=2)
case("pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 3), randn(1, 2, 6, 3), factor=3)
case("squeeze", lambda x: x.squeeze(), randn(1, 3, 1, 2))
case("squeeze", lambda x: x.squeeze(-2), randn(1, 3, 1, 2), dim=-2)
case("unsqueeze", lambda x: x.unsqueeze(-1), randn(3, 2), dim=-1)
case("narrow", lambda x: x.narrow(1, 1, 2), randn(2, 4, 3), dim=1, start=1, length=2)
case("select", lambda x: x.select(-1, -2), randn(2, 4, 3), dim=-1, index=-2)
case("expand", lambda x: x.expand(2, 3, -1), randn(3, 1).expand(3, 1).clone()[:, :1], sizes=[2, 3, -1])
case("expand", lambda x: x.expand(2, 3, 4), randn(3, 1), sizes=[2, 3, 4])
for dim in (0, 1, -1):
    case("stack", lambda a, b, c: torch.stack([a, b, c], dim), randn(2, 3), randn(2, 3), randn(2, 3), dim=dim)

for approximate in ("none", "tanh"):
    case("gelu", lambda x: F.gelu(x, approximate=approximate), 3 * randn(4, 5), approximate=approximate)
for alpha in (1.0, 0.4, -2.0):
    case("elu", lambda x: F.elu(x, alpha), torch.cat([randn(9), torch.zeros(1)]), alpha=alpha)
    case("celu", lambda x: F.celu(x, alpha), torch.cat([randn(9), torch.zeros(1)]), alpha=alpha)
case("threshold", lambda x: F.threshold(x, 0.5, -1.0), torch.tensor([-2.0, 0.5, 0.75, 3.0]), threshold=0.5, value=-1.0)
for channels, shape in [(1, (2, 3, 4)), (3, (2, 3, 4)), (5, (4, 5)), (2, (1, 2, 3, 2, 2))]:
    x = randn(*shape)
    x.view(-1)[0] = 0.0
    case("prelu", lambda x, weight: F.prelu(x, weight), x, parameters=dict(weight=randn(channels)), channels=channels)
for shape, axes, affine in [((3, 7), [7], 2), ((2, 3, 4, 5), [4, 5], 2), ((2, 6), [6], 1), ((2, 3, 5), [5], 0)]:
    parameters = dict(list(dict(weight=randn(*axes), bias=randn(*axes)).items())[:affine])
    case("layer_norm", lambda x, weight=None, bias=None: F.layer_norm(x, axes, weight, bias), 2 * randn(*shape) + 1,
         parameters=parameters, shape=axes)
for groups, shape, affine in [(2, (2, 6, 3, 2), True), (3, (1, 6, 4), False), (1, (2, 4), True)]:
    parameters = dict(weight=randn(shape[1]), bias=randn(shape[1])) if affine else {}
    case("group_norm", lambda x, weight=None, bias=None: F.group_norm(x, groups, weight, bias), 2 * randn(*shape) + 1,
         parameters=parameters, groups=groups, channels=shape[1])
for shape, affine in [((2, 3, 5), True), ((2, 3, 4, 2), False), ((1, 2, 2, 3, 2), True)]:
    parameters = dict(weight=randn(shape[1]), bias=randn(shape[1])) if affine else {}
    case("instance_norm", lambda x, weight=None, bias=None: F.instance_norm(x, weight=weight, bias=bias), 2 * randn(*shape) + 1,
         parameters=parameters, channels=shape[1])

with open("operations.json", "w") as file:
    json.dump(cases, file)
