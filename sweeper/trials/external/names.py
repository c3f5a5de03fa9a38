"""What the values of a graph are called: by the module that returns them, else by the operation that makes them."""

from collections import Counter
from collections.abc import Mapping

from torch import fx, nn

from sweeper.trials.external.trace import Traced

# A stage is stored under its cut's name in an `nn.ModuleDict`, which has attributes of its own.
_TAKEN = frozenset(dir(nn.ModuleDict))


def names(traced: Traced) -> Mapping[fx.Node, str]:
    """A name for each node, no two alike.

    `layer1.0` is the output of that module (of several that return the same tensor, the outermost that isn't a bare
    `nn.Sequential`), `layer1.0.add` an addition in its `forward`; what comes again gets `_1`, `_2` ..., as in
    torchvision's feature extraction.
    """
    found: dict[fx.Node, str] = {}
    met: Counter[str] = Counter(_TAKEN)
    for node in traced.graph.nodes:
        base = _base(traced, node)
        times = met[base]
        met[base] += 1
        found[node] = f"{base}_{times}" if times else base
    return found


def _base(traced: Traced, node: fx.Node) -> str:
    paths = traced.outputs.get(node, [])
    blocks = [path for path in paths if type(traced.network.get_submodule(path)) is not nn.Sequential]
    if blocks:
        return blocks[-1]
    operation = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
    inside = traced.inside[node]
    return f"{inside}.{operation}" if inside and node.op != "call_module" else operation
