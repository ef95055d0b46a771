# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the depth node: type, default, range, meaning, and when it may change.

The node declares its parameters from this class and checks them together by building it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.inference.colorize import COLORMAPS
from monodepth2_ros.typed_document import nearest

QOS_NAMES = ('sensor_data', 'best_effort', 'reliable', 'system_default')
"""Quality-of-service profiles that can be named; single policies by qos_overrides.* parameters."""


@dataclass(frozen=True, kw_only=True)
class ParameterSpec:
    """What is said about one parameter beside its default."""

    description: str
    """Meaning and unit."""
    low: float | None = None
    """Smallest legal number."""
    high: float | None = None
    """Largest legal number."""
    choices: tuple[str, ...] = ()
    """Legal texts; empty means any."""
    live: bool = False
    """Whether it may change while the node is configured."""


def _parameter(default: Any, description: str, **spec: Any) -> Any:
    """A field with the spec of a parameter."""
    return field(
        default=default, metadata={'spec': ParameterSpec(description=description, **spec)}
    )


@dataclass(frozen=True, kw_only=True)
class NodeParameters:
    """The parameters of ``depth_node``; each field's spec says what it means."""

    model: str = _parameter('', 'Path of the .safetensors model file.')
    device: str = _parameter(
        'auto',
        'Where the network runs: auto, cpu, cuda or cuda:N. Only auto falls back to the CPU.',
    )
    precision: str = _parameter(
        'auto',
        'Arithmetic of the network.',
        choices=('auto', 'float32', 'bfloat16'),
    )
    threads: int = _parameter(
        0, 'CPU threads of the network; 0 lets the library choose.', low=0, high=256
    )
    flip: bool = _parameter(
        False,
        'Also run the mirrored image and blend the two depths: better edges, half the speed.',
    )
    autostart: bool = _parameter(
        True, 'Configure and activate at start; false leaves that to a lifecycle manager.'
    )
    image_transport: str = _parameter(
        'raw',
        'raw subscribes to image, compressed to image/compressed.',
        choices=('raw', 'compressed'),
    )
    image_qos: str = _parameter(
        'sensor_data', 'Quality of service of the image and camera_info.', choices=QOS_NAMES
    )
    output_qos: str = _parameter(
        'reliable', 'Quality of service of all outputs, keeping the last one.', choices=QOS_NAMES
    )
    calibration_url: str = _parameter(
        '',
        'Camera calibration YAML (path, file:// or package://) used until a camera_info arrives.',
    )
    rectify: str = _parameter(
        'auto',
        'Undo lens distortion: auto (if there is any), always, never (the topic is rectified).',
        choices=('auto', 'always', 'never'),
        live=True,
    )
    depth_encoding: str = _parameter(
        '32FC1',
        'Depth image: 32FC1 in metres with -Inf, +Inf and NaN, or 16UC1 in millimetres with 0.',
        choices=('32FC1', '16UC1'),
        live=True,
    )
    min_depth_m: float = _parameter(
        0.1, 'Closer than this is published as -Inf, in metres.', low=0.0, high=1e4, live=True
    )
    max_depth_m: float = _parameter(
        100.0, 'From here on depth is published as +Inf, in metres.', low=1e-3, high=1e4, live=True
    )
    scale: float = _parameter(
        0.0,
        'Metres per unit of network depth; 0 takes the scale in the model file.',
        low=0.0,
        high=1e6,
        live=True,
    )
    colormap: str = _parameter(
        'magma', 'Colours of depth/image_color.', choices=COLORMAPS, live=True
    )
    color_min_depth_m: float = _parameter(
        0.0,
        'Depth of the nearest colour in metres; 0 follows the image.',
        low=0.0,
        high=1e4,
        live=True,
    )
    color_max_depth_m: float = _parameter(
        0.0,
        'Depth of the farthest colour in metres; 0 follows the image.',
        low=0.0,
        high=1e4,
        live=True,
    )
    cloud_stride: int = _parameter(
        1, 'Every n-th pixel and row of depth becomes a point.', low=1, high=64, live=True
    )
    max_rate_hz: float = _parameter(
        0.0, 'Highest rate of computed frames; 0 sets no limit.', low=0.0, high=1000.0, live=True
    )
    camera_timeout_s: float = _parameter(
        2.0,
        'Silence of the camera after which diagnostics say ERROR.',
        low=0.1,
        high=3600.0,
        live=True,
    )
    max_pixels: int = _parameter(100_000_000, 'Larger images are refused.', low=1, high=2**31 - 1)
    diagnostics_period_s: float = _parameter(
        1.0, 'Time between two messages on /diagnostics.', low=0.05, high=60.0
    )

    def __post_init__(self) -> None:
        """Refuse values outside their ranges and combinations without meaning."""
        for each in fields(self):
            check_value(each.name, getattr(self, each.name))
        if self.min_depth_m >= self.max_depth_m:
            raise ConfigError(
                f'min_depth_m {self.min_depth_m} is not below max_depth_m {self.max_depth_m}: '
                'set both in one call if needed'
            )
        if 0.0 < self.color_max_depth_m <= self.color_min_depth_m:
            raise ConfigError(
                f'color_min_depth_m {self.color_min_depth_m} is not below color_max_depth_m '
                f'{self.color_max_depth_m}: set both in one call, or 0 to follow the image'
            )

    def require_model(self) -> None:
        """Refuse an empty model path.

        Raises:
            ConfigError: saying how to come by a model.
        """
        if not self.model:
            raise ConfigError(
                'parameter model is empty: give the path of a .safetensors made by '
                '`monodepth2 train` or `monodepth2 import`'
            )


_FIELDS: Mapping[str, Field[Any]] = {each.name: each for each in fields(NodeParameters)}


def names() -> tuple[str, ...]:
    """All parameters in the order of the documentation."""
    return tuple(_FIELDS)


def spec(name: str) -> ParameterSpec:
    """The spec of the parameter ``name``.

    Raises:
        ConfigError: there is no such parameter; names the nearest one.
    """
    if name not in _FIELDS:
        raise ConfigError(f'unknown parameter {name!r}: {nearest(name, _FIELDS)}')
    found: ParameterSpec = _FIELDS[name].metadata['spec']
    return found


def default(name: str) -> Any:
    """The default of the parameter ``name``."""
    return _FIELDS[name].default


def check_value(name: str, value: object) -> None:
    """Refuse a value of another type, outside the range, or not among the choices.

    Raises:
        ConfigError: naming the parameter, what came and what was expected.
    """
    about, kind = spec(name), type(default(name))
    if type(value) is not kind:
        raise ConfigError(
            f'{name} is {value!r} ({type(value).__name__}): expected {kind.__name__}'
        )
    if about.choices and value not in about.choices:
        raise ConfigError(
            f'{name} is {value!r}: {nearest(str(value), about.choices)}'
            f' (one of {", ".join(about.choices)})'
        )
    if isinstance(value, (int, float)) and about.low is not None and about.high is not None:
        _check_range(name, value, about.low, about.high)


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not math.isfinite(value) or not low <= value <= high:
        raise ConfigError(f'{name} is {value}: expected {low:g} to {high:g}')


def coerced(name: str, value: object) -> object:
    """A whole number given for a real one, as YAML files do, as a float; else ``value`` itself."""
    if type(default(name)) is float and type(value) is int:
        return float(value)
    return value
