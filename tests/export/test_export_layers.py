"""Every layer of the list: its step is canonical, and is what torch's autograd gives."""

import pytest
import torch
from export_cases import Module, exported, ops, step_of
from torch import nn
from torch.nn import functional

pytestmark = pytest.mark.reference


@pytest.fixture(autouse=True)
def _same_weights():
    torch.manual_seed(0)


ACTIVATIONS = [
    nn.ReLU(),
    nn.ReLU(inplace=True),
    nn.LeakyReLU(0.1),
    nn.ReLU6(),
    nn.Hardtanh(),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Softplus(),
    nn.Softplus(2),
    nn.Mish(),
    nn.ELU(),
    nn.ELU(0.5, inplace=True),
    nn.SELU(),
    nn.CELU(0.7),
    nn.Hardswish(),
    nn.Hardsigmoid(),
    nn.LogSigmoid(),
    nn.PReLU(),
    nn.Softsign(),
    nn.Tanhshrink(),
    nn.Softshrink(),
    nn.Hardshrink(),
    nn.Threshold(0.1, 0.2),
    nn.Softmax(-1),
    nn.Softmax(1),
    nn.LogSoftmax(-1),
    nn.LogSoftmax(1),
    nn.GLU(),
]


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=str)
def test_activation(layer):
    wide = 10 if isinstance(layer, nn.GLU) else 5
    module = Module(
        lambda s, x: s.out(s.layer(s.into(x))), into=nn.Linear(6, wide), layer=layer, out=nn.Linear(5, 3)
    )
    exported(step_of(module, (2, 6)))


def test_a_sigmoid_needs_one_table():
    module = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 2), nn.Tanh())
    model = exported(step_of(module, (4,)))
    tables = sorted(n.op_type for n in model.graph.node if n.op_type.startswith("Table"))
    assert tables == ["Table_sigmoid", "Table_tanh"]


POOLS = [
    nn.AvgPool2d(2),
    nn.AvgPool2d(3, 2, 1),
    nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    nn.AvgPool2d(3),
    nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    nn.AvgPool2d(2, divisor_override=3),
    nn.MaxPool2d(2),
    nn.MaxPool2d(3, 2, 1),
    nn.MaxPool2d(3),
    nn.MaxPool2d(3, 2, ceil_mode=True),
    nn.MaxPool2d(2, dilation=2),
    nn.MaxPool2d((2, 4)),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((2, 4)),
    nn.AdaptiveMaxPool2d(2),
    nn.Upsample(scale_factor=2),
    nn.ZeroPad2d(1),
    nn.ReflectionPad2d(1),
    nn.PixelUnshuffle(2),
    nn.GroupNorm(3, 3),
    nn.InstanceNorm2d(3),
]


@pytest.mark.parametrize("layer", POOLS, ids=str)
def test_image_layer(layer):
    module = Module(
        lambda s, x: s.layer(s.conv(x)).flatten(1), conv=nn.Conv2d(2, 3, 3, padding=1), layer=layer
    )
    exported(step_of(module, (2, 8, 8)))


def test_pooling_that_tiles_gathers_nothing():
    module = Module(lambda s, x: functional.max_pool2d(s.conv(x), 2).flatten(1), conv=nn.Conv2d(1, 2, 1))
    assert "Gather" not in ops(exported(step_of(module, (1, 4, 4))))


def test_pooling_takes_the_first_of_equal_elements():
    module = Module(
        lambda s, x: functional.max_pool2d(s.a * torch.relu(x - 9), 2).flatten(1),
        a=nn.Parameter(torch.ones(2, 4, 4)),
    )
    model = exported(step_of(module, (2, 4, 4)))  # all zeros
    assert "MaxLast" in ops(model)


def test_one_dimension():
    module = Module(
        lambda s, x: functional.avg_pool1d(
            functional.max_pool1d(s.turn(torch.relu(s.conv(x))), 2), 2
        ).flatten(1),
        conv=nn.Conv1d(3, 4, 3, stride=2, padding=1),
        turn=nn.ConvTranspose1d(4, 2, 3, stride=2, groups=2),
    )
    exported(step_of(module, (3, 9)))


NORMS = [nn.LayerNorm(5), nn.LayerNorm((4, 5)), nn.LayerNorm(5, elementwise_affine=False), nn.RMSNorm(5)]


@pytest.mark.parametrize("layer", NORMS, ids=str)
def test_normalisation(layer):
    module = Module(lambda s, x: s.layer(s.linear(x)), linear=nn.Linear(6, 5), layer=layer)
    assert "Rsqrt" in ops(exported(step_of(module, (4, 6))))


@pytest.mark.parametrize("affine", [True, False])
def test_frozen_batch_normalisation(affine):
    layer = nn.BatchNorm2d(3, affine=affine)
    layer.running_mean.uniform_()
    layer.running_var.uniform_(0.5, 2)
    layer.eval()
    module = Module(lambda s, x: s.layer(s.conv(x)), conv=nn.Conv2d(2, 3, 1), layer=layer)
    assert "Rsqrt" not in ops(exported(step_of(module, (2, 3, 3))))  # a constant


def test_normalisation_by_hand():
    def forward(s, x):
        h = s.linear(x)
        centred = h - h.mean(-1, keepdim=True)
        a = centred / torch.sqrt(h.var(-1, keepdim=True, unbiased=False) + 1e-5)
        return a + centred / (h.std(-1, keepdim=True) + 0.1) + functional.normalize(h, dim=-1)

    exported(step_of(Module(forward, linear=nn.Linear(6, 5)), (6,)))


def test_arithmetic():
    def forward(s, x):
        h, z = s.linear(x), x[:, :5]
        return (
            torch.maximum(h, h * 2 - 0.1)
            + torch.minimum(h, z)
            + h.abs()
            + h**3
            + h.clamp(-0.2, 0.3)
            + h.clamp(min=0.1)
            + torch.where(h > z, h * 2, h * 3)
            + torch.exp(-(h**2))
            + (h > 0.1).float() * h
            + 1 / (h**2 + 1)
            + torch.sin(h)
            + torch.addcmul(z, h, h, value=0.5)
            + (1 - h)
            - (-h)
            + h.max(-1, keepdim=True)[0]
            + h.max(0)[0]
            + torch.logsumexp(h, 0)
            + (h / 3).square()
        )

    exported(step_of(Module(forward, linear=nn.Linear(6, 5)), (6,)))


def test_movements():
    def forward(s, x):
        h = s.linear(x)
        z = torch.zeros_like(h)
        z[:, 1:] = torch.relu(h[:, 1:])
        z[:, 0] += h[:, 1]
        return torch.cat(
            [
                h.flip(1)[:, ::2],
                h.roll(1, 1),
                h[:, [0, 2]],
                torch.stack([h[:, 0], h[:, 1]], 1),
                h.repeat(1, 2),
                z,
                functional.pad(h, (1, 2)),
                h.tril(),
                h[:, -1:],
                h.unfold(1, 2, 1).flatten(1),
                h.cumsum(-1),
                torch.unbind(h, 1)[0][:, None],
                torch.einsum("bi,bi->b", h, h)[:, None],
                s.bilinear(h, x),
            ],
            1,
        )

    exported(step_of(Module(forward, linear=nn.Linear(6, 5), bilinear=nn.Bilinear(5, 6, 2)), (6,)))


def test_residual_connections():
    block = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1))
    module = Module(lambda s, x: torch.relu(x + s.block(x)).mean((2, 3)), block=block)
    exported(step_of(module, (3, 5, 5)))
