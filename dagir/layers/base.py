"""Layer: weights, and a `call` that is traced into the graph. A layer never lowers itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Never, Self, overload

from dagir.errors import ArgumentError, DagirError, DTypeError
from dagir.ir.graph import Parameter, Structure, Value, snake_case
from dagir.ir.naming import auto_name
from dagir.ir.nest import flatten, map_structure
from dagir.ir.operands import as_value
from dagir.ir.types import DType, TensorType
from dagir.layers import services
from dagir.layers.argument_types import (
    BuildShape,
    CalledOn,
    Gives,
    LayerDType,
    Regularizer,
    X_contra,
    Y_co,
)
from dagir.layers.arguments import bind, dtype_of, signature, takes_alone, unknown_argument
from dagir.layers.checking import (
    alone,
    building,
    check_call,
    check_inputs,
    checked,
    constants_in,
    is_own,
    refuse_training,
)
from dagir.layers.masks import attach_masks, given_masks
from dagir.layers.weights import Weighted
from dagir.ops.elementwise import identity
from dagir.support.location import LayerCall, Location, caller, current_scope
from dagir.support.locking import making
from dagir.support.user_code import user_error

__all__ = [
    "Layer",
]


class Layer(Weighted):
    """The base of all layers. Subclass it as one subclasses keras.Layer: `build`, `call`, `get_config`.

    name: unique default from the class. trainable: whether its weights train. dtype: of its weights, float32.
    `call` receives Values. It may take `training` (None while traced) and, as in Keras, masks: `mask` if only one
    argument holds tensors, else `<argument>_mask` for each.
    """

    supports_masking = False
    _init_arguments: dict[str, Any]  # what `__init__` was given
    set_by_readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    """Attributes that a reader of other models sets, beyond Keras's arguments; the configuration keeps them."""
    training_effect: ClassVar[str] = ""  # how the output of the layer is another in training, if it is
    _build_shapes: dict[str, Any] | None = None  # what `build` was given

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if is_own(cls) and "__init__" in vars(cls):
            type.__setattr__(cls, "__init__", checked(vars(cls)["__init__"]))
        if "build" in vars(cls):
            type.__setattr__(cls, "build", building(vars(cls)["build"]))

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the arguments, for get_config."""
        layer = super().__new__(cls)
        object.__setattr__(layer, "_init_arguments", bind(cls, args, kwargs))
        return layer

    def __init__(
        self,
        *,
        activity_regularizer: Regularizer | None = None,
        trainable: bool = True,
        dtype: LayerDType | None = None,
        autocast: bool = True,
        name: str | None = None,
        **unknown: Never,
    ) -> None:
        if unknown:
            raise unknown_argument(type(self), sorted(unknown)[0])
        if name is not None and (not isinstance(name, str) or not name or "/" in name):
            raise ArgumentError(f"a layer name is a non-empty string without '/', got {name!r}")
        self.name: str = name or auto_name(snake_case(type(self).__name__))
        self.dtype = dtype_of(dtype)
        self.autocast, self.activity_regularizer = autocast, activity_regularizer  # of training: Keras gets them
        self.built = False
        self._trainable = bool(trainable)
        self._weights = []
        self._sublayers = {}
        self._calls: list[LayerCall] = []
        self._built_for: tuple[TensorType | None, Location | None] | None = None
        self._path = self.name

    def __setattr__(self, name: str, value: object) -> None:
        if type(value) not in _NO_LAYERS and (not name.startswith("_") or name == "_layers"):
            for found in _layers_in(value):
                self._track(found)
        object.__setattr__(self, name, value)

    def _track(self, layer: Layer) -> None:
        try:
            known = self._sublayers
        except AttributeError:
            raise ArgumentError(
                f"{type(self).__name__} sets a layer as an attribute before super().__init__()",
                remedy="call super().__init__(**kwargs) first",
            ) from None
        known[layer] = None

    # ---- the call

    def build(self, input_shape: Any) -> None:
        """Make the weights for an input shape; sizes not known are None. Called once, before the first `call`."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute outputs from Values with dagir.ops and other layers."""
        raise NotImplementedError(f"{type(self).__name__} has no call")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the outputs: the mask of the inputs if the layer supports masking, else None."""
        return mask if self.supports_masking else None

    @classmethod
    def has_mask_rule(cls) -> bool:
        """Whether the class has its own `compute_mask`, which may make a mask even if the inputs have none."""
        return cls.compute_mask is not Layer.compute_mask

    @overload
    def __call__(self: CalledOn[X_contra, Y_co], inputs: X_contra, /, *args: object, **kwargs: object) -> Y_co: ...
    @overload
    def __call__(self: Gives[Y_co], /, **kwargs: object) -> Y_co: ...
    def __call__(self, *args: object, **kwargs: object) -> object:  # type: ignore[misc]  # every layer has a call
        """Trace the layer on Values. Errors name this call's line, the layer and the shapes."""
        if current_scope.get() is not None:  # in the call of another layer, TensorFlow's own tensors are constants
            args, kwargs = constants_in(args), constants_in(kwargs)
        values = [leaf for leaf in flatten([args, kwargs]) if isinstance(leaf, Value)]
        call = LayerCall(self, current_scope.get(), caller(), args, kwargs)
        check_inputs(type(self), self.name, args, kwargs)
        token = current_scope.set(call)
        try:
            refuse_training(self, call)
            if not self.built:
                with making:
                    self._build_once(args, kwargs)
            self.check_dtype(args[0] if args else None)
            outputs = self._trace(args, kwargs)
            call.outputs = map_structure(lambda out: self._own(out, values), outputs)
            self._attach_masks(args, kwargs, call.outputs)
        except DagirError as error:
            raise self._explain(error, call) from error.__cause__
        except Exception as error:
            if isinstance(error, TypeError):
                check_call(self, args, kwargs)
            if (told := user_error(error)) is None:
                raise
            raise self._explain(told, call) from error
        finally:
            current_scope.reset(token)
        self._calls.append(call)
        return call.outputs

    def _trace(self, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        return self.call(*args, **self._context(args, kwargs))

    def check_dtype(self, inputs: object) -> None:
        """Raise DTypeError where a floating layer gets bools or integers; layers that take them override this."""
        for value in flatten(inputs):
            if isinstance(value, Value) and self._weights and value.dtype.is_float and value.dtype is not self.dtype:
                raise DTypeError(
                    f"layer {self.name!r} computes in {self.dtype}, its input is {value.dtype}",
                    remedy=f"cast the input with ops.cast, or make the layer with dtype={str(value.dtype)!r}",
                )

    def _build_once(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        if self.built:
            return
        scope = current_scope.get()
        self._path = scope.path if scope is not None else self.name
        token = current_scope.set(None)  # a model that `build` makes has its own graph, and is not part of this call
        try:
            with alone():
                self._build_from(self._shapes_of(args, kwargs))
        finally:
            current_scope.reset(token)
        self.built = True
        first = next((leaf for leaf in flatten([args, kwargs]) if isinstance(leaf, Value)), None)
        self._built_for = (first.type if first is not None else None, caller())

    def _shapes_of(self, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
        """The arguments of `build` for a call, by Keras's names for them, such as "inputs_shape"."""
        call = signature(type(self).call)
        alone = takes_alone(type(self).call)
        if alone is not None and len(args) == 1 and not kwargs and args[0] is not None:
            return {f"{alone}_shape": map_structure(_shape_of, args[0])}
        given = {name: value for name, value in kwargs.items() if name != "training"}
        return {
            f"{name}_shape": map_structure(_shape_of, value)
            for name, value in call.bind(self, *args, **given).arguments.items()
            if name not in ("self", "training", "mask") and value is not None
        }

    def _build_from(self, shapes: dict[str, object]) -> None:
        self._build_shapes = shapes
        wanted = [name for name in signature(type(self).build).parameters if name != "self"]
        if len(wanted) == 1:
            self.build(next(iter(shapes.values())))
        else:
            self.build(**{name: shapes[name] for name in wanted if name in shapes})

    def _build_inner(self, layer: Layer, input_shape: BuildShape) -> None:
        """Make the weights of a layer inside this one, in `build`, as Keras's `self.inner.build(shape)`."""
        if not layer.built:
            layer._path = f"{self._path}/{layer.name}"
            first = next(name for name in signature(type(layer).build).parameters if name != "self")
            layer._build_from({first: input_shape})
            layer.built = True

    def _called(self) -> Callable[..., object]:
        """The function whose parameters the arguments of a call are bound to."""
        return type(self).call

    def _context(self, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
        context = {**kwargs, **given_masks(self, args, kwargs)}
        if "training" not in signature(self._called()).parameters:
            context.pop("training", None)
        return context

    def _own(self, output: object, inputs: list[Value]) -> Value:
        value = as_value(output)
        return identity(value) if value.node is None or any(value is known for known in inputs) else value

    def _attach_masks(self, args: tuple[object, ...], kwargs: dict[str, object], outputs: Structure) -> None:
        attach_masks(self, args, kwargs, outputs)

    def _explain(self, error: DagirError, call: LayerCall) -> DagirError:
        labels = {label for label, _ in error.facts}
        if "layer" not in labels:
            error.fact("layer", call.path)
        if call.location is not None:
            known = dict(error.facts).get("called at")
            if known is None:
                error.fact("called at", str(call.location))
            elif known != str(call.location) and "layer called at" not in labels:
                error.fact("layer called at", str(call.location))  # the first location is inside the layer's `call`
        if not labels & {"x", "xs[0]", "x1", "input 0"}:
            for index, value in enumerate(flatten([call.args, call.kwargs])):
                if isinstance(value, Value):
                    error.fact(f"input {index}", str(value.type))
        if error.marks and self._built_for and "built for" not in labels and self.weights:
            type, location = self._built_for
            error.fact("built for", f"{type or ''}" + (f" at {location}" if location else ""))
        return error

    # ---- looking, and configuration

    @property
    def input(self) -> Any:
        """What the layer was first called on."""
        return self._first_call().args[0]

    @property
    def output(self) -> Any:
        """What the layer's first call returned."""
        return self._first_call().outputs

    def _first_call(self) -> LayerCall:
        if not self._calls:
            raise ArgumentError(f"layer {self.name!r} was never called", remedy="call it on a value first")
        return self._calls[0]

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer again.

        A subclass that overrides it and calls this one gets name, trainable and dtype, as in Keras.
        """
        config = {"name": self.name, "trainable": self.trainable, "dtype": str(self.dtype)}
        given = {k: v for k, v in self._arguments().items() if k not in config}
        return {**config, **given, **{name: vars(self)[name] for name in self.set_by_readers if name in vars(self)}}

    def _arguments(self) -> dict[str, object]:
        arguments: dict[str, object] = getattr(self, "_init_arguments", {})
        own = type(self).__module__.startswith("dagir.")
        return arguments if own or type(self).get_config is Layer.get_config else {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a layer from what get_config gave."""
        beyond = [name for name in cls.set_by_readers if name in config]
        layer = cls(**{key: value for key, value in config.items() if key not in beyond})
        for name in beyond:
            setattr(layer, name, cls.set_by_readers[name](config[name]))
        return layer

    def __reduce__(self) -> tuple[object, ...]:
        """For copy and pickle: the class, the configuration, and the weights. A copy does not have the calls."""
        return services.reduced_layer(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


_NO_LAYERS = {bool, int, float, str, DType, type(None)}


def _layers_in(value: object) -> list[Layer]:
    if isinstance(value, Layer):
        return [value]
    if isinstance(value, (list, tuple, dict)):
        return [leaf for leaf in flatten(value) if isinstance(leaf, Layer)]
    return []


def _shape_of(value: object) -> object:
    return value.shape if isinstance(value, (Value, Parameter)) else getattr(value, "shape", None)
