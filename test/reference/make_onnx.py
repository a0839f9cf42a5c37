"""Small ONNX files by Python's own writer: test/fixtures/onnx. Elements are such that every type has them exactly.

    pip install onnx==1.23.2 numpy ml_dtypes
    python test/reference/make_onnx.py
"""
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = Path(__file__).parent.parent / "fixtures" / "onnx"
OUT.mkdir(parents=True, exist_ok=True)
OPSET = [helper.make_opsetid("", 17)]


def model(graph, **more):
    made = helper.make_model(graph, opset_imports=more.pop("opset_imports", OPSET), producer_name="make_onnx", **more)
    made.ir_version = 8
    return made


def floats(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


# Every type, once as bytes and once as a list of numbers.
TYPES = ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL"]
initialisers = []
for name in TYPES:
    number = getattr(TensorProto, name)
    values = [1, 0, 1, 1, 0, 1] if name == "BOOL" else [0, 1, 2, 100, 3, 7] if name.startswith("U") else [0, 1, -2, 100, -128, 7]
    initialisers.append(helper.make_tensor(f"list.{name.lower()}", number, [2, 3], values))
    dtype = helper.tensor_dtype_to_np_dtype(number)
    raw = np.array(values).astype(dtype).tobytes()
    initialisers.append(helper.make_tensor(f"raw.{name.lower()}", number, [2, 3], raw, raw=True))
initialisers.append(helper.make_tensor("large", TensorProto.INT64, [2], [2**63 - 1, -(2**63)]))
initialisers.append(helper.make_tensor("scalar", TensorProto.FLOAT, [], [0.5]))
initialisers.append(helper.make_tensor("none", TensorProto.FLOAT, [0, 4], []))
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "types", [floats("x", ["n", 3, None])], [floats("y", ["n", 3, None])], initialisers)
onnx.save(model(graph), OUT / "types.onnx")

# Attributes of every kind, a graph in a node that reads a value around it, nodes in a wrong order, a default value of an input.
then = helper.make_graph([helper.make_node("Neg", ["mid"], ["t"])], "then", [], [floats("t", None)])
other = helper.make_graph([helper.make_node("Abs", ["mid"], ["e"])], "else", [], [floats("e", None)])
nodes = [
    helper.make_node("If", ["flag"], ["z"], name="choice", then_branch=then, else_branch=other),
    helper.make_node("Relu", ["x"], ["mid"]),
    helper.make_node("Thing", ["z", "", "w"], ["y", ""], name="thing", domain="my.own", f=0.5, i=-3, s="grün", fs=[1.5, -2.0], is_=[1, 2**63 - 1], ss=["a", ""], t=helper.make_tensor("", TensorProto.FLOAT, [2], [1.0, 2.0])),
]
flag = helper.make_tensor("flag", TensorProto.BOOL, [], [1])
graph = helper.make_graph(nodes, "attributes", [floats("x", [2]), helper.make_tensor_value_info("flag", TensorProto.BOOL, [])], [floats("y", [2])], [flag, helper.make_tensor("w", TensorProto.FLOAT, [1], [4.0])])
made = model(graph, opset_imports=[*OPSET, helper.make_opsetid("my.own", 3)])
helper.set_model_props(made, {"purpose": "a test"})
onnx.save(made, OUT / "attributes.onnx")

# Functions.
inner = helper.make_function("my.own", "Scale", ["x"], ["y"], [helper.make_node("Constant", [], ["c"], value_float=2.0), helper.make_node("Mul", ["x", "c"], ["y"])], OPSET)
elu = helper.make_node("Elu", ["s"], ["y"])
elu.attribute.append(helper.make_attribute_ref("alpha", onnx.AttributeProto.FLOAT))
elu.attribute[0].ref_attr_name = "slope"
outer = helper.make_function("my.own", "Act", ["x"], ["y"], [helper.make_node("Scale", ["x"], ["s"], domain="my.own"), elu], [*OPSET, helper.make_opsetid("my.own", 1)], attributes=["slope"])
graph = helper.make_graph([helper.make_node("Act", ["x"], ["y"], domain="my.own", slope=0.25)], "functions", [floats("x", [2])], [floats("y", [2])])
onnx.save(model(graph, opset_imports=[*OPSET, helper.make_opsetid("my.own", 1)], functions=[inner, outer]), OUT / "functions.onnx")

# Weights in a file of their own, in a folder below; the small one is read with the model.

large = numpy_helper.from_array(np.arange(128 * 256, dtype=np.float32).reshape(128, 256), "large")
small = numpy_helper.from_array(np.array([3, -1], dtype=np.int64), "small")
graph = helper.make_graph([helper.make_node("MatMul", ["x", "large"], ["m"]), helper.make_node("Reshape", ["m", "small"], ["y"])], "external", [floats("x", [3, 128])], [floats("y", [3, 256])], [large, small])
(OUT / "weights").mkdir(exist_ok=True)
onnx.save(model(graph), OUT / "external.onnx", save_as_external_data=True, location="weights/data.bin", size_threshold=0)
