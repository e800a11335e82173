"""Property tests: convolutions and pooling of any shape."""

import pytest
import torch
from export_cases import Module, exported, step_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

pytestmark = pytest.mark.reference
SETTINGS = settings(max_examples=10, deadline=None, derandomize=True)
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@SETTINGS
@given(
    groups=st.integers(1, 2),
    inward=st.integers(1, 2),
    outward=st.integers(1, 2),
    kernel=PAIR,
    stride=PAIR,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    size=st.tuples(st.integers(5, 8), st.integers(5, 8)),
    bias=st.booleans(),
)
def test_convolution(groups, inward, outward, kernel, stride, padding, dilation, size, bias):
    torch.manual_seed(0)
    channels = groups * inward
    layer = nn.Conv2d(channels, groups * outward, kernel, stride, padding, dilation, groups, bias)
    module = Module(lambda s, x: s.layer(s.before(x)), before=nn.Conv2d(channels, channels, 1), layer=layer)
    exported(step_of(module, (channels, *size), batch=2))


@SETTINGS
@given(groups=st.integers(1, 2), kernel=PAIR, stride=PAIR, data=st.data())
def test_transposed_convolution(groups, kernel, stride, data):
    torch.manual_seed(0)
    outward = tuple(data.draw(st.integers(0, s - 1)) for s in stride)
    padding = tuple(data.draw(st.integers(0, k - 1)) for k in kernel)
    layer = nn.ConvTranspose2d(2, 2 * groups, kernel, stride, padding, outward, groups)
    module = Module(lambda s, x: s.layer(s.before(x)), before=nn.Conv2d(2, 2, 1), layer=layer)
    exported(step_of(module, (2, 4, 5), batch=2))


@SETTINGS
@given(
    kernel=PAIR,
    stride=PAIR,
    ceil=st.booleans(),
    most=st.booleans(),
    size=st.tuples(st.integers(4, 8), st.integers(4, 8)),
    data=st.data(),
)
def test_pooling(kernel, stride, ceil, most, size, data):
    torch.manual_seed(0)
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    pool = nn.MaxPool2d if most else nn.AvgPool2d
    layer = pool(kernel, stride, padding, ceil_mode=ceil)
    module = Module(lambda s, x: s.layer(s.before(x)), before=nn.Conv2d(1, 2, 1), layer=layer)
    exported(step_of(module, (1, *size), batch=2))


@SETTINGS
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=3), axis=st.integers(0, 2), keep=st.booleans())
def test_reductions_and_broadcasting(shape, axis, keep):
    torch.manual_seed(0)
    axis = 1 + axis % len(shape)

    def forward(s, x):
        h = x * s.weight + s.bias
        total, mean = h.sum(axis, keepdim=True), h.mean(axis, keepdim=keep)
        mean = mean if keep else mean.unsqueeze(axis)
        most = h.amax((axis, 0) if keep else axis, keepdim=True)
        return torch.softmax(h, axis) * total + mean - h.amax(-1, keepdim=True) + most

    module = Module(forward, weight=nn.Parameter(torch.rand(shape)), bias=nn.Parameter(torch.rand(1)))
    exported(step_of(module, tuple(shape)))
