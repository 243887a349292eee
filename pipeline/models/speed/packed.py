"""Pack the linear layers of a frozen model for the CPU: weights in oneDNN's layout, bias and GELU in the same pass.

Otherwise oneDNN reorders a weight for every product, the bias is copied to each row beforehand, and the widest array
of a layer is read and written once more for its GELU.
"""

import platform
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.activations import GELUActivation

GELUS = (F.gelu, torch.ops.aten.gelu_)
OPERATORS = ("_reorder_linear_weight", "_linear_pointwise", "_is_mkldnn_bf16_supported")
PROCESSORS = ("x86_64", "AMD64")  # where this was measured; elsewhere oneDNN calls other libraries


class PackedLinear(nn.Module):
    """A linear layer that is never trained, on a CPU.

    It uses the operators that torch's own compiler inserts for such layers; they have no public name. The weight is no
    longer a parameter, so a state dictionary would silently lack it; asking for one raises an error. Digest or save a
    model before it is packed.

    Args:
        linear: a linear layer in float32 or bfloat16; its weight is copied.
        gelu: compute the exact GELU that follows the layer, too.
    """

    def __init__(self, linear: nn.Linear, *, gelu: bool = False) -> None:
        super().__init__()
        self._dtype = linear.weight.dtype
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)  # noqa: SLF001 - see PackedLinear
        self._bias = None if linear.bias is None else linear.bias.detach()
        self._after = "gelu" if gelu else "none"

    def forward(self, x: Tensor) -> Tensor:
        """Compute the layer: (..., in) -> (..., out), in the precision of the weight, without gradients."""
        run = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001 - see above
        return run(x.to(self._dtype), self._weight, self._bias, self._after, [], "none")

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:  # noqa: ARG002 - torch's
        raise TypeError(f"{prefix.rstrip('.') or 'the layer'} is packed and has no state: take it before pack()")

    def _load_from_state_dict(self, _state: Any, prefix: str, *_: Any) -> None:
        raise TypeError(f"{prefix.rstrip('.') or 'the layer'} is packed and takes no state: load it before pack()")


def pack(model: nn.Module) -> bool:
    """Pack the linear layers of a frozen model in place; return whether they are packed.

    This works only on x86 CPUs with oneDNN, with a torch that has the operators; otherwise the model is not changed.
    Layers with hooks are never packed. The model cannot be saved, digested, moved or compiled afterwards.

    Args:
        model: a frozen model on its device, in its final precision.
    """
    if not _packable(model):
        return False
    for parent in list(model.modules()):
        linear = {name: module for name, module in parent.named_children() if _plain(module)}
        followed = "dense" in linear and _is_gelu(getattr(parent, "intermediate_act_fn", None))
        for name, module in linear.items():
            setattr(parent, name, PackedLinear(cast("nn.Linear", module), gelu=followed and name == "dense"))
        if followed:
            parent.intermediate_act_fn = nn.Identity()
    return True


def _plain(module: nn.Module) -> bool:
    """Return whether a module is a linear layer without hooks, which could change its input or output."""
    return type(module) is nn.Linear and not module._forward_pre_hooks and not module._forward_hooks  # noqa: SLF001


def _is_gelu(activation: object) -> bool:
    return isinstance(activation, GELUActivation) and activation.act in GELUS


def _packable(model: nn.Module) -> bool:
    linear = [module.weight for module in model.modules() if type(module) is nn.Linear]
    return (
        platform.machine() in PROCESSORS
        and torch.backends.mkldnn.is_available()
        and all(hasattr(torch.ops.mkldnn, name) for name in OPERATORS)
        and all(weight.device.type == "cpu" for weight in linear)
        and all(weight.dtype == torch.float32 or _in_bfloat16(weight) for weight in linear)
    )


def _in_bfloat16(weight: Tensor) -> bool:
    return weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001 - see PackedLinear
