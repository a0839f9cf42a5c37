"""What PyTorch and timm compute for the parts of a training step: losses, optimisers, clipping, averages of weights, schedules.

    python test/reference/train_parts.py

Writes test/fixtures/train/parts.safetensors. All in f64 and stored as F64, from inputs that f32 holds; labels are I64. For each kind metadata
has a JSON list, and the tensors of entry i are named `kind/i/...`:

`losses` {loss, options, targets}: `x` [n, classes] or any shape, `target`, `weight` (of classes) or `pos_weight` if there is one; the mean `loss` [] and
its `gradient` by x. Class weights mean as in `cross_entropy`: the mean over labels is weighted, the mean over soft targets is not.
`optimisers` {optimiser, options, groups?, rates?, source}: for each parameter p `p/start`, `p/gradients` [30, ...] and `p/values` [30, ...], what it is after each
step. `rates`: the learning rate of each step, where it changes. `groups`: options of its own for a parameter. `source`: whose implementation.
`clips` {max_norm}: for each parameter p `p/gradient` and `p/clipped`, and the norm of all `norm` [] before.
`averages` {average, options, steps}: `start` [n], `values` [30, n] of the weights after each step and `averages` [30, n]. `steps`:
whether the average is told the number of the step, from 0, as timm's training script does; V3 takes the weights themselves until it is past `update_after_step` + 1.
`schedules` {schedule, options, base, counts}: `rates` [n], entry t for epoch or step t (`counts`); `beta1` [n] where the schedule moves that too.
"""

import json

import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from timm.optim import Lion
from timm.scheduler import CosineLRScheduler, StepLRScheduler
from timm.utils import ModelEmaV2, ModelEmaV3
from torch import nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import OneCycleLR, StepLR

from data import ROOT

STEPS = 30
tensors: dict[str, torch.Tensor] = {}
entries: dict[str, list[dict]] = {}


def rand(*shape: int, scale: float | torch.Tensor = 1.0) -> torch.Tensor:
    return (torch.randn(*shape) * scale).float().double()


def add(kind: str, entry: dict, own: dict[str, torch.Tensor]) -> None:
    i = len(entries.setdefault(kind, []))
    entries[kind].append(entry)
    for key, t in own.items():
        tensors[f"{kind}/{i}/{key}"] = t.detach().clone().contiguous()


def loss(name: str, x: torch.Tensor, target: torch.Tensor, f, targets: str = "values", **options) -> None:
    """`options` are those of the function: its tensors are stored beside x, the others stand in the list."""
    x = x.clone().requires_grad_()
    value = f(x, target, **options)
    (gradient,) = torch.autograd.grad(value, x)
    weights = {k: v for k, v in options.items() if isinstance(v, torch.Tensor)}
    add("losses", {"loss": name, "targets": targets, "options": {k: v for k, v in options.items() if k not in weights}},
        {"x": x, "target": target, **weights, "loss": value, "gradient": gradient})


def losses() -> None:
    x, labels = rand(6, 5), torch.tensor([0, 4, 2, 2, 1, 3])
    soft = rand(6, 5).softmax(1).float().double()
    weight = torch.tensor([0.5, 1.0, 2.0, 0.25, 4.0]).double()
    for smoothing in (0.0, 0.1):
        for given in ({}, {"weight": weight}):
            loss("cross_entropy", x, labels, F.cross_entropy, "labels", label_smoothing=smoothing, **given)
            loss("cross_entropy", x, soft, F.cross_entropy, "soft", label_smoothing=smoothing, **given)
    loss("cross_entropy", x * 256, labels, F.cross_entropy, "labels", label_smoothing=0.1)
    several = (rand(6, 5) > 0).double()
    loss("bce_with_logits", x, several, F.binary_cross_entropy_with_logits)
    loss("bce_with_logits", x, soft, F.binary_cross_entropy_with_logits)
    loss("bce_with_logits", x, several, F.binary_cross_entropy_with_logits, pos_weight=weight)
    loss("bce_with_logits", x * 256, several, F.binary_cross_entropy_with_logits)
    target = rand(6, 5)
    loss("mse", x, target, F.mse_loss)
    loss("huber", x, target, F.huber_loss, delta=1.0)
    loss("huber", x, target, F.huber_loss, delta=0.3)


