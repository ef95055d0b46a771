# SPDX-License-Identifier: Apache-2.0
"""What training minimises: named terms, and the objective that adds them up."""
