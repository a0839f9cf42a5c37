"""Makes the files of `torch.save` of the tests.

    python test/reference/make_torch.py

test/fixtures/torch/: one state dict (every type that is read, views by strides and offsets, parameters) as PyTorch saves it since 1.6
(`zip.pth`), as it did before (`legacy.pth`), below names of training scripts beside averaged weights (`wrapped.pth`), and by
safetensors (`expected.safetensors`); pickles that want to run code (`evil-*.pth`).
"""

import builtins
import io
import os
import pickle
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save_file

from data import ROOT

OUT = ROOT / "test" / "fixtures" / "torch"
torch.manual_seed(0)
whole = torch.randn(6, 8)
state = OrderedDict(
    f32=torch.randn(3, 4),
    f16=torch.randn(5).half(),
    bf16=torch.randn(2, 3).bfloat16(),
    f64=torch.randn(4, dtype=torch.float64),
    i64=torch.arange(5) - 2,
    i32=torch.arange(4, dtype=torch.int32) - 2,
    i16=torch.arange(4, dtype=torch.int16) - 2,
    i8=torch.arange(4, dtype=torch.int8) - 2,
    u8=torch.arange(4, dtype=torch.uint8),
    bool=torch.tensor([True, False, True]),
    scalar=torch.tensor(3.5),
    empty=torch.zeros(0, 4),
    transposed=whole.T,
    part=whole[2:5, 1:7:2],
    rows=whole[1:3],
    channels_last=torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    position_ids=torch.arange(6).expand(1, -1),
    parameter=torch.nn.Parameter(torch.randn(2, 2)),
)
OUT.mkdir(exist_ok=True)
torch.save(state, OUT / "zip.pth")
torch.save(state, OUT / "legacy.pth", _use_new_zipfile_serialization=False)
some = {"w": state["f32"]}
torch.save({"epoch": 3, "model": {"w": -state["f32"]}, "model_ema": some, "optimizer": {"state": {}, "lr": 0.1}}, OUT / "wrapped.pth")
save_file({name: t.detach().contiguous().clone() for name, t in state.items()}, OUT / "expected.safetensors")


class Call:
    """Pickles as a call."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


EVIL = {
    "system": Call(os.system, "touch owned"),
    "eval": Call(builtins.eval, "1"),
    # A call among the arguments of a call that is allowed.
    "nested": Call(OrderedDict, [("w", Call(builtins.exec, "1"))]),
    "getattr": Call(builtins.getattr, "x", "upper"),
    "load": Call(torch.storage._load_from_bytes, b"x"),
    "class": Call(io.BytesIO, b"x"),
}
for name, value in EVIL.items():
    with zipfile.ZipFile(OUT / f"evil-{name}.pth", "w", zipfile.ZIP_STORED) as z:
        z.writestr("archive/data.pkl", pickle.dumps({"w": value}, protocol=2))
        z.writestr("archive/version", "3\n")
