"""Bodies of the nodes in the domain ``fedproof``, as ONNX functions in standard ops.

onnxruntime runs them, ``onnx.inliner.inline_local_functions`` replaces them by their bodies, and the
lowering never looks inside: it knows each by its name.
"""

from __future__ import annotations

import onnx
import onnx.parser

#: Operator set that graphs and bodies are written in.
OPSET = 18
#: Domain of the functions.
DOMAIN = "fedproof"

_SCALAR = "{name} = Constant <value = float {{{value}}}> ()"


def _constants(**values: float) -> str:
    return "\n".join(_SCALAR.format(name=name, value=repr(value)) for name, value in values.items())


_GELU = _constants(half=0.5, one=1.0, root=2.0**0.5)
_GELU_TANH = _constants(half=0.5, one=1.0, c=0.7978845608028654, a=0.044715)
_TANH_PART = "xx = Mul(x, x)\nax = Mul(a, xx)\nu = Add(one, ax)\nv = Mul(x, u)\nw = Mul(c, v)\nt = Tanh(w)\n"

#: Body of ``Table_NAME(x) => (y)``.
_TABLES = {
    "sigmoid": "y = Sigmoid(x)",
    "tanh": "y = Tanh(x)",
    "gelu": f"{_GELU}\nr = Div(x, root)\ne = Erf(r)\nf = Add(one, e)\ng = Mul(half, f)\ny = Mul(x, g)",
    "gelu_grad": f"""{_GELU}
        {_constants(d=0.3989422804014327, minus=-0.5)}
        r = Div(x, root)\ne = Erf(r)\nf = Add(one, e)\ng = Mul(half, f)
        xx = Mul(x, x)\nh = Mul(minus, xx)\ni = Exp(h)\nj = Mul(d, i)\nk = Mul(x, j)\ny = Add(g, k)""",
    "gelu_tanh": f"{_GELU_TANH}\n{_TANH_PART}f = Add(one, t)\ng = Mul(half, f)\ny = Mul(x, g)",
    "gelu_tanh_grad": f"""{_GELU_TANH}
        {_constants(b=0.134145)}
        {_TANH_PART}f = Add(one, t)\ng = Mul(half, f)
        tt = Mul(t, t)\nd = Sub(one, tt)\nbx = Mul(b, xx)\ni = Add(one, bx)\nj = Mul(c, i)
        k = Mul(half, x)\nl = Mul(k, d)\nm = Mul(l, j)\ny = Add(g, m)""",
    "silu": "s = Sigmoid(x)\ny = Mul(x, s)",
    "silu_grad": f"""{_constants(one=1.0)}
        s = Sigmoid(x)\nr = Sub(one, s)\nq = Mul(x, r)\np = Add(one, q)\ny = Mul(s, p)""",
    "softplus": "y = Softplus(x)",
    "mish": "s = Softplus(x)\nt = Tanh(s)\ny = Mul(x, t)",
    "mish_grad": f"""{_constants(one=1.0)}
        s = Softplus(x)\nt = Tanh(s)\ntt = Mul(t, t)\nd = Sub(one, tt)
        g = Sigmoid(x)\nh = Mul(x, g)\ni = Mul(h, d)\ny = Add(t, i)""",
    "elu": "y = Elu(x)",
    "elu_grad": f"{_constants(zero=0.0)}\nm = Min(x, zero)\ny = Exp(m)",
    "exp": "y = Exp(x)",
    "log": "y = Log(x)",
    "sqrt": "y = Sqrt(x)",
    "reciprocal": "y = Reciprocal(x)",
    "erf": "y = Erf(x)",
    "sin": "y = Sin(x)",
    "cos": "y = Cos(x)",
    "atan": "y = Atan(x)",
}

_OTHERS = {
    "Softmax": "Softmax (x) => (y) { y = Softmax <axis = -1> (x) }",
    # keep is 1 where an element takes part and 0 where it is masked out; every row keeps one at least.
    "SoftmaxMasked": f"""SoftmaxMasked (x, keep) => (y) {{
        {_constants(half=0.5, low=-1e30)}
        kept = Greater(keep, half)
        z = Where(kept, x, low)
        y = Softmax <axis = -1> (z) }}""",
    # ArgMax takes the first of equal elements, as torch's max pooling does.
    "MaxLast": """MaxLast (x) => (values, onehot) {
        axes = Constant <value = int64[1] {-1}> ()
        values = ReduceMax <keepdims = 0> (x, axes)
        where = ArgMax <axis = -1, keepdims = 0, select_last_index = 0> (x)
        shape = Shape <start = -1> (x)
        parts = Constant <value = float[2] {0, 1}> ()
        onehot = OneHot <axis = -1> (where, shape, parts) }""",
    "Rsqrt": "Rsqrt (x) => (y) { r = Sqrt(x)\ny = Reciprocal(r) }",
    "OneHot": """OneHot <depth> (ids) => (y) {
        whole = Cast <to = 7> (ids)
        n = Constant <value_int: int = @depth> ()
        parts = Constant <value = float[2] {0, 1}> ()
        y = OneHot <axis = -1> (whole, n, parts) }""",
}


def _statements(body: str) -> str:
    return "\n".join(line.strip() for line in body.splitlines() if line.strip())


def function(op_type: str) -> onnx.FunctionProto:
    """Return the function behind a node of the domain. Raises :class:`KeyError` for an unknown one."""
    if op_type.startswith("Table_"):
        text = f"{op_type} (x) => (y) {{ {_statements(_TABLES[op_type.removeprefix('Table_')])} }}"
    else:
        text = _statements(_OTHERS[op_type])
    header = f'<opset_import: ["" : {OPSET}], domain: "{DOMAIN}">'
    return onnx.parser.parse_function(f"{header}\n{text}")
