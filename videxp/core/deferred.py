"""torchmetrics without what it imports for others: Lightning wants its `Metric`, and would wait for scipy, torchvision,
transformers and matplotlib, longer than torch itself takes.

The bodies of its two large packages are run when they are first asked for a name that only they have, that of its plots
when one is drawn. All names, and what is said where something is not installed, stay as they are.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

# Package -> names that are found without its body, and where.
PACKAGES: dict[str, dict[str, str]] = {
    "torchmetrics": {
        "Metric": "torchmetrics.metric",
        "MetricCollection": "torchmetrics.collections",
        "MeanMetric": "torchmetrics.aggregation",
        "__version__": "torchmetrics.__about__",
    },
    "torchmetrics.functional": {},
}
PLOTS = "torchmetrics.utilities.plot"


@contextmanager
def uncollected() -> Iterator[None]:
    """For large imports: what they make stays, and to look for garbage in it takes a fifth of their time.

    Afterwards it is not looked through again: neither in training, nor in forked workers, which would copy its pages.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def defer_torchmetrics() -> None:
    """To be called before anything imports torchmetrics; once it is there, this does nothing."""
    if "torchmetrics" not in sys.modules and not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


# Not of importlib.abc's kinds: importing those would take a sixth of what `videxp --help` takes.


class _Finder:
    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        deferred = fullname in PACKAGES or fullname == PLOTS
        spec = PathFinder.find_spec(fullname, path, target) if deferred else None
        if spec is not None and spec.loader is not None:
            kind = _DeferredPlots if fullname == PLOTS else _Deferred
            loader: Any = kind(spec.loader, names=PACKAGES.get(fullname, {}))
            spec.loader = loader
        return spec


class _Deferred:
    """A module's loader, with the body left for later; `names` do not need it."""

    def __init__(self, loader: Any, *, names: dict[str, str]) -> None:
        self.loader, self.names = loader, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)  # sources, resources

    def create_module(self, spec: ModuleSpec) -> None:
        """Python's own kind of module."""

    def exec_module(self, module: ModuleType) -> None:
        def __getattr__(name: str) -> Any:
            if name.startswith("__") and name not in (*self.names, "__all__"):  # what Python asks of any module
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return self._value(module, name)

        vars(module)["__getattr__"] = __getattr__
        if module.__name__ == "torchmetrics":
            self._import_foundation(module)

    def _value(self, module: ModuleType, name: str) -> Any:
        if name in self.names:
            return getattr(import_module(self.names[name]), name)
        self._run_body(module)
        return getattr(module, name)

    def _import_foundation(self, module: ModuleType) -> None:
        """These and `torchmetrics.metric` import each other, and work in this order only."""
        import logging

        vars(module)["_logger"] = logging.getLogger("torchmetrics")
        try:
            import_module("torchmetrics.utilities")
        except ImportError:  # a version that is made in another way
            for name in [name for name in sys.modules if name.startswith("torchmetrics.")]:
                del sys.modules[name]
            self._run_body(module)

    def _run_body(self, module: ModuleType) -> None:
        vars(module).pop("__getattr__", None)
        self.loader.exec_module(module)


class _DeferredPlots(_Deferred):
    """Functions that run the body when they are called, and the types of their arguments: nothing needs them before."""

    def _value(self, module: ModuleType, name: str) -> Any:
        if name.endswith("_TYPE"):
            return object  # as where there is no matplotlib

        def plot(*arguments: Any, **named: Any) -> Any:
            if "__getattr__" in vars(module):
                self._run_body(module)
            return getattr(module, name)(*arguments, **named)

        return plot
