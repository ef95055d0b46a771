# SPDX-License-Identifier: Apache-2.0
"""A generated street: a vehicle's camera pictures with exact depth and motion."""
