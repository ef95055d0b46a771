# SPDX-License-Identifier: Apache-2.0
"""Every parameter is described, and a bad value is refused by name, without any ROS."""

from __future__ import annotations

import pytest

from monodepth2_ros.errors import ConfigError
from monodepth2_ros.inference.pipeline import Settings
from monodepth2_ros.nodes.parameters import TABLE, NodeParameters


def test_the_defaults_are_legal():
    assert NodeParameters().max_depth_m == 100.0


@pytest.mark.parametrize('name', TABLE.names())
def test_every_parameter_is_described_and_numbers_have_a_range(name):
    about = TABLE.spec(name)
    assert about.description.endswith('.')
    if type(TABLE.default(name)) in (int, float):
        assert about.low is not None
        assert about.high is not None


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'min_depth_m': -1.0}, 'min_depth_m is -1.0: expected 0 to 10000'),
        ({'max_depth_m': float('nan')}, 'max_depth_m is nan: expected 0.001 to 10000'),
        ({'max_depth_m': 10}, r'max_depth_m is 10 \(int\): expected a real number'),
        ({'flip': 1}, r'flip is 1 \(int\): expected true or false'),
        ({'cloud_stride': True}, r'cloud_stride is True \(bool\): expected a whole number'),
        ({'colormap': 'turbos'}, "colormap is 'turbos': did you mean 'turbo'?"),
        ({'min_depth_m': 5.0, 'max_depth_m': 5.0}, 'min_depth_m 5.0 is not below max_depth_m 5.0'),
        (
            {'color_min_depth_m': 9.0, 'color_max_depth_m': 3.0},
            'color_min_depth_m 9.0 is not below color_max_depth_m 3.0',
        ),
    ],
)
def test_a_bad_value_is_refused_by_name(values, message):
    with pytest.raises(ConfigError, match=message):
        NodeParameters(**values)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown parameter 'modle': did you mean 'model'\?"):
        TABLE.spec('modle')


def test_an_empty_model_says_how_to_come_by_one():
    with pytest.raises(ConfigError, match='parameter model is empty: give the path'):
        NodeParameters().require_model()


def test_a_whole_number_stands_for_a_real_one_but_not_the_reverse():
    assert TABLE.coerced('max_depth_m', 80) == 80.0
    assert type(TABLE.coerced('max_depth_m', 80)) is float
    assert TABLE.coerced('cloud_stride', 2.0) == 2.0
    assert TABLE.coerced('flip', True) is True


def test_the_defaults_are_those_of_the_pipeline():
    ours, core = NodeParameters(), Settings()
    for name in vars(core):
        assert getattr(ours, name) == getattr(core, name), name
