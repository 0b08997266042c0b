"""How a layer is called: inputs converted and checked, weights built, modes and masks passed on, the call recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..trainer import ops
from ..trainer.conversion import in_trace
from ..trainer.core import tree
from ..trainer.core.dims import Dim
from ..trainer.core.draws import own_draws
from ..trainer.core.errors import DtypeError, ShapeError, SymbolicValueError, describe_received, user_line
from ..trainer.core.state import state
from ..trainer.core.tensor import Tensor
from ..trainer.core.trace import Trace
from ..trainer.core.variable import Variable
from ..trainer.ops.passing import pass_through
from .call import CallContext, LayerCall, contexts
from .input_spec import InputSpec, check_input
from .signature import CallSignature, build_parameters, call_signature

if TYPE_CHECKING:
    from .layer import Layer


def call_layer(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a layer on tensors, arrays or symbolic tensors."""
    signature = call_signature(type(layer))
    if len(args) == 1 and not kwargs and not state.traces and type(args[0]) is Tensor and args[0].array is not None:
        return _call_on_array(layer, signature, args)
    recorded = (args, dict(kwargs))
    args = tuple([convert_argument(layer, x, i == 0) for i, x in enumerate(args)])
    kwargs = {name: convert_argument(layer, x, False) for name, x in kwargs.items()}
    training, kwargs = resolve_training(signature, kwargs)
    outer = contexts.stack[-1] if contexts.stack else None
    losses: list[Any] = outer.losses if outer is not None else []
    contexts.stack.append(CallContext(training, losses))
    try:
        if state.traces or any(type(x) is Tensor and x.array is None for x in tensors_of(args, kwargs)):
            outputs = symbolic_call(layer, signature, args, kwargs, recorded)
        else:
            outputs = run_call(layer, signature, args, kwargs)
    except (ShapeError, DtypeError, SymbolicValueError, NotImplementedError) as error:
        raise locate(error, layer, args, kwargs) from error.__cause__
    finally:
        contexts.stack.pop()
    if outer is None:
        layer._call_losses = losses
    return outputs


def _call_on_array(layer: Layer, signature: CallSignature, args: tuple[Any]) -> Any:
    """`call_layer` on one eager tensor, the usual case in training, without what only other arguments need."""
    stack = contexts.stack
    outer = stack[-1] if stack else None
    training = signature.training_default if outer is None or outer.training is None else outer.training
    context = CallContext(training, [] if outer is None else outer.losses)
    stack.append(context)
    try:
        x = args[0]
        if x.array.dtype != layer._dtype:
            args = (convert_argument(layer, x, True),)
        outputs = run_call(layer, signature, args, {})
    except (ShapeError, DtypeError, SymbolicValueError, NotImplementedError) as error:
        raise locate(error, layer, args, {}) from error.__cause__
    finally:
        stack.pop()
    if outer is None:
        layer._call_losses = context.losses
    return outputs


def symbolic_call(
    layer: Layer, signature: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any], recorded: tuple[Any, Any]
) -> Any:
    """A call on symbolic tensors: a scope for its nodes, recorded while a model is put together."""
    if not state.traces:
        with Trace(records=True):
            return symbolic_call(layer, signature, args, kwargs, recorded)
    parent = next((s for s in reversed(state.scopes) if isinstance(s, LayerCall)), None)
    call = LayerCall(layer, tuple(_kept(recorded[0], args)), _kept_keywords(recorded[1], kwargs), parent)
    state.scopes.append(call)
    try:
        outputs = run_call(layer, signature, args, kwargs)
        given = {id(x) for x in tensors_of(args, kwargs)}
        outputs = tree.map_structure(lambda x: _fresh_output(x, call, given), outputs)
    finally:
        state.scopes.pop()
    call.outputs = outputs
    trace = state.traces[-1]
    trace.calls.append(call)
    if trace.records:
        layer._calls.append(call)
    return outputs


def _kept(original: Any, converted: Any) -> list[Any]:
    """Arguments as recorded: tensors as the call saw them, everything else as the user wrote it."""
    return [c if _holds_tensor(c) else o for o, c in zip(original, converted, strict=True)]


def _kept_keywords(original: dict[str, Any], converted: dict[str, Any]) -> dict[str, Any]:
    return {k: converted[k] if _holds_tensor(converted.get(k)) else v for k, v in original.items()}


def _holds_tensor(value: Any) -> bool:
    return any(isinstance(x, (Tensor, Variable)) for x in tree.flatten(value))


