# SPDX-License-Identifier: Apache-2.0
"""What came of a training run, as one HTML file: ``write_report`` reads the run's folder.

The only package that imports matplotlib.
"""

from monodepth2_training.report.writing import write_report

__all__ = ['write_report']
