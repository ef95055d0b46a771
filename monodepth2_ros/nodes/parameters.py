# SPDX-License-Identifier: Apache-2.0
"""Every parameter of the depth node: type, default, range, meaning, and when it may change.

The node declares its parameters from this class and checks them together by building it.
"""

from __future__ import annotations

from dataclasses import dataclass

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.inference.camera_match import MISMATCH_CHOICES
from monodepth2_ros.inference.colorize import COLORMAPS
from monodepth2_ros.inference.device_frames import JPEG_DECODERS
from monodepth2_ros.inference.engines import ENGINE_PRECISIONS, ENGINES
from monodepth2_ros.inference.engines.choice import MOST_THREADS
from monodepth2_ros.inference.point_cloud import LAYOUTS
from monodepth2_ros.inference.scale_keeper import SCALE_SOURCES, ScaleSettings
from monodepth2_ros.inference.settings import DEPTH_SIZES
from monodepth2_ros.nodes.parameter_table import ParameterTable, parameter

QOS_NAMES = ('sensor_data', 'best_effort', 'reliable', 'system_default')
"""Quality-of-service profiles that can be named; single policies by qos_overrides.* parameters."""


@dataclass(frozen=True, kw_only=True)
class NodeParameters:
    """The parameters of ``depth_node``; each field's spec says what it means."""

    model: str = parameter('', 'Path of the .safetensors model file.')
    device: str = parameter(
        'auto',
        'Where the network runs: auto, cpu, cuda or cuda:N. Only auto falls back to the CPU.',
    )
    engine: str = parameter(
        'auto', 'Library that runs the network; auto takes the fastest here.', choices=ENGINES
    )
    precision: str = parameter(
        'auto', 'Arithmetic of the network; int8 as exported.', choices=ENGINE_PRECISIONS
    )
    threads: int = parameter(
        0, 'CPU threads of the network; 0 lets the library choose.', low=0, high=MOST_THREADS
    )
    flip: bool = parameter(
        False,
        'Also run the mirrored image and blend the two depths: better edges, half the speed.',
    )
    autostart: bool = parameter(
        True, 'Configure and activate at start; false leaves that to a lifecycle manager.'
    )
    image_transport: str = parameter(
        'raw',
        'raw subscribes to image, compressed to image/compressed.',
        choices=('raw', 'compressed'),
    )
    image_qos: str = parameter(
        'sensor_data', 'Quality of service of the image and camera_info.', choices=QOS_NAMES
    )
    output_qos: str = parameter(
        'reliable', 'Quality of service of all outputs, keeping the last one.', choices=QOS_NAMES
    )
    calibration_url: str = parameter(
        '',
        'Camera calibration YAML (path, file:// or package://) used until a camera_info arrives.',
    )
    reduced_decode: bool = parameter(
        False,
        'Decode a JPEG at a half, quarter or eighth where no output needs its full size.',
        live=True,
    )
    jpeg_decoder: str = parameter(
        'cpu',
        'Where JPEGs are decoded; gpu is nvJPEG, which misses damage inside a picture.',
        choices=JPEG_DECODERS,
    )
    rectify: str = parameter(
        'auto',
        'Undo lens distortion: auto (if there is any), always, never (the topic is rectified).',
        choices=('auto', 'always', 'never'),
        live=True,
    )
    depth_encoding: str = parameter(
        '32FC1',
        'Depth image: 32FC1 in metres with -Inf, +Inf and NaN, or 16UC1 in millimetres with 0 for '
        'these and beyond 65.535 m.',
        choices=('32FC1', '16UC1'),
        live=True,
    )
    depth_size: str = parameter(
        'image',
        'Size of depth, its camera_info, cloud and picture: that of the image or of the network.',
        choices=DEPTH_SIZES,
        live=True,
    )
    min_depth_m: float = parameter(
        0.1, 'Closer than this is published as -Inf, in metres.', low=0.0, high=1e4, live=True
    )
    max_depth_m: float = parameter(
        100.0, 'From here on depth is published as +Inf, in metres.', low=1e-3, high=1e4, live=True
    )
    scale: float = parameter(
        0.0,
        'Metres per unit of network depth; 0 takes the scale in the model file.',
        low=0.0,
        high=1e6,
        live=True,
    )
    scale_source: str = parameter(
        'model',
        'Where metres come from; the last two measure, and use scale or the file until they have.',
        choices=SCALE_SOURCES,
        live=True,
    )
    camera_height_m: float = parameter(
        0.0,
        'Height of the camera above the ground, for ground_plane; 0 asks tf, in metres.',
        low=0.0,
        high=100.0,
        live=True,
    )
    camera_mismatch: str = parameter(
        'rescale',
        'For a camera of another focal length: multiply depth by the ratio, drop frames, nothing.',
        choices=MISMATCH_CHOICES,
        live=True,
    )
    colormap: str = parameter(
        'magma', 'Colours of depth/image_color.', choices=COLORMAPS, live=True
    )
    color_min_depth_m: float = parameter(
        0.0,
        'Depth of the nearest colour in metres; 0 follows the image.',
        low=0.0,
        high=1e4,
        live=True,
    )
    color_max_depth_m: float = parameter(
        0.0,
        'Depth of the farthest colour in metres; 0 follows the image.',
        low=0.0,
        high=1e4,
        live=True,
    )
    cloud_stride: int = parameter(
        1, 'Every n-th pixel and row of depth becomes a point.', low=1, high=64, live=True
    )
    cloud_fields: str = parameter(
        'xyzrgb',
        'Fields of a point: 32 bytes as depth_image_proc lays them out, 16 without gaps, or 12.',
        choices=tuple(LAYOUTS),
        live=True,
    )
    max_rate_hz: float = parameter(
        0.0, 'Highest rate of computed frames; 0 sets no limit.', low=0.0, high=1000.0, live=True
    )
    camera_timeout_s: float = parameter(
        2.0,
        'Silence of the camera, or images without depth, after which diagnostics say ERROR.',
        low=0.1,
        high=3600.0,
        live=True,
    )
    max_pixels: int = parameter(100_000_000, 'Larger images are refused.', low=1, high=2**31 - 1)
    middleware_check: bool = parameter(
        True,
        'After the first depth, test once whether messages of the image size get through.',
        live=True,
    )
    diagnostics_period_s: float = parameter(
        1.0, 'Time between two messages on /diagnostics.', low=0.05, high=60.0
    )

    def __post_init__(self) -> None:
        """Refuse values outside their ranges and combinations without meaning."""
        TABLE.check_all(self)
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

        self.scale_settings()

    def scale_settings(self) -> ScaleSettings:
        """The part of the parameters that decides where metres come from.

        Raises:
            ConfigError: the scale shall be fixed and is not given.
        """
        return ScaleSettings(
            source=self.scale_source,
            fixed=self.scale,
            camera_height_m=self.camera_height_m,
            camera_mismatch=self.camera_mismatch,
        )

    def require_model(self) -> None:
        """Refuse an empty model path.

        Raises:
            ConfigError: saying how to come by a model.
        """
        if not self.model:
            raise ConfigError(
                'parameter model is empty: give the path of a model file (.safetensors), '
                'for example one made by `monodepth2 import`'
            )


TABLE = ParameterTable(NodeParameters)
"""All parameters by name."""
