"""A scoring function as an ONNX graph, for any batch and any number of segments.

jax2onnx converts JAX's primitives. Its own tracing fails on this network if the number of segments
is free, and a few primitives are not converted then, or not at all. So the network is traced by
JAX, and these few are written in others that have the same values: RULES. Two of them take
memory for [B, T, T] numbers, as attention does.
"""

import contextlib
import logging
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from refinevad_jax.errors import UserError

INSTALL = "pip install 'refinevad_jax[onnx]' (beside constraints.txt: docs/export.md)"


def require_converter() -> None:
    """Raises UserError if the extra is not installed."""
    try:
        import jax2onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(f"--format=onnx needs jax2onnx and onnxruntime: {INSTALL}") from error


def convert(
    function: Callable[..., Sequence[Any]],
    arguments: Sequence[jax.ShapeDtypeStruct],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> bytes:
    """The ONNX model of a function of arrays.

    arguments: shapes of its inputs, symbolic ones too; inputs, outputs: their names in the graph.
    Raises UserError if jax2onnx cannot convert it.
    """
    require_converter()
    import jax2onnx

    with _quiet():
        try:
            traced = _traced(function, arguments)
            plain = _traced(lambda *rows: _evaluate(traced.jaxpr, traced.consts, rows), arguments)
            model = jax2onnx.to_onnx(
                lambda *rows: tuple(jax.core.eval_jaxpr(plain.jaxpr, plain.consts, *rows)),
                arguments,
                model_name="refinevad",
                input_names=inputs,
                output_names=outputs,
            )
        except Exception as error:  # the converter raises many kinds
            raise UserError(
                f"jax2onnx cannot convert this network ({type(error).__name__}: {error}); "
                "--format=stablehlo exports it"
            ) from error
    return model.SerializeToString()


def runner(model: bytes) -> Callable[..., dict[str, np.ndarray]]:
    """The function of an ONNX model on this processor, by onnxruntime: arrays by name in and out.

    Raises UserError if onnxruntime refuses the model.
    """
    require_converter()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UserError(f"not a model that onnxruntime reads ({type(error).__name__})") from error
    names = [output.name for output in session.get_outputs()]
    return lambda **arrays: dict(zip(names, session.run(names, arrays), strict=True))


def opset(model: bytes) -> int:
    """The version of ONNX's operators that the model is written in."""
    import onnx

    return onnx.load_from_string(model).opset_import[0].version


@contextlib.contextmanager
def _quiet() -> Any:
    """Without what the converter says of its own code."""
    logger = logging.getLogger("onnx_ir")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _traced(function: Callable[..., Any], arguments: Sequence[jax.ShapeDtypeStruct]) -> Any:
    return jax.make_jaxpr(lambda *arrays: tuple(function(*arrays)))(*arguments)


def _evaluate(jaxpr: Any, consts: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
    """Evaluates a jaxpr: calls taken apart, known values computed, RULES in place of primitives."""
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arrays], strict=True))

    def read(variable: Any) -> Any:
        return variable.val if hasattr(variable, "val") else values[variable]

    for equation in jaxpr.eqns:
        inputs = [read(variable) for variable in equation.invars]
        sizes = [size for variable in equation.outvars for size in variable.aval.shape]
        known = all(isinstance(size, int) for size in sizes) and inputs != []
        known = known and not any(isinstance(value, jax.core.Tracer) for value in inputs)
        with jax.ensure_compile_time_eval() if known else contextlib.nullcontext():
            outputs = _apply(equation, inputs)
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(variable) for variable in jaxpr.outvars]


def _apply(equation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    rule = RULES.get(equation.primitive.name)
    if rule is not None:
        return rule(equation, *inputs)
    called = next((equation.params[key] for key in _CALLED if key in equation.params), None)
    if called is not None and equation.primitive.name not in _LOOPS:
        return _evaluate(getattr(called, "jaxpr", called), getattr(called, "consts", ()), inputs)
    outputs = equation.primitive.bind(*inputs, **equation.params)
    return outputs if equation.primitive.multiple_results else [outputs]


# Where the primitives of jit, custom gradients and custom batching keep what they call.
_CALLED = ("jaxpr", "call_jaxpr", "fun_jaxpr", "call")
_LOOPS = ("scan", "while", "cond")


def _pad(equation: Any, x: jax.Array, value: jax.Array) -> list[jax.Array]:
    """Padding as a concatenation."""
    for axis, (low, high, between) in enumerate(equation.params["padding_config"]):
        if low < 0 or high < 0 or between:
            raise NotImplementedError("padding that cuts or lies between")
        around = []
        for count in (int(low), int(high)):
            shape = [*x.shape[:axis], count, *x.shape[axis + 1 :]]
            around.append([jnp.broadcast_to(value, shape)] if count else [])
        if around != [[], []]:
            x = jnp.concatenate([*around[0], x, *around[1]], axis)
    return [x]


def _cummax(equation: Any, x: jax.Array) -> list[jax.Array]:
    """max over u <= t of x_u, for x [B, T] of numbers that are not negative."""
    if equation.params["axis"] != 1 or equation.params["reverse"] or x.ndim != 2:
        raise NotImplementedError("cummax of another form")
    time = jnp.arange(x.shape[1])
    past = jnp.expand_dims(time, (0, 2)) >= jnp.expand_dims(time, (0, 1))
    all_of_past = jnp.where(past, jnp.expand_dims(x, 1).astype(jnp.float32), 0.0)
    return [all_of_past.max(axis=-1).astype(x.dtype)]


def _scan(equation: Any, *inputs: jax.Array) -> Sequence[jax.Array]:
    """A reversed scan as a scan of what is reversed."""
    params = equation.params
    if not params["reverse"]:
        return equation.primitive.bind(*inputs, **params)
    first = params["num_consts"] + params["num_carry"]
    rows = [jax.lax.rev(row, (0,)) for row in inputs[first:]]
    forward = {**params, "reverse": False}
    outputs = equation.primitive.bind(*inputs[:first], *rows, **forward)
    carried = params["num_carry"]
    return [*outputs[:carried], *(jax.lax.rev(row, (0,)) for row in outputs[carried:])]


def _gather(equation: Any, x: jax.Array, start: jax.Array) -> list[jax.Array]:
    """A window at a known place as a slice; x [B, T] at places [B, T] as a sum over T."""
    numbers = equation.params["dimension_numbers"]
    if numbers.operand_batching_dims == (0,) and numbers.collapsed_slice_dims == (1,):
        here = start == jnp.expand_dims(jnp.arange(x.shape[1]), (0, 1))  # start: [B, T, 1]
        return [jnp.where(here, jnp.expand_dims(x, 1), 0.0).sum(axis=-1)]
    if numbers.operand_batching_dims or isinstance(start, jax.core.Tracer):
        raise NotImplementedError("gather of another form")
    low = [0] * x.ndim
    for axis, place in zip(numbers.start_index_map, np.asarray(start), strict=True):
        low[axis] = int(place)
    high = [a + b for a, b in zip(low, equation.params["slice_sizes"], strict=True)]
    return [jax.lax.squeeze(jax.lax.slice(x, low, high), numbers.collapsed_slice_dims)]


RULES: dict[str, Callable[..., Sequence[jax.Array]]] = {
    "pad": _pad,
    "cummax": _cummax,
    "scan": _scan,
    "gather": _gather,
}