def optimiser(name: str, make, source: str, options: dict, groups: dict | None = None, rates: list[float] | None = None) -> None:
    groups = groups or {}
    start = {"matrix": rand(2, 3), "vector": rand(4)}
    # Of different sizes, now and then 0, as real ones are.
    gradients = {k: rand(STEPS, *v.shape, scale=10.0 ** torch.randint(-3, 2, (STEPS, *v.shape))) for k, v in start.items()}
    for g in gradients.values():
        g[7] = 0
    params = {k: nn.Parameter(v.clone()) for k, v in start.items()}
    it = make([{"params": [p], **groups.get(k, {})} for k, p in params.items()], **options)
    values = {k: [] for k in params}
    for step in range(STEPS):
        if rates:
            for group in it.param_groups:
                group["lr"] = rates[step]
        for k, p in params.items():
            p.grad = gradients[k][step].clone()
        it.step()
        for k, p in params.items():
            values[k].append(p.detach().clone())
    entry = {"optimiser": name, "options": options, "source": source}
    entry |= {"groups": groups} if groups else {}
    entry |= {"rates": rates} if rates else {}
    own = {}
    for k in start:
        own |= {f"{k}/start": start[k], f"{k}/gradients": gradients[k], f"{k}/values": torch.stack(values[k])}
    add("optimisers", entry, own)


def optimisers() -> None:
    warm = [0.05 * min(1, (t + 1) / 10) * (1 - t / 60) for t in range(STEPS)]
    optimiser("adamw", AdamW, "torch", {"lr": 0.05, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01})
    optimiser("adamw", AdamW, "torch", {"lr": 0.01, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.2})
    optimiser("adamw", AdamW, "torch", {"lr": 0.05, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01}, rates=warm)
    optimiser("adamw", AdamW, "torch", {"lr": 0.05, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.1},
              groups={"vector": {"lr": 0.005, "weight_decay": 0.0}})
    optimiser("adam", Adam, "torch", {"lr": 0.05, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0})
    optimiser("adam", Adam, "torch", {"lr": 0.05, "betas": [0.9, 0.99], "eps": 1e-8, "weight_decay": 0.1})
    optimiser("sgd", SGD, "torch", {"lr": 0.05, "momentum": 0.0, "weight_decay": 0.0, "dampening": 0.0, "nesterov": False})
    optimiser("sgd", SGD, "torch", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "dampening": 0.0, "nesterov": False})
    optimiser("sgd", SGD, "torch", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "dampening": 0.0, "nesterov": True})
    optimiser("sgd", SGD, "torch", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.0, "dampening": 0.2, "nesterov": False}, rates=warm)
    optimiser("lion", Lion, "timm", {"lr": 0.01, "betas": [0.9, 0.99], "weight_decay": 0.0})
    optimiser("lion", Lion, "timm", {"lr": 0.01, "betas": [0.95, 0.98], "weight_decay": 0.1},
              groups={"vector": {"lr": 0.001, "weight_decay": 0.0}})


def clips() -> None:
    for max_norm, scale in ((1.0, 3.0), (1.0, 0.01), (0.1, 1.0)):
        gradients = {"matrix": rand(2, 3, scale=scale), "vector": rand(4, scale=scale)}
        params = {k: nn.Parameter(torch.zeros_like(g)) for k, g in gradients.items()}
        for k, p in params.items():
            p.grad = gradients[k].clone()
        norm = nn.utils.clip_grad_norm_(list(params.values()), max_norm)
        own = {"norm": norm}
        for k, p in params.items():
            own |= {f"{k}/gradient": gradients[k], f"{k}/clipped": p.grad}
        add("clips", {"max_norm": max_norm}, own)


def averages() -> None:
    class Weights(nn.Module):
        def __init__(self, start):
            super().__init__()
            self.w = nn.Parameter(start.clone())

    def average(name: str, make, options: dict, numbered: bool) -> None:
        start, values = rand(3), rand(STEPS, 3)
        model = Weights(start)
        ema = make(model, **options)
        found = []
        for t in range(STEPS):
            model.w.data.copy_(values[t])
            ema.update(model, **({"step": t} if numbered else {}))
            found.append(ema.module.w.detach().clone())
        add("averages", {"average": name, "options": options, "steps": numbered},
            {"start": start, "values": values, "averages": torch.stack(found)})

    average("ModelEmaV2", ModelEmaV2, {"decay": 0.9}, False)
    average("ModelEmaV3", ModelEmaV3, {"decay": 0.9}, False)
    average("ModelEmaV3", ModelEmaV3, {"decay": 0.9, "update_after_step": 5}, True)
    average("ModelEmaV3", ModelEmaV3, {"decay": 0.98, "use_warmup": True, "warmup_gamma": 1.0, "warmup_power": 0.75}, True)


