# SPDX-License-Identifier: Apache-2.0
"""The parameters with which recordings are played."""

from __future__ import annotations

from dataclasses import dataclass

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.nodes.parameter_table import parameter


@dataclass(frozen=True, kw_only=True)
class PlayerParameters:
    """The parameters of ``player_node``; all are read once at start."""

    recording: str = parameter('', 'rosbag2 folder or file, ROS 1 bag, video or image folder')
    camera: str = parameter(
        '',
        'empty: all topics as recorded; auto, a camera topic or namespace: that camera as '
        'image or image/compressed, and camera_info',
    )
    topics: tuple[str, ...] = parameter((), 'recorded topics to play as well, or only these')
    calibration_url: str = parameter('', 'calibration YAML that replaces a recorded one')
    fps: float = parameter(
        0.0, 'true rate of a video or image folder; 0: its own', low=0, high=1e3
    )
    rate: float = parameter(1.0, 'recorded seconds a second', low=0.01, high=1e3)
    loop: bool = parameter(False, 'start over at the end')
    start_s: float = parameter(0.0, 'where to start in the recording', low=0, high=1e9)
    duration_s: float = parameter(0.0, 'how much to play; 0: to the end', low=0, high=1e9)
    stamps: str = parameter(
        'recorded',
        'header stamps: recorded, or now with the same intervals',
        choices=('recorded', 'now'),
    )
    clock: bool = parameter(False, 'publish /clock')
    wait_for_subscribers: int = parameter(
        0, 'start when every image topic has this many', low=0, high=1000
    )
    settle_s: float = parameter(0.3, 'time between these and the start', low=0, high=60)
    progress_period_s: float = parameter(1.0, 'time between lines; 0: none', low=0, high=1e6)

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not self.recording:
            raise ConfigError('parameter recording is empty: give the path of a bag or video')