def _fresh_output(x: Any, call: LayerCall, given: set[int]) -> Any:
    """An output made inside the call, so that the call is part of the graph even when it changes nothing."""
    if isinstance(x, Variable):
        x = x.read()
    if not isinstance(x, Tensor):
        return x
    node = x.symbol.node if x.symbol is not None else None
    inside = node is not None and isinstance(node.scope, LayerCall) and call in node.scope.ancestors()
    if inside and id(x) not in given:
        return x
    copy = pass_through(x)
    copy.mask = x.mask
    return copy


def run_call(layer: Layer, signature: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Masks in, shape checks, weights on first use, the user's `call`, regularizer and masks out."""
    if len(args) == 1 and not kwargs and type(args[0]) is Tensor:
        masked = args[0].mask is not None
    else:
        masked = any(x.mask is not None for x in tensors_of(args, kwargs))
    if masked and signature.mask_names:
        fill_masks(signature, args, kwargs)
    if layer.input_spec is not None:
        check_inputs(layer, args, kwargs)
    is_first = not layer.built
    if is_first:
        build_layer(layer, signature, args, kwargs)
    if signature.takes_training and "training" not in kwargs and "training" not in signature.names[: len(args)]:
        kwargs = {**kwargs, "training": contexts.stack[-1].training}
    outputs = first_call(layer, args, kwargs) if is_first else in_trace(layer.call)(*args, **kwargs)
    if outputs is None:
        raise TypeError(
            f"layer '{layer.name}' ({type(layer).__name__}): call() returned None; is a `return` missing at its end?"
        )
    if layer.activity_regularizer is not None:
        for x in tree.flatten(outputs):
            layer.add_loss(layer.activity_regularizer(x) / ops.cast(ops.shape(x)[0], x.dtype))
    if masked or (layer.supports_masking and (signature.computes_masks or kwargs.get("mask") is not None)):
        set_masks(layer, args, kwargs, outputs)
    return outputs


def first_call(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The call that makes the weights of layers inside: they are named after the way there, as in a traced model."""
    call = in_trace(layer.call)
    if not state.scopes and hasattr(layer, "build_from_call"):
        return call(*args, **kwargs)
    with layer._scope():
        return call(*args, **kwargs)


def tensors_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Tensors among the arguments."""
    found: list[Any] = []
    for value in (*args, *kwargs.values()):
        if type(value) is Tensor:
            found.append(value)
        elif isinstance(value, (list, tuple, dict)):
            found.extend(x for x in tree.flatten(value) if type(x) is Tensor)
    return found


def convert_argument(layer: Layer, value: Any, first: bool) -> Any:
    """Arrays become tensors; floating-point ones get the layer's compute dtype."""
    if type(value) is Tensor:
        if layer.autocast and value.dtype.kind == "f" and value.dtype != layer._dtype and layer._dtype.kind == "f":
            return _cast_keeping_mask(value, layer)
        return value
    if isinstance(value, (list, tuple)) and first and value and _is_numbers(value):
        return convert_argument(layer, ops.convert_to_tensor(value), first)
    if isinstance(value, (list, tuple, dict)):
        return tree.map_structure(lambda x: convert_argument(layer, x, False), value)
    if isinstance(value, np.ndarray) or (first and isinstance(value, (int, float)) and not isinstance(value, bool)):
        return convert_argument(layer, ops.convert_to_tensor(value), first)
    if hasattr(value, "__array__") and not isinstance(value, Variable):
        return convert_argument(layer, ops.convert_to_tensor(value), first)
    return value


def _cast_keeping_mask(value: Tensor, layer: Layer) -> Tensor:
    cast = ops.cast(value, layer._dtype)
    cast.mask = value.mask
    return cast


def _is_numbers(value: Any) -> bool:
    return all(isinstance(x, (int, float, np.number)) for x in tree.flatten(value))


def resolve_training(signature: CallSignature, kwargs: dict[str, Any]) -> tuple[bool | None, dict[str, Any]]:
    """The mode: as given, else that of the call around this one, else the default of `call`."""
    given = kwargs.get("training")
    unknown = not signature.takes_training and not signature.takes_any_keyword
    if "training" in kwargs and (unknown or given is None):
        kwargs = {k: v for k, v in kwargs.items() if k != "training"}
    if given is not None:
        return bool(given), kwargs
    if contexts.stack and contexts.stack[-1].training is not None:
        return contexts.stack[-1].training, kwargs
    return signature.training_default, kwargs


def fill_masks(signature: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Pass the masks that tensors carry to the mask arguments of `call` that were not given."""
    for source, target in signature.mask_names:
        if kwargs.get(target) is not None or target in signature.names[: len(args)]:
            continue
        place = signature.names.index(source)
        value = args[place] if place < len(args) else kwargs.get(source)
        masks = tree.map_structure(lambda x: getattr(x, "mask", None), value)
        if any(m is not None for m in tree.flatten(masks)):
            kwargs[target] = masks


def set_masks(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
    """Give the outputs their masks, where the layer supports masking."""
    if not layer.supports_masking:
        return
    inputs = args[0] if len(args) == 1 else list(args) if args else next(iter(kwargs.values()), None)
    previous = kwargs.get("mask")
    if previous is None:
        previous = tree.map_structure(lambda x: getattr(x, "mask", None), inputs)
    if previous is None or not tree.is_nested(previous) or any(m is not None for m in tree.flatten(previous)):
        masks = layer.compute_mask(inputs, previous)
        results = tree.flatten(outputs)
        flat = masks if isinstance(masks, (list, tuple)) and len(masks) == len(results) else [masks] * len(results)
        for x, mask in zip(results, flat, strict=True):
            if type(x) is Tensor and x.mask is None:
                x.mask = mask


def check_inputs(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Hold the inputs against the layer's `input_spec`."""
    if type(layer.input_spec) is InputSpec and len(args) == 1 and type(args[0]) is Tensor:
        check_input(layer.input_spec, args[0], "the input")
        return
    specs = tree.flatten(layer.input_spec)
    first = args[0] if args else next(iter(kwargs.values()), None)
    inputs = tree.flatten(first) if len(specs) > 1 or len(args) < 2 else [first]
    if len(inputs) != len(specs):
        raise ShapeError(f"expected {len(specs)} input{'s' if len(specs) > 1 else ''}, got {len(inputs)}")
    for i, (spec, x) in enumerate(zip(specs, inputs, strict=True)):
        if spec is not None:
            check_input(spec, x, "the input" if len(specs) == 1 else f"input {i}")


def build_layer(layer: Layer, signature: CallSignature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Call `build` with the shapes it asks for: one for the first argument, or by name (`query_shape`)."""
    shapes = {}
    for place, name in enumerate(signature.names):
        value = args[place] if place < len(args) else kwargs.get(name)
        if value is not None and _holds_tensor(value):
            shapes[name] = tree.map_structure(_build_shape, value)
    if not shapes and args:
        shapes["inputs"] = tree.map_structure(_build_shape, args[0])
    learn = getattr(layer, "build_from_call", None)
    if learn is not None:
        with without_recording():
            if learn(args, kwargs):
                return
    wanted = build_parameters(type(layer))
    named = {f"{name}_shape": shape for name, shape in shapes.items()}
    with without_recording(), layer._scope():
        if len(wanted) > 1 and any(name in named for name in wanted):
            layer.build(**{name: named[name] for name in wanted if name in named})
        elif wanted:
            layer.build(next(iter(shapes.values()), None))
        else:
            layer.build()
    layer.built = True


@contextmanager
def without_recording() -> Iterator[None]:
    """Neither traces nor tapes see what happens inside: making weights is no part of the computation."""
    traces, tapes = state.traces, state.tapes
    with own_draws():
        state.traces, state.tapes = [], []
        try:
            yield
        finally:
            state.traces, state.tapes = traces, tapes


def _build_shape(x: Any) -> Any:
    """Shapes as `build` sees them: None where the size is not known, as in Keras."""
    return tuple(None if isinstance(size, Dim) else size for size in x.shape) if hasattr(x, "shape") else None


def locate(error: Exception, layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception:
    """The same error, told once more with the layer, what it received, and the user's line."""
    if getattr(error, "located", False):
        return error
    path = "/".join([*(s.path for s in state.scopes[-1:] if s.path), layer.name])
    received = ", ".join(describe_received(x) for x in tensors_of(args, kwargs)[:6])
    line = user_line(2)
    where = f"\n  called at {line}" if line else ""
    text = str(error).replace(f"\n  at {line}", "")  # said once where the operation and the call are on one line
    located = type(error)(
        f"layer '{path}' ({type(layer).__name__}): {text}\n  received: {received or 'no tensor'}{where}"
    )
    located.located = True  # type: ignore[attr-defined]
    located.__cause__ = error.__cause__
    return located.with_traceback(error.__traceback__)
