# SPDX-License-Identifier: Apache-2.0
"""How good depth is: errors against true depth, and the guesses that it has to beat."""
