# SPDX-License-Identifier: Apache-2.0
"""Examines a machine for ``monodepth2 doctor``: one module a field, one ``Check`` a line."""