def schedules() -> None:
    base = 0.01

    def fresh():
        return AdamW([nn.Parameter(torch.zeros(1))], lr=base)

    def schedule(name: str, counts: str, options: dict, rates: list[float], **more) -> None:
        add("schedules", {"schedule": name, "options": options, "base": base, "counts": counts},
            {"rates": torch.tensor(rates, dtype=torch.float64), **{k: torch.tensor(v, dtype=torch.float64) for k, v in more.items()}})

    def timms(name: str, make, options: dict, n: int) -> None:
        by_epoch, by_step = fresh(), fresh()
        epochs = make(by_epoch, t_in_epochs=True, **options)
        steps = make(by_step, t_in_epochs=False, **options)
        rates = []
        for t in range(n):
            epochs.step(t)
            steps.step_update(t)
            assert by_epoch.param_groups[0]["lr"] == by_step.param_groups[0]["lr"]
            rates.append(by_epoch.param_groups[0]["lr"])
        schedule(name, "either", options, rates)

    schedule("constant", "either", {}, [base] * 10)
    for prefix in (False, True):
        timms("cosine (timm)", CosineLRScheduler,
              {"t_initial": 30, "lr_min": 1e-4, "warmup_t": 5, "warmup_lr_init": 1e-5, "warmup_prefix": prefix}, 40)
    timms("cosine (timm)", CosineLRScheduler, {"t_initial": 30, "lr_min": 0.0}, 33)
    timms("cosine (timm)", CosineLRScheduler,
          {"t_initial": 10, "lr_min": 1e-5, "warmup_t": 3, "warmup_lr_init": 1e-6, "cycle_limit": 3, "cycle_decay": 0.5}, 35)
    timms("cosine (timm)", CosineLRScheduler, {"t_initial": 10, "lr_min": 1e-5, "cycle_limit": 2, "cycle_mul": 2.0, "cycle_decay": 0.5}, 35)
    for prefix in (False, True):
        timms("step (timm)", StepLRScheduler,
              {"decay_t": 8, "decay_rate": 0.3, "warmup_t": 4, "warmup_lr_init": 1e-4, "warmup_prefix": prefix}, 30)

    def torchs(name: str, make, options: dict, n: int, counts: str, beta: bool = False) -> None:
        optimizer = fresh()
        it = make(optimizer, **options)
        rates, betas = [], []
        for t in range(n):
            rates.append(optimizer.param_groups[0]["lr"])
            betas.append(optimizer.param_groups[0]["betas"][0])
            optimizer.step()
            if t + 1 < n:
                it.step()
        schedule(name, counts, options, rates, **({"beta1": betas} if beta else {}))

    torchs("StepLR", StepLR, {"step_size": 7, "gamma": 0.1}, 30, "epochs")
    for anneal in ("cos", "linear"):
        options = {"max_lr": base, "total_steps": 41, "pct_start": 0.3, "anneal_strategy": anneal, "div_factor": 25.0, "final_div_factor": 1e4,
                   "cycle_momentum": False}
        torchs("OneCycleLR", OneCycleLR, options, 41, "steps")
    options = {"max_lr": base, "total_steps": 41, "pct_start": 0.15, "cycle_momentum": True, "base_momentum": 0.85, "max_momentum": 0.95}
    torchs("OneCycleLR", OneCycleLR, options, 41, "steps", beta=True)
    torchs("OneCycleLR", OneCycleLR, {"max_lr": base, "total_steps": 41, "three_phase": True, "cycle_momentum": False}, 41, "steps")


def main() -> None:
    torch.manual_seed(23)
    torch.set_default_dtype(torch.float64)
    for make in (losses, optimisers, clips, averages, schedules):
        make()
    out = ROOT / "test" / "fixtures" / "train" / "parts.safetensors"
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out, metadata={**{k: json.dumps(v) for k, v in entries.items()}, "torch": torch.__version__, "timm": timm.__version__})
    print({k: len(v) for k, v in entries.items()}, out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
