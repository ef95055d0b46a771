# SPDX-License-Identifier: Apache-2.0
"""The paper's tables as experiments: which trainings, judged how, and what the paper found."""
