# SPDX-License-Identifier: Apache-2.0
"""A generated drive in the folders and files of KITTI's raw and odometry data and of Make3D."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import torch
from monodepth2_training.world.drive import Drive, DriveFrame, DriveSettings

DAY = '2011_09_26'
DRIVE = f'{DAY}/{DAY}_drive_0001_sync'
WIDTH, HEIGHT = 160, 48

_LIDAR_TO_CAMERA = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
_OFFSET_M = np.array([-0.004, -0.076, -0.272])
_BASELINE_PX_M = 4.5


@cache
def frames(count: int = 3) -> tuple[Drive, tuple[DriveFrame, ...]]:
    """A drive and its first frames."""
    settings = DriveSettings(frames=count, width=WIDTH, height=HEIGHT, seed=3)
    drive = Drive(settings, torch.device('cpu'))
    return drive, tuple(drive)


def write_raw(root: Path, count: int = 3) -> Path:
    """Write raw data of one drive: calibration, pictures, scans and improved truth."""
    drive, shots = frames(count)
    P = _projection(drive)
    _write_calibration(root / DAY, P)
    for shot in shots:
        name = f'{shot.number:010d}'
        base = root / DRIVE
        _write_png(base / 'image_02' / 'data' / f'{name}.png', shot.rgb[..., ::-1])
        scan = base / 'velodyne_points' / 'data' / f'{name}.bin'
        scan.parent.mkdir(parents=True, exist_ok=True)
        points = lidar_points(shot.depth_m, P)
        np.column_stack((points, np.ones(len(points)))).astype('<f4').tofile(scan)
        known = np.where(shot.depth_m < 80.0, shot.depth_m, 0.0)
        improved = np.round(known * 256).astype(np.uint16)
        _write_png(base / 'proj_depth' / 'groundtruth' / 'image_02' / f'{name}.png', improved)
    return root


def write_pair(root: Path, drive: str, *, count: int = 5, focal: float = 0.6) -> Path:
    """Write the pictures of both colour cameras of a drive, and its day's calibration.

    Args:
        root: KITTI's root.
        drive: ``day/drive_sync``; the second of its stamps is its number.
        count: how many frames.
        focal: focal length as a share of the width.
    """
    day, fx = root / drive.partition('/')[0], focal * WIDTH
    noise = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    pattern = cv2.GaussianBlur(noise, (0, 0), 2.0)
    P = {
        n: np.array([fx, 0, 79.5, x, 0, fx, 23.5, 0, 0, 0, 1, 0])
        for n, x in ((2, 4.5), (3, -46.0))
    }
    numbers = {'corner_dist': [0.0995]}
    second = int(drive.split('_')[-2])
    for camera in P:
        numbers |= {f'S_rect_{camera:02d}': [WIDTH, HEIGHT], f'P_rect_{camera:02d}': P[camera]}
        folder = root / drive / f'image_{camera:02d}'
        for number in range(count):
            picture = np.roll(pattern, -4 * number - 2 * (camera - 2), axis=1)
            _write_png(folder / 'data' / f'{number:010d}.png', picture)
        stamps = [f'2011-09-26 13:02:{second:02d}.{n}64389445' for n in range(count)]
        (folder / 'timestamps.txt').write_text('\n'.join(stamps) + '\n')
    (day / 'calib_cam_to_cam.txt').write_text(_entries(numbers))
    return root


def write_split(path: Path, numbers: range | list[int], *, eigen: bool = False) -> Path:
    """Write a list of frames, as md2 or as Eigen writes them."""
    lines = [
        f'{DRIVE}/image_02/data/{n:010d}.png {DRIVE}/image_03/data/{n:010d}.png'
        if eigen
        else f'{DRIVE} {n:010d} l'
        for n in numbers
    ]
    path.write_text('\n'.join(lines) + '\n')
    return path


def lidar_points(depth_m: np.ndarray, P: np.ndarray) -> np.ndarray:
    """Points of the lidar [N, 3] that lie on the pixels of a depth image, KITTI's way to count."""
    rows, columns = np.nonzero(np.isfinite(depth_m) & (depth_m < 120.0))
    z = depth_m[rows, columns].astype(np.float64)
    x = ((columns + 1.0) * z - P[0, 2] * z - P[0, 3]) / P[0, 0]
    y = ((rows + 1.0) * z - P[1, 2] * z) / P[1, 1]
    return (np.column_stack((x, y, z)) - _OFFSET_M) @ _LIDAR_TO_CAMERA


