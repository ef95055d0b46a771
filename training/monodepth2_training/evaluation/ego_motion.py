# SPDX-License-Identifier: Apache-2.0
"""Where a scan's points would have been seen at the moment of a picture.

A lidar takes a tenth of a second for a scan and seldom begins it with a picture; meanwhile the
vehicle drives on. Its odometry tells how far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monodepth2_ros.geometry.poses import pose_matrices
from monodepth2_training.data.odometry import Odometry
from monodepth2_training.evaluation.scans import Scan
from monodepth2_training.evaluation.transforms import Transform

_SLOT_NS = 1_000_000
"""Points of one millisecond share one pose: 3 cm at 110 km/h."""


@dataclass(frozen=True, kw_only=True)
class EgoMotion:
    """The motion of a lidar by the vehicle's odometry."""

    odometry: Odometry
    """Poses of the vehicle."""
    T_lidar_to_vehicle: Transform
    """How the lidar is mounted on the frame whose poses these are."""

    def seen_at(self, scan: Scan, stamp_ns: int) -> NDArray[np.float64] | None:
        """The points of a scan in the lidar's frame as it lay at a stamp.

        Args:
            scan: points without times of their own count as measured at the scan's stamp.
            stamp_ns: of the picture.

        Returns:
            float64 [N, 3] in metres; None where the odometry does not reach.
        """
        times_ns = scan.times_ns
        if times_ns is None:
            times_ns = np.full(len(scan.points), scan.stamp_ns, np.int64)
        slots, slot_of = np.unique(times_ns // _SLOT_NS, return_inverse=True)
        stamps_ns = np.append(slots * _SLOT_NS + _SLOT_NS // 2, stamp_ns)
        rows = self.odometry.at(stamps_ns)
        if not np.isfinite(rows).all():
            return None
        T_lidar_to_world = pose_matrices(rows) @ self.T_lidar_to_vehicle
        T = np.linalg.inv(T_lidar_to_world[-1]) @ T_lidar_to_world[:-1]
        T_of_point = T[slot_of.reshape(-1)]
        turned = np.einsum('nij,nj->ni', T_of_point[:, :3, :3], scan.points)
        return np.asarray(turned + T_of_point[:, :3, 3], np.float64)
