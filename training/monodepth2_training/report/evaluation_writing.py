# SPDX-License-Identifier: Apache-2.0
"""Writes the three reports of an evaluation: HTML, Markdown and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from monodepth2_ros.atomic_file import write_atomically
from monodepth2_ros.errors import EvaluationError
from monodepth2_training.evaluation.documents import document, markdown
from monodepth2_training.report.evaluation_page import evaluation_page

if TYPE_CHECKING:
    from monodepth2_training.evaluation.evaluation import Evaluation

PAGE, TEXT, FIGURES = 'evaluation.html', 'evaluation.md', 'evaluation.json'
"""Names of the reports in their folder."""


def write_evaluation(evaluation: Evaluation, folder: Path) -> Path:
    """Write all reports into a folder, which is made; existing ones are replaced.

    Returns:
        the page: one HTML file that needs no other file and no network.

    Raises:
        EvaluationError: the folder cannot be written.
    """
    figures = json.dumps(document(evaluation), indent=2, allow_nan=False) + '\n'
    contents = {
        PAGE: evaluation_page(evaluation),
        TEXT: markdown(evaluation),
        FIGURES: figures,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            write_atomically(folder / name, text.encode())
    except OSError as err:
        raise EvaluationError(f'{folder} cannot be written: {err.strerror}') from err
    return folder / PAGE
