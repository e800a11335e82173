"""Where in the user's code each traced operator comes from, its gradient included.

While a :class:`Recorder` is active, every torch function notes the module it runs in and the line of user
code that called it, in the metadata of the traced nodes (``node.meta["custom"]``). The same note is left on
the autograd nodes of its result, and read again when they run backward.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import traceback as fx_traceback
from torch.overrides import TorchFunctionMode

_TORCH = str(Path(torch.__file__).parent)
_OWN = str(Path(__file__).parent)
_NOTE = "fedproof_origin"
#: A torch function, an autograd node, what a hook is given: torch has no narrower type for these.
Foreign = Any


@dataclass(frozen=True)
class Origin:
    """A place in the user's code: path of the module, ``file:line``, and whether it is the gradient there."""

    module: str = ""
    source: str = ""
    gradient: bool = False

    def __str__(self) -> str:
        place = f"{self.module or 'the model'}{f' ({self.source})' if self.source else ''}"
        return f"the gradient of {place}" if self.gradient else place

    @property
    def properties(self) -> dict[str, str]:
        """As metadata of an ONNX node."""
        found = {
            "module": self.module,
            "source": self.source,
            "pass": "gradient" if self.gradient else "forward",
        }
        return {key: value for key, value in found.items() if value}


def origin_of(node: torch.fx.Node) -> Origin:
    """Return the note that a traced node carries; empty for the bookkeeping around the user's code."""
    found = node.meta.get("custom", {}).get(_NOTE)
    return found if isinstance(found, Origin) else Origin()


class Recorder(TorchFunctionMode):
    """Annotates what is traced inside it. ``at`` is the place where the trace is, or where it failed.

    With ``noting`` off it replaces functions only: a step that is run rather than traced needs no notes.
    """

    def __init__(self, noting: bool = True) -> None:
        super().__init__()
        self.noting = noting
        self.at = Origin()
        self._replaced: Mapping[Callable[..., Any], Callable[..., Any]] = {}
        self._modules: list[str] = []
        self._labelled: list[Any] = []  # kept alive: a freed autograd node's place would be taken by another

    def __torch_function__(
        self,
        func: Foreign,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Foreign:
        """Call ``func``, or what replaces it, and note where that happened."""
        del types
        function = self._replaced.get(func, func)
        if not self.noting:
            return function(*args, **(kwargs or {}))
        origin = self.at = Origin(self._modules[-1] if self._modules else "", _user_line())
        with fx_traceback.annotate({_NOTE: origin}):
            out = function(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor) and tensor.grad_fn is not None:
                self._label(tensor.grad_fn, origin)
        return out

    def _label(self, grad_fn: Foreign, origin: Origin) -> None:
        waiting = [grad_fn]
        while waiting:
            node = waiting.pop()
            if node is None or _NOTE in node.metadata:
                continue
            node.metadata[_NOTE] = origin
            self._labelled.append(node)
            node.register_prehook(self._entering(Origin(origin.module, origin.source, gradient=True)))
            waiting += [before for before, _ in node.next_functions]

    def _entering(self, origin: Origin) -> Callable[[Any], None]:
        def hook(gradients: Foreign) -> None:
            del gradients
            self.at = origin
            # The engine leaves a node without a word: the next one says its own, and leave() ends it.
            if fx_traceback.has_preserved_node_meta():
                fx_traceback.current_meta["custom"] = {_NOTE: origin}

        return hook

    @contextmanager
    def using(self, replaced: Mapping[Callable[..., Any], Callable[..., Any]]) -> Iterator[None]:
        """Be active, and call other functions instead of those that are ``replaced``."""
        self._replaced = replaced
        with self:
            yield

    def leave(self) -> None:
        """End the note of the last gradient."""
        self.at = Origin()
        fx_traceback.current_meta.pop("custom", None)

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Name what runs outside any module, such as the loss."""
        self._modules.append(name)
        yield
        self._modules.pop()

    @contextmanager
    def watching(self, module: nn.Module) -> Iterator[None]:
        """Follow the calls of all submodules by name."""
        handles = []
        for name, part in module.named_modules() if self.noting else ():
            handles.append(part.register_forward_pre_hook(self._enter(name)))
            handles.append(part.register_forward_hook(self._leave))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, name: str) -> Callable[..., None]:
        return lambda module, args: self._modules.append(name)  # noqa: ARG005

    def _leave(self, module: nn.Module, args: Foreign, result: Foreign) -> None:
        del module, args, result
        self._modules.pop()


def _user_line() -> str:
    """Innermost line that is neither torch's nor this room's."""
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_OWN):
            return ""
        if not file.startswith((_TORCH, "<")):
            path = Path(file)
            here = Path.cwd()
            return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
