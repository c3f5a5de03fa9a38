"""Names of the values of a graph: the module that returns a value, or else the operation that computes it."""

from collections import Counter
from collections.abc import Mapping

from torch import fx, nn

from sweeper.trials.networks.traced.trace import TracedNetwork

# A stage is stored under its cut's name in an `nn.ModuleDict`, so a name must not be one of that class's attributes.
_TAKEN = frozenset(dir(nn.ModuleDict))


def names(traced: TracedNetwork) -> Mapping[fx.Node, str]:
    """Return a unique name for each node.

    `layer1.0` is the output of that module (of several that return the same tensor, the outermost that isn't a bare
    `nn.Sequential`), `layer1.0.add` an addition in its `forward`; repeated names get `_1`, `_2` ..., as
    in torchvision's feature extraction.
    """
    name_by_node: dict[fx.Node, str] = {}
    uses: Counter[str] = Counter(_TAKEN)
    for node in traced.graph.nodes:
        base = _base(traced, node)
        times = uses[base]
        uses[base] += 1
        name_by_node[node] = f"{base}_{times}" if times else base
    return name_by_node


def _base(traced: TracedNetwork, node: fx.Node) -> str:
    paths = traced.outputs.get(node, [])
    blocks = [path for path in paths if type(traced.network.get_submodule(path)) is not nn.Sequential]
    if blocks:
        return blocks[-1]
    operation = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
    module = traced.enclosing_module[node]
    return f"{module}.{operation}" if module and node.op != "call_module" else operation
