"""Writes a GPT-2 with a key-value cache as an ONNX graph, from a lanewise/Hugging Face model folder.

usage: make_onnx.py MODEL_DIR OUT.onnx [f32|int8|int8-all|q8|q4]
Inputs: input_ids i64 [B, T], position_ids i64 [B, T], and the cache: past_i f32 [2, B, NH, P, HS] for each layer, or in q8 and
q4 past_key_i and past_value_i f32 [B, NH, P, HS].
Outputs: logits f32 [B, 1, V] of the last position, present_… as past_… with P + T positions.

f32: MatMul, Attention (com.microsoft). int8: DynamicQuantizeLinear and MatMulInteger with weights i8 and a scale per column,
QAttention, as quantize_dynamic writes them; the output layer stays f32, which decodes faster (in int8-all it does not).
q8, q4: MatMulNBits, blocks of 32 along the in-features, accuracy_level 4 (activations quantized to i8), MultiHeadAttention.
The fused operators are there so that the peer runs at its best.
"""
import json
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

folder, out = sys.argv[1:3]
form = sys.argv[3] if len(sys.argv) > 3 else "f32"
int8 = form in ("int8", "int8-all")
if not (int8 or form in ("f32", "q8", "q4")):
    sys.exit(f"make_onnx: expected f32, int8, int8-all, q8 or q4, got {form}.")
config = json.load(open(f"{folder}/config.json"))
weights = load_file(f"{folder}/model.safetensors")
L, NH, C, V = config["n_layer"], config["n_head"], config["n_embd"], config["vocab_size"]
BLOCK = 32
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


def quantize_columns(w, per_column):
    """w [K, N] to i8 and its scales, symmetric."""
    largest = np.abs(w).max(axis=0 if per_column else None)
    scale = (np.maximum(largest, 1e-30) / 127).astype(np.float32)
    return np.clip(np.rint(w / scale), -127, 127).astype(np.int8), scale


def quantize_blocks(w, bits):
    """w [K, N] to MatMulNBits's B [N, K / BLOCK, BLOCK * bits / 8] u8 and scales [N * K / BLOCK]; zero is 2^(bits - 1)."""
    k, n = w.shape
    blocks = w.T.reshape(n, k // BLOCK, BLOCK)
    half = 2 ** (bits - 1)
    furthest = np.take_along_axis(blocks, np.abs(blocks).argmax(-1, keepdims=True), -1)
    scale = np.where(furthest == 0, 1, furthest / -half).astype(np.float32)
    q = np.clip(np.rint(blocks / scale) + half, 0, 2 * half - 1).astype(np.uint8)
    if bits == 4:
        q = q[..., 0::2] | (q[..., 1::2] << 4)
    return q, scale.reshape(-1)


def product(x, w, name, out_name, form=form):
    """x · w [K, N], in the chosen form."""
    if form == "f32":
        return node("MatMul", [x, const(name, w)], out_name)
    if int8:
        q, scale = quantize_columns(w, per_column=True)
        a = node("DynamicQuantizeLinear", [x], [f"{out_name}_q", f"{out_name}_scale", f"{out_name}_zero"])
        inputs = [a, const(f"{name}_q", q), f"{out_name}_zero", const(f"{name}_zero", np.zeros(scale.shape, np.int8))]
        y = node("Cast", [node("MatMulInteger", inputs, f"{out_name}_i32")], f"{out_name}_f32", to=TensorProto.FLOAT)
        scales = node("Mul", [f"{out_name}_scale", const(f"{name}_scale", scale)], f"{out_name}_scales")
        return node("Mul", [y, scales], out_name)
    bits = int(form[1])
    q, scale = quantize_blocks(w, bits)
    return node("MatMulNBits", [x, const(f"{name}_q", q), const(f"{name}_scale", scale)], out_name, domain="com.microsoft",
                K=w.shape[0], N=w.shape[1], bits=bits, block_size=BLOCK, accuracy_level=4)


def dense(x, name, out_name):
    y = product(x, weights[f"{name}.weight"], f"{name}.weight", f"{out_name}_mm")
    return node("Add", [y, weight(f"{name}.bias")], out_name)


inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["B", "T"]) for n in ("input_ids", "position_ids")]
outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["B", 1, V])]


