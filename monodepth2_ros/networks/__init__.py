# SPDX-License-Identifier: Apache-2.0
"""The depth network: an encoder and the decoder of Godard et al., ICCV 2019."""
