# SPDX-License-Identifier: Apache-2.0
"""What is trained: the depth network together with the networks that only training needs."""