def cache(name, *shape):
    inputs.append(helper.make_tensor_value_info(f"past_{name}", TensorProto.FLOAT, [*shape, "P", C // NH]))
    outputs.append(helper.make_tensor_value_info(f"present_{name}", TensorProto.FLOAT, [*shape, "S", C // NH]))


def attend(h, at, i):
    if form in ("q8", "q4"):
        cache(f"key_{i}", "B", NH)
        cache(f"value_{i}", "B", NH)
        q, k, v = (f"{n}_{i}" for n in "qkv")
        node("Split", [dense(h, f"{at}.attn.c_attn", f"qkv_{i}"), "thirds"], [q, k, v], axis=-1)
        return node("MultiHeadAttention", [q, k, v, "", "", "", f"past_key_{i}", f"past_value_{i}"],
                    [f"att_{i}", f"present_key_{i}", f"present_value_{i}"], domain="com.microsoft", num_heads=NH, unidirectional=1)
    cache(i, 2, "B", NH)
    w, bias, outs = weights[f"{at}.attn.c_attn.weight"], weight(f"{at}.attn.c_attn.bias"), [f"att_{i}", f"present_{i}"]
    if form == "f32":
        ins = [h, const(f"{at}.attn.c_attn.weight", w), bias, "", f"past_{i}"]
        return node("Attention", ins, outs, domain="com.microsoft", num_heads=NH, unidirectional=1)
    q, scale = quantize_columns(w, per_column=False)
    h = node("DynamicQuantizeLinear", [h], [f"aq_{i}", f"aq_{i}_scale", f"aq_{i}_zero"])
    ins = [h, const(f"{at}.qkv_q", q), bias, f"aq_{i}_scale", const(f"{at}.qkv_scale", scale), "", f"aq_{i}_zero",
           const(f"{at}.qkv_zero", np.zeros(scale.shape, np.int8)), f"past_{i}"]
    return node("QAttention", ins, outs, domain="com.microsoft", num_heads=NH, unidirectional=1)


wte = weight("transformer.wte.weight")
x = node("Add", [node("Gather", [wte, "input_ids"], "tok"), node("Gather", [weight("transformer.wpe.weight"), "position_ids"], "pos")], "x0")
if form in ("q8", "q4"):
    const("thirds", np.array([C, C, C], np.int64))
for i in range(L):
    at = f"transformer.h.{i}"
    a = attend(norm(x, f"{at}.ln_1", f"ln1_{i}"), at, i)
    x = node("Add", [x, dense(a, f"{at}.attn.c_proj", f"proj_{i}")], f"xa_{i}")
    h = norm(x, f"{at}.ln_2", f"ln2_{i}")
    h = product(h, weights[f"{at}.mlp.c_fc.weight"], f"{at}.mlp.c_fc.weight", f"fc_{i}")
    h = node("FastGelu", [h, weight(f"{at}.mlp.c_fc.bias")], f"gelu_{i}", domain="com.microsoft")
    x = node("Add", [x, dense(h, f"{at}.mlp.c_proj", f"mlp_{i}")], f"xm_{i}")
x = norm(x, "transformer.ln_f", "lnf")
last = node("Slice", [x, const("minus1", np.array([-1], np.int64)), const("end", np.array([2**31 - 1], np.int64)), const("axis1", np.array([1], np.int64))], "last")
product(last, weights["transformer.wte.weight"].T, "wte_t", "logits", form="f32" if form == "int8" else form)
graph = helper.make_graph(nodes, "gpt2", inputs, outputs, initializers)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)], ir_version=8)
onnx.save_model(model, out)
print(json.dumps({"out": out}))
