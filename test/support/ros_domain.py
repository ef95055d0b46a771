# SPDX-License-Identifier: Apache-2.0
"""A ROS domain for every test process alone, so that parallel runs cannot hear each other."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

_DOMAINS = range(60, 100)
_PROFILE = Path(__file__).parents[2] / 'config' / 'fastdds_large_messages.xml'


def claim_domain() -> IO[str]:
    """Set the environment for a free domain on this machine; keep the returned lock open."""
    # Fast DDS 2 (Humble, Jazzy) reads the second name, Fast DDS 3 the first.
    os.environ['FASTDDS_DEFAULT_PROFILES_FILE'] = str(_PROFILE)
    os.environ['FASTRTPS_DEFAULT_PROFILES_FILE'] = str(_PROFILE)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    if os.environ.get('ROS_DISTRO') == 'humble':
        os.environ['ROS_LOCALHOST_ONLY'] = '1'
    for domain in _DOMAINS:
        lock = (Path(tempfile.gettempdir()) / f'monodepth2_ros_domain_{domain}').open('a')
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        os.environ['ROS_DOMAIN_ID'] = str(domain)
        return lock
    raise RuntimeError(f'all ROS domains from {_DOMAINS} are in use by other test runs')
