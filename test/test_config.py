# SPDX-License-Identifier: Apache-2.0
"""The files in config/ and docs/parameters.md say what the code does."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from monodepth2_ros.nodes.parameters import TABLE

ROOT = Path(__file__).parent.parent
PARAMETER_FILE = ROOT / 'config' / 'depth_node.yaml'
RVIZ_FILE = ROOT / 'config' / 'depth.rviz'
PROFILE_FILE = ROOT / 'config' / 'fastdds_large_messages.xml'
REFERENCE = ROOT / 'docs' / 'parameters.md'

KINDS = {bool: 'bool', int: 'int', float: 'double', str: 'string'}
UNITS = {'_m': 'm', '_s': 's', '_hz': 'Hz'}

# Classes and properties that RViz has in Humble as well as in Jazzy.
RVIZ_DISPLAYS = {
    'rviz_default_plugins/DepthCloud': {'Depth Map Topic', 'Color Image Topic', 'Queue Size'},
    'rviz_default_plugins/Grid': {'Plane', 'Cell Size', 'Offset', 'Reference Frame'},
    'rviz_default_plugins/Image': {'Topic', 'Normalize Range', 'Median window'},
    'rviz_default_plugins/PointCloud2': {'Topic', 'Color Transformer', 'Position Transformer'},
    'rviz_default_plugins/TF': {'Show Names', 'Frame Timeout', 'Marker Scale'},
}


def yaml_defaults() -> dict[str, object]:
    return yaml.safe_load(PARAMETER_FILE.read_text())['/**']['ros__parameters']


def yaml_comments() -> dict[str, str]:
    """The comment above each parameter, in one line."""
    found, comment = {}, []
    for line in PARAMETER_FILE.read_text().splitlines():
        text = line.strip()
        if text.startswith('#'):
            comment.append(text.lstrip('# '))
            continue
        if text:
            found[text.split(':')[0]] = ' '.join(comment)
        comment = []
    return found


def reference_rows() -> dict[str, list[str]]:
    """Cells of the parameter tables, by parameter."""
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in REFERENCE.read_text().splitlines()
        if line.count('|') == 8
    ]
    named = (row for row in rows if row[0].startswith('`'))
    return {row[0].strip('`'): row[1:] for row in named}


def written_default(name: str) -> str:
    value = TABLE.default(name)
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)


def legal_values(name: str) -> list[str]:
    spec = TABLE.spec(name)
    numbers = [] if spec.low is None else [spec.low, spec.high]
    return [*spec.choices, *(f'{number:.10g}' for number in numbers)]


def test_the_parameter_file_has_every_parameter_with_its_default():
    expected = {name: TABLE.default(name) for name in TABLE.names()}
    assert yaml_defaults() == expected
    kinds = {name: type(value) for name, value in yaml_defaults().items()}
    assert kinds == {name: type(value) for name, value in expected.items()}


@pytest.mark.parametrize('name', TABLE.names())
def test_the_parameter_file_explains(name):
    comment = yaml_comments()[name]
    assert TABLE.spec(name).description in comment
    assert comment.endswith('Live.') == TABLE.spec(name).live
    for value in legal_values(name):
        assert value in comment


@pytest.mark.parametrize('name', TABLE.names())
def test_the_reference_page_tells_type_default_unit_range_and_liveness(name):
    kind, default, unit, legal, live, meaning = reference_rows()[name]
    assert kind == KINDS[type(TABLE.default(name))]
    assert default.strip('`') == written_default(name)
    assert live == ('yes' if TABLE.spec(name).live else 'no')
    assert meaning == TABLE.spec(name).description
    for value in legal_values(name):
        assert value in legal
    for suffix, expected in UNITS.items():
        assert not name.endswith(suffix) or unit == expected


def test_the_reference_page_names_no_parameter_that_is_not_there():
    assert set(reference_rows()) == set(TABLE.names())


def test_the_shared_memory_profile_holds_a_full_hd_cloud_a_udp_way_out_and_no_default_transport():
    space = {'dds': 'http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles'}
    root = ElementTree.parse(PROFILE_FILE).getroot()
    sizes = {
        name: int(root.findtext(f'.//dds:{name}', namespaces=space))
        for name in ('segment_size', 'maxMessageSize')
    }
    assert sizes['segment_size'] > 1920 * 1080 * 32
    assert sizes['maxMessageSize'] > 1280 * 720 * 32
    kinds = {node.text for node in root.iterfind('.//dds:type', space)}
    assert kinds == {'SHM', 'UDPv4'}
    assert root.findtext('.//dds:useBuiltinTransports', namespaces=space) == 'false'


def rviz_displays() -> list[dict]:
    return yaml.safe_load(RVIZ_FILE.read_text())['Visualization Manager']['Displays']


def test_rviz_shows_only_what_humble_and_jazzy_both_know():
    shown = {display['Class'] for display in rviz_displays()}
    assert shown == set(RVIZ_DISPLAYS)
    for display in rviz_displays():
        assert set(display) >= RVIZ_DISPLAYS[display['Class']]


def test_rviz_listens_to_the_topics_of_the_node_with_a_quality_of_service_that_fits():
    topics = {
        display['Topic']['Value']: display['Topic']['Reliability Policy']
        for display in rviz_displays()
        if 'Topic' in display
    }
    assert topics == {
        '/camera/image_raw': 'Best Effort',
        '/camera/image_raw/compressed': 'Best Effort',
        '/depth/image_color': 'Reliable',
        '/depth/points': 'Reliable',
    }
    (cloud,) = (each for each in rviz_displays() if each['Class'].endswith('PointCloud2'))
    assert cloud['Color Transformer'] == 'RGB8'
    (depth_cloud,) = (each for each in rviz_displays() if each['Class'].endswith('DepthCloud'))
    assert depth_cloud['Depth Map Topic'] == '/depth/image'
    assert depth_cloud['Color Image Topic'] == '/depth/image_color'


def test_rviz_looks_from_behind_and_above_with_the_sky_up():
    view = yaml.safe_load(RVIZ_FILE.read_text())['Visualization Manager']['Views']['Current']
    assert view['Class'] == 'rviz_default_plugins/Orbit'
    # Orbit turns about z, here the viewing direction; yaw 3/2 pi puts -y, the sky, on top.
    assert view['Yaw'] == pytest.approx(4.712389)
    assert -1.5 < view['Pitch'] < -1.0


def test_the_documentation_links_to_files_that_are_there():
    for page in (ROOT / 'docs').glob('*.md'):
        for target in re.findall(r'\]\(([^)#:]+?)(?:#[^)]*)?\)', page.read_text()):
            assert (page.parent / target).exists(), f'{page.name}: {target}'


def test_the_training_page_names_every_configuration():
    """A name with dots stands for all that begin, or end, like it."""
    page = (ROOT / 'docs' / 'training.md').read_text()
    table = page[page.index('## Experiments') :].split('\n\n')[2]
    rows = [line.split('|')[1] for line in table.splitlines()]
    named = [name.replace('...', '*') for row in rows for name in re.findall(r'`([^`]+)`', row)]
    configurations = {path.stem for path in (ROOT / 'config' / 'training').glob('*.yaml')}
    covered = {each for name in named for each in configurations if fnmatch(each, name)}
    assert covered == configurations
    assert all(any(fnmatch(each, name) for each in configurations) for name in named)
