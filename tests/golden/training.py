"""Writes training.json: losses with gradients, optimizers, schedules and clipping of PyTorch.

Needs torch 2.8:  python training.py
"""

import json

import torch
from torch.nn import functional as F

torch.manual_seed(0)


def numbers(tensor):
    return tensor.detach().flatten().tolist()


def loss(name, params, x, value):
    value.backward()
    return dict(name=name, **params, shape=list(x.shape), x=numbers(x), value=value.item(), gradient=numbers(x.grad))


losses = []
for smoothing in (0.0, 0.1):
    x, labels = torch.randn(5, 7, requires_grad=True), torch.randint(0, 7, (5,))
    value = F.cross_entropy(x, labels, label_smoothing=smoothing)
    losses.append(loss("cross_entropy", dict(labels=labels.tolist(), smoothing=smoothing), x, value))
x, target = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
losses.append(loss("mse", dict(target=numbers(target)), x, F.mse_loss(x, target)))
x, target = (3 * torch.randn(3, 4)).requires_grad_(), torch.rand(3, 4)
losses.append(loss("bce", dict(target=numbers(target)), x, F.binary_cross_entropy_with_logits(x, target)))
for temperature in (1.0, 4.0):
    x, teacher = torch.randn(5, 7, requires_grad=True), 2 * torch.randn(5, 7)
    value = F.kl_div(F.log_softmax(x / temperature, 1), F.softmax(teacher / temperature, 1), reduction="batchmean")
    params = dict(target=numbers(teacher), temperature=temperature)
    losses.append(loss("distillation", params, x, value * temperature**2))

optimizers = []
for name, make in {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd_decay": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01),
    "sgd_momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adam_decay": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
}.items():
    parameter = torch.randn(6, requires_grad=True)
    start, steps = numbers(parameter), []
    optimizer = make([parameter])
    for _ in range(4):
        parameter.grad = torch.randn(6)
        gradient = numbers(parameter.grad)
        optimizer.step()
        steps.append(dict(gradient=gradient, values=numbers(parameter)))
    optimizers.append(dict(name=name, start=start, steps=steps))


def rates(make, count):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    scheduler = make(optimizer)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


S = torch.optim.lr_scheduler
schedules = dict(
    multi_step=rates(lambda o: S.MultiStepLR(o, [3, 5], gamma=0.1), 8),
    cosine=rates(lambda o: S.CosineAnnealingLR(o, T_max=10, eta_min=0.01), 11),
    one_cycle=rates(lambda o: S.OneCycleLR(o, max_lr=0.5, total_steps=21), 20),
    linear=rates(lambda o: S.LinearLR(o, start_factor=0.1, total_iters=4), 6),
)

gradients = [torch.randn(4), 3 * torch.randn(5)]
parameters = [torch.zeros_like(gradient) for gradient in gradients]
for parameter, gradient in zip(parameters, gradients):
    parameter.grad = gradient.clone()
norm = torch.nn.utils.clip_grad_norm_(parameters, 1.5)
clipping = dict(
    max_norm=1.5,
    gradients=[numbers(gradient) for gradient in gradients],
    norm=norm.item(),
    clipped=[numbers(parameter.grad) for parameter in parameters],
)

with open("training.json", "w") as file:
    json.dump(dict(losses=losses, optimizers=optimizers, schedules=schedules, clipping=clipping), file)
