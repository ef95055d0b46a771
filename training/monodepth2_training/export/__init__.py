# SPDX-License-Identifier: Apache-2.0
"""The network in the formats of other programs and engines, checked before it is kept."""