def write_odometry(root: Path, sequence: str = '09', count: int = 12) -> Path:
    """Write odometry data of one sequence: pictures, calibration, times and poses."""
    drive, shots = frames(count)
    folder = root / 'sequences' / sequence
    start = np.linalg.inv(shots[0].T_camera_to_odom)
    poses = np.stack([start @ shot.T_camera_to_odom for shot in shots])
    for shot in shots:
        _write_png(folder / 'image_2' / f'{shot.number:06d}.png', shot.rgb[..., ::-1])
    row = ' '.join(f'{value:.12e}' for value in _projection(drive).ravel())
    (folder / 'calib.txt').write_text(''.join(f'P{n}: {row}\n' for n in range(4)))
    times = [(shot.stamp_ns - shots[0].stamp_ns) / 1e9 for shot in shots]
    np.savetxt(folder / 'times.txt', times, fmt='%.6e')
    (root / 'poses').mkdir(exist_ok=True)
    np.savetxt(root / 'poses' / f'{sequence}.txt', poses[:, :3].reshape(-1, 12), fmt='%.9e')
    return root


def write_make3d(root: Path, names: tuple[str, ...] = ('10.21op2-p-046t000',)) -> Path:
    """Write upright pictures and laser depth as Make3D's test set has them."""
    from scipy.io import savemat

    _, shots = frames(3)
    for name, shot in zip(names, shots, strict=False):
        picture = root / 'Test134' / f'img-{name}.jpg'
        picture.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(picture), cv2.resize(shot.rgb[..., ::-1], (1704, 2272)))
        grid = np.zeros((55, 305, 4))
        near = np.nan_to_num(shot.depth_m, posinf=81.0)
        grid[..., 3] = cv2.resize(near, (305, 55), interpolation=cv2.INTER_NEAREST)
        laser = root / 'Gridlaserdata' / f'depth_sph_corr-{name}.mat'
        laser.parent.mkdir(parents=True, exist_ok=True)
        savemat(laser, {'Position3DGrid': grid})
    return root


def _projection(drive: Drive) -> np.ndarray:
    """P of the left colour camera, which stands beside the first grey one."""
    camera = drive.camera
    return np.array(
        [
            [camera.fx_px, 0.0, camera.cx_px, _BASELINE_PX_M],
            [0.0, camera.fy_px, camera.cy_px, 0.0],
            [0.0, 0.0, 1.0, 0.0],
        ]
    )


def _write_calibration(day: Path, P: np.ndarray) -> None:
    day.mkdir(parents=True, exist_ok=True)
    numbers = {
        'corner_dist': [0.0995],
        'S_02': [1392.0, 512.0],
        'R_rect_00': np.eye(3),
        'S_rect_02': [WIDTH, HEIGHT],
        'P_rect_02': P,
        'P_rect_03': P,
    }
    (day / 'calib_cam_to_cam.txt').write_text(_entries(numbers))
    mounting = {'R': _LIDAR_TO_CAMERA, 'T': _OFFSET_M, 'delta_f': [0.0, 0.0]}
    (day / 'calib_velo_to_cam.txt').write_text(_entries(mounting))


def _entries(numbers: dict) -> str:
    """KITTI's calibration format, with its line of words."""
    lines = ['calib_time: 09-Jan-2012 13:57:47']
    for name, values in numbers.items():
        lines.append(f'{name}: ' + ' '.join(f'{v:.12e}' for v in np.ravel(values)))
    return '\n'.join(lines) + '\n'


def _write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(pixels))
