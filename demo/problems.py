# SPDX-License-Identifier: Apache-2.0
"""The one error of the demo."""

from monodepth2_ros.errors import Monodepth2Error


class DemoError(Monodepth2Error):
    """The demo cannot go on; the message says why and what to look at."""
