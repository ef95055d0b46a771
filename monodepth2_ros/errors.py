# SPDX-License-Identifier: Apache-2.0
"""The errors that a caller may want to tell apart; messages name what came and what to do."""


def first_line(err: BaseException) -> str:
    """The first line of what an error says, or its type where it says nothing."""
    return str(err).strip().partition('\n')[0] or type(err).__name__


class Monodepth2Error(Exception):
    """Base of all errors that this package raises on purpose."""


class ConfigError(Monodepth2Error):
    """A parameter, argument or configuration key is unknown or outside its range."""


class ImageError(Monodepth2Error):
    """An image cannot be decoded: its geometry, encoding or payload is wrong."""


class UnsupportedEncodingError(ImageError):
    """A raw image names an encoding that this package does not decode itself."""


class CalibrationError(Monodepth2Error):
    """A camera calibration is unusable: not finite, of another size, or of an unknown model."""


class ModelFileError(Monodepth2Error):
    """A model file or checkpoint is missing, damaged, foreign or too new."""


class DeviceError(Monodepth2Error):
    """The requested compute device cannot be used."""


class RecordingError(Monodepth2Error):
    """A bag, video or image folder cannot be read or written."""


class CameraChoiceError(RecordingError):
    """A camera has to be named: one line says so, and the lines after it list the cameras."""


class CheckpointError(Monodepth2Error):
    """A checkpoint of the trainer is missing, damaged or of another run, or cannot be written."""


class ExportError(Monodepth2Error):
    """A network in another format differs too much from its model, or cannot be made."""


class TrainingError(Monodepth2Error):
    """Training cannot begin or go on: its numbers, its data or its run folder forbid it."""


class EvaluationError(Monodepth2Error):
    """Nothing can be said about a model: truth, transforms or predictions are missing or unfit."""
