"""Embeddings, attention and recurrent cells."""

import pytest
import torch
from export_cases import Module, exported, ops, step_of
from torch import nn
from torch.nn import functional

pytestmark = pytest.mark.reference


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


@pytest.mark.parametrize("padding", [None, 2])
def test_embedding(padding):
    module = Module(
        lambda s, x: s.out((s.words(x.long()) + s.places(torch.arange(1, 6))).mean(1)),
        words=nn.Embedding(7, 4, padding_idx=padding),
        places=nn.Embedding(6, 4),
        out=nn.Linear(4, 3),
    )
    model = exported(step_of(module, (5,)), ids=7)
    assert sum(n.op_type == "OneHot" for n in model.graph.node) == 1  # forward and gradient share it


def _attention(mask):
    def forward(s, x):
        q, k, v = s.project(x).reshape(x.shape[0], 4, 3, 2, 4).permute(2, 0, 3, 1, 4)
        if mask == "none":
            mixed = functional.scaled_dot_product_attention(q, k, v)
        elif mask == "causal":
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-2, -1) / 2
            above = torch.ones(4, 4).triu(1).bool()
            filled = {
                "filled": lambda: scores.masked_fill(above, float("-inf")),
                "where": lambda: torch.where(above, float("-inf"), scores),
                "added": lambda: scores + torch.full((4, 4), float("-inf")).triu(1),
                "filled with little": lambda: scores.masked_fill(above, -1e9),
                "the least float": lambda: torch.where(above, torch.finfo(scores.dtype).min, scores),
                "little added": lambda: scores + above * -10_000.0,
            }[mask]()
            mixed = torch.softmax(filled, -1) @ v
        return s.out(mixed.transpose(1, 2).reshape(x.shape[0], 4, 8))

    return Module(forward, project=nn.Linear(6, 24), out=nn.Linear(8, 2))


@pytest.mark.parametrize(
    "mask",
    [
        *("none", "causal", "filled", "where", "added"),
        *("filled with little", "the least float", "little added"),
    ],
)
def test_attention(mask):
    found = ops(exported(step_of(_attention(mask), (4, 6)))) & {"Softmax", "SoftmaxMasked"}
    assert found == ({"Softmax"} if mask == "none" else {"SoftmaxMasked"})


@pytest.mark.parametrize("weights", [True, False])
def test_multihead_attention(weights):
    def forward(s, x):
        mask = nn.Transformer.generate_square_subsequent_mask(4, dtype=x.dtype)
        return s.attention(x, x, x, need_weights=weights, attn_mask=mask)[0]

    exported(step_of(Module(forward, attention=nn.MultiheadAttention(8, 2, batch_first=True)), (4, 8)))


def test_torchs_own_transformer_layer():
    layer = nn.TransformerEncoderLayer(
        8, 2, 16, dropout=0.0, batch_first=True, activation="gelu", norm_first=True
    )
    exported(step_of(layer, (4, 8)))


@pytest.mark.parametrize(
    "cell",
    [nn.GRUCell(6, 5), nn.RNNCell(6, 5), nn.RNNCell(6, 5, nonlinearity="relu"), nn.LSTMCell(6, 5)],
    ids=str,
)
def test_unrolled_cell(cell):
    def forward(s, x):
        h = c = torch.zeros(x.shape[0], 5, dtype=x.dtype)
        for t in range(x.shape[1]):
            if isinstance(cell, nn.LSTMCell):
                h, c = s.cell(x[:, t], (h, c))
            else:
                h = s.cell(x[:, t], h)
        return s.out(h)

    exported(step_of(Module(forward, cell=cell, out=nn.Linear(5, 2)), (3, 6)))


@pytest.mark.parametrize(
    "layer",
    [
        nn.GRU(6, 5, num_layers=2, bidirectional=True, batch_first=True),
        nn.RNN(6, 5, batch_first=True),
        nn.LSTM(6, 5, batch_first=True),
    ],
    ids=str,
)
def test_recurrent_layer(layer):
    exported(step_of(Module(lambda s, x: s.layer(x)[0][:, -1], layer=layer), (3, 6)))
