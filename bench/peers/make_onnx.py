"""Writes a GPT-2 with a key-value cache as an ONNX graph, from a lanewise/Hugging Face model folder.

usage: make_onnx.py MODEL_DIR OUT.onnx
Inputs: input_ids i64 [B, T], position_ids i64 [B, T], past_i f32 [2, B, NH, P, HS] for each layer.
Outputs: logits f32 [B, 1, V] of the last position, present_i f32 [2, B, NH, P + T, HS].
Uses onnxruntime's fused operators (com.microsoft Attention, FastGelu), so that the peer runs at its best.
"""
import json
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

folder, out = sys.argv[1:3]
config = json.load(open(f"{folder}/config.json"))
weights = load_file(f"{folder}/model.safetensors")
L, NH, C, V = config["n_layer"], config["n_head"], config["n_embd"], config["vocab_size"]
nodes, initializers = [], []


def const(name, array):
    initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
    return name


def weight(name):
    return const(name, weights[name])


def node(op, inputs, output, domain="", **attributes):
    outputs = output if isinstance(output, list) else [output]
    nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
    return outputs[0]


def norm(x, name, out_name):
    return node("LayerNormalization", [x, weight(f"{name}.weight"), weight(f"{name}.bias")], out_name,
                epsilon=config["layer_norm_epsilon"], axis=-1)


def dense(x, name, out_name):
    y = node("MatMul", [x, weight(f"{name}.weight")], f"{out_name}_mm")
    return node("Add", [y, weight(f"{name}.bias")], out_name)


wte = weight("transformer.wte.weight")
x = node("Add", [node("Gather", [wte, "input_ids"], "tok"), node("Gather", [weight("transformer.wpe.weight"), "position_ids"], "pos")], "x0")
inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["B", "T"]) for n in ("input_ids", "position_ids")]
outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 1, V])]
for i in range(L):
    at = f"transformer.h.{i}"
    inputs.append(helper.make_tensor_value_info(f"past_{i}", TensorProto.FLOAT, [2, "B", NH, "P", C // NH]))
    outputs.append(helper.make_tensor_value_info(f"present_{i}", TensorProto.FLOAT, [2, "B", NH, "S", C // NH]))
    h = norm(x, f"{at}.ln_1", f"ln1_{i}")
    a = node("Attention", [h, weight(f"{at}.attn.c_attn.weight"), weight(f"{at}.attn.c_attn.bias"), "", f"past_{i}"],
             [f"att_{i}", f"present_{i}"], domain="com.microsoft", num_heads=NH, unidirectional=1)
    x = node("Add", [x, dense(a, f"{at}.attn.c_proj", f"proj_{i}")], f"xa_{i}")
    h = norm(x, f"{at}.ln_2", f"ln2_{i}")
    h = node("MatMul", [h, weight(f"{at}.mlp.c_fc.weight")], f"fc_{i}")
    h = node("FastGelu", [h, weight(f"{at}.mlp.c_fc.bias")], f"gelu_{i}", domain="com.microsoft")
    x = node("Add", [x, dense(h, f"{at}.mlp.c_proj", f"mlp_{i}")], f"xm_{i}")
x = norm(x, "transformer.ln_f", "lnf")
last = node("Slice", [x, const("minus1", np.array([-1], np.int64)), const("end", np.array([2**31 - 1], np.int64)), const("axis1", np.array([1], np.int64))], "last")
const("wte_t", weights["transformer.wte.weight"].T)
node("MatMul", [last, "wte_t"], "logits")
graph = helper.make_graph(nodes, "gpt2", inputs, outputs, initializers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)
onnx.save_model(model, out)
print(json.dumps({"out": out}))
