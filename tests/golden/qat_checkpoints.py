"""Writes qat_checkpoint_BACKEND.safetensors: checkpoints of `prepare_qat_fx`, what PyTorch computes with them, and what
`convert_fx` makes of them.

Needs torch 2.8 and safetensors, and a folder with `qat_prepared_BACKEND.pt`, `qat_converted_BACKEND.pt` (`torch.save`d state
dicts) and beside each of them a .safetensors with an input `x` and PyTorch's output `y`:

    python qat_checkpoints.py FOLDER
"""

import sys

import torch
from safetensors.torch import load_file, save_file

folder = sys.argv[1]
for backend in ("fbgemm", "qnnpack"):
    prepared, converted = (f"{folder}/qat_{kind}_{backend}" for kind in ("prepared", "converted"))
    tensors = {f"prepared.{key}": value for key, value in torch.load(prepared + ".pt").items()}
    weights = torch.load(converted + ".pt", weights_only=False)
    weights["fc.weight"] = weights["fc._packed_params._packed_params"][0]
    for key, value in weights.items():
        if isinstance(value, torch.Tensor) and value.is_quantized:
            tensors[f"integers.{key}"] = value.int_repr()
    tensors["x"] = load_file(prepared + ".safetensors")["x"]
    tensors["y.prepared"] = load_file(prepared + ".safetensors")["y"]
    assert torch.equal(tensors["x"], load_file(converted + ".safetensors")["x"])
    tensors["y.converted"] = load_file(converted + ".safetensors")["y"]
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, f"qat_checkpoint_{backend}.safetensors")
