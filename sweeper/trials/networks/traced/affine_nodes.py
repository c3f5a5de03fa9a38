"""The nodes of a graph that are affine functions of one value, found by the names of their operations.

An operation that is not known here counts as not affine. The caller checks the answer on random activations
(`affine_check`), as a hook or an operation in place can change what the graph shows.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

from torch import fx, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from sweeper.trials.networks.traced.observe import NodeValue
from sweeper.trials.networks.traced.trace import TracedNetwork


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Operations that are affine in all their tensors together. Names of methods and functions, without the `_` of those
# that work in place.
_JOINTLY_AFFINE = _words(
    """
    add iadd sub isub rsub subtract neg negative pos positive mean sum cumsum nanmean cat concat concatenate stack
    hstack vstack split chunk tensor_split unbind getitem getattr narrow select index_select take_along_dim flatten
    unflatten ravel reshape reshape_as view view_as permute transpose t swapaxes swapdims movedim moveaxis squeeze
    unsqueeze expand expand_as broadcast_to repeat tile repeat_interleave roll flip fliplr flipud rot90 tril triu
    diagonal contiguous clone detach alias to float double type type_as pad interpolate upsample pixel_shuffle
    pixel_unshuffle channel_shuffle avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d masked_fill identity
    """
)
# Operations that are affine in one of their tensors if the others are constant: products.
_AFFINE_IN_ONE = _words(
    """
    mul imul multiply matmul imatmul mm mv bmm addmm addmv addbmm baddbmm einsum tensordot dot inner outer linear
    bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
    """
)
_QUOTIENTS = _words("div idiv truediv itruediv divide true_divide")  # affine in the dividend
_CONSTANTS = _words("size dim ndimension numel shape dtype device ndim")  # equal for all images of one size
_ATTRIBUTES = _words("T mT H mH data")

_LAYERS = (
    nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
    nn.Identity, nn.Flatten, nn.Unflatten, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d, nn.Upsample, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle,
    nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d,
    nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad1d, nn.ReplicationPad2d, nn.CircularPad1d,
    nn.CircularPad2d,
)  # fmt: skip
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)  # affine with running averages
_LAYERS_ELSEWHERE = ("StochasticDepth", "DropPath", "Permute")  # of torchvision and timm; timm need not be installed


def is_affine_in(
    traced: TracedNetwork,
    values: Mapping[fx.Node, NodeValue],
    varying: Collection[fx.Node],
    nodes: Sequence[fx.Node],
    carrier: fx.Node,
    result: fx.Node,
) -> bool:
    """Return whether a result is an affine function of a carrier, by the operations of the nodes between them.

    Args:
        traced: The network with its graph, in eval mode.
        values: The values of all nodes.
        varying: The nodes that depend on the images.
        nodes: The nodes after the cut, in order.
        carrier: The tensor at the cut.
        result: The logits. A `log_softmax` that returns them counts as affine, as it changes them only by a constant
            of each image, which changes neither the classes nor the cross-entropy.
    """
    affine, constant = {carrier}, set()
    for node in nodes:
        if node not in varying or values[node].number is not None or _name(node) in _CONSTANTS:
            constant.add(node)
            continue
        arguments = [other for other in _arguments(node) if other in varying and other not in constant]
        if not arguments:  # computed from sizes alone
            constant.add(node)
        elif all(other in affine for other in arguments) and (
            _is_affine(traced.network, node, arguments) or (node is result and _is_log_softmax(traced.network, node))
        ):
            affine.add(node)
    return result in affine


def _arguments(node: fx.Node) -> Iterator[fx.Node]:
    """Yield the nodes among the arguments, one as often as it occurs: twice in x * x."""
    nodes: list[fx.Node] = []
    fx.node.map_arg((node.args, node.kwargs), lambda other: nodes.append(other) or other)  # type: ignore[func-returns-value]
    yield from nodes


def _name(node: fx.Node) -> str:
    """Return the name of a function, a method or an attribute."""
    if node.op == "call_function" and node.target is getattr:
        return str(node.args[1])
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name if node.op == "call_module" or name.endswith("__") else name.rstrip("_")


def _is_affine(network: nn.Module, node: fx.Node, arguments: Sequence[fx.Node]) -> bool:
    if node.op == "call_module":
        return _is_affine_layer(network.get_submodule(str(node.target)))
    name = _name(node)
    if node.op == "call_function" and node.target is getattr:
        return name in _ATTRIBUTES
    if name in ("dropout", "batch_norm"):
        return not _flag(node, "training", {"dropout": 2, "batch_norm": 5}[name], default=name == "dropout")
    if name in _QUOTIENTS:
        return arguments == [node.args[0]]
    return name in _JOINTLY_AFFINE or (name in _AFFINE_IN_ONE and len(arguments) == 1)


def _is_affine_layer(module: nn.Module) -> bool:
    if isinstance(module, _NormBase):
        return type(module) in _NORMS and module.running_mean is not None
    if isinstance(module, _DropoutNd) or type(module).__name__ in _LAYERS_ELSEWHERE:
        return True
    # A subclass, such as that of a weight with a parametrization, may have the same `forward`.
    return any(isinstance(module, layer) and type(module).forward is layer.forward for layer in _LAYERS)


def _is_log_softmax(network: nn.Module, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(network.get_submodule(str(node.target)), nn.LogSoftmax)
    return _name(node) == "log_softmax"


def _flag(node: fx.Node, name: str, position: int, default: bool) -> bool:
    """Return a boolean argument of a call; True where it isn't a constant."""
    value = node.args[position] if len(node.args) > position else node.kwargs.get(name, default)
    return value is not False
