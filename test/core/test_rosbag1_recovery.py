# SPDX-License-Identifier: Apache-2.0
"""ROS 1 bags without an index: all that is whole is read and equals what was written."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_typestore

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings import open_recording

MESSAGES = 60
STEP_NS = 10**8
COMPRESSIONS = [None, Writer.CompressionFormat.BZ2, Writer.CompressionFormat.LZ4]


def write(path: Path, compression: Writer.CompressionFormat | None = None) -> bytes:
    """Write a bag of several chunks with two topics, one of them latched; its bytes."""
    writer = Writer(path)
    writer.chunk_threshold = 12000
    if compression:
        writer.set_compression(compression)
    types = get_typestore(Stores.ROS1_NOETIC)
    with writer:
        chat = writer.add_connection('/chat', 'std_msgs/msg/String', typestore=types)
        name = writer.add_connection('/name', 'std_msgs/msg/String', typestore=types, latching=1)
        for index in range(MESSAGES):
            text = np.random.default_rng(index).integers(33, 127, 1500, np.uint8).tobytes()
            content = len(text).to_bytes(4, 'little') + text
            writer.write(name if index % 10 == 0 else chat, index * STEP_NS, content)
    return path.read_bytes()


def contents(path: Path) -> list[tuple[str, int, bytes]]:
    with open_recording(path) as recording:
        return [(m.topic, m.stamp_ns, m.data) for m in recording.messages()]


def without_index(whole: bytes) -> bytes:
    """What a recorder has written that is killed before it writes the index."""
    place = whole.index(b'index_pos=') + len(b'index_pos=')
    index = int.from_bytes(whole[place : place + 8], 'little')
    return whole[:place] + bytes(8) + whole[place + 8 : index]


@pytest.mark.parametrize('compression', COMPRESSIONS)
def test_all_of_a_bag_without_index_is_read(compression, tmp_path: Path) -> None:
    whole = write(tmp_path / 'whole.bag', compression)
    killed = tmp_path / 'drive.bag.active'
    killed.write_bytes(without_index(whole))
    assert contents(killed) == contents(tmp_path / 'whole.bag')
    with open_recording(killed) as recording, open_recording(tmp_path / 'whole.bag') as expected:
        assert recording.topics == expected.topics
        assert recording.message_count == MESSAGES
        assert (recording.start_ns, recording.end_ns) == (expected.start_ns, expected.end_ns)
        assert [m.stamp_ns for m in recording.messages(['/name'], start_ns=STEP_NS)] == [
            index * STEP_NS for index in range(10, MESSAGES, 10)
        ]
        (note,) = recording.notes
    assert note.startswith('drive.bag.active is cut off after 0.')
    assert note.endswith(f'{MESSAGES} messages of 5.9 s were recovered')


@pytest.mark.parametrize('compression', COMPRESSIONS)
@pytest.mark.parametrize('share', [0.3, 0.5, 0.8, 0.99])
def test_a_bag_that_is_cut_off_is_read_up_to_there(share, compression, tmp_path: Path) -> None:
    whole = write(tmp_path / 'whole.bag', compression)
    end = without_index(whole)
    (tmp_path / 'cut.bag').write_bytes(whole[: int(share * len(end))])
    expected, found = contents(tmp_path / 'whole.bag'), contents(tmp_path / 'cut.bag')
    assert found == expected[: len(found)]
    # At most what one chunk holds is lost beside what was cut off.
    assert len(found) > share * MESSAGES - 12


def test_a_chunk_that_was_never_finished_is_read(tmp_path: Path) -> None:
    whole = without_index(write(tmp_path / 'whole.bag'))
    last = whole.rindex(b'compression=none')
    size = whole.index(b'size=', last) + len(b'size=')
    unfinished = whole[:size] + bytes(8) + whole[size + 8 :]
    (tmp_path / 'killed.bag').write_bytes(unfinished)
    assert contents(tmp_path / 'killed.bag') == contents(tmp_path / 'whole.bag')


@pytest.mark.parametrize(
    ('compression', 'where'),
    [
        *product(COMPRESSIONS, [b'compression=', b'size=']),
        # The only one whose content tells of damage.
        (Writer.CompressionFormat.BZ2, None),
    ],
)
def test_a_damaged_place_costs_its_chunk_and_is_told(compression, where, tmp_path: Path) -> None:
    whole = bytearray(without_index(write(tmp_path / 'whole.bag', compression)))
    place = len(whole) // 2 if where is None else whole.index(where, len(whole) // 2) + len(where)
    whole[place : place + 300] = b'\xee' * 300
    (tmp_path / 'damaged.bag').write_bytes(whole)
    expected, found = contents(tmp_path / 'whole.bag'), contents(tmp_path / 'damaged.bag')
    same = [message for message in found if message in expected]
    assert MESSAGES - 20 <= len(same) < MESSAGES
    assert len(found) - len(same) <= 1
    assert found[-1] == expected[-1]
    with open_recording(tmp_path / 'damaged.bag') as recording:
        assert 'is damaged in' in recording.notes[0]


@pytest.mark.parametrize('compression', COMPRESSIONS)
def test_a_damaged_chunk_of_an_indexed_bag_costs_that_chunk_alone(compression, tmp_path: Path):
    whole = bytearray(write(tmp_path / 'whole.bag', compression))
    place = whole.index(b'size=', len(whole) // 3) + len(b'size=')
    # The length of the chunk and what follows it: the first records, or their compressed form.
    whole[place : place + 400] = b'\xee' * 400
    (tmp_path / 'damaged.bag').write_bytes(whole)
    expected = contents(tmp_path / 'whole.bag')
    with open_recording(tmp_path / 'damaged.bag') as recording:
        found = [(m.topic, m.stamp_ns, m.data) for m in recording.messages()]
        assert any('is damaged in' in note for note in recording.notes)
        again = [(m.topic, m.stamp_ns, m.data) for m in recording.messages()]
    assert found == again == [message for message in expected if message in found]
    assert MESSAGES - 12 <= len(found) < MESSAGES
    assert (found[0], found[-1]) == (expected[0], expected[-1])


def test_what_a_damaged_message_cannot_be_converted_to_is_left_out_and_counted(tmp_path: Path):
    whole = bytearray(write(tmp_path / 'whole.bag'))
    length = (1500).to_bytes(4, 'little')
    place = whole.index(length, len(whole) // 2)
    whole[place : place + 4] = b'\xff' * 4
    (tmp_path / 'damaged.bag').write_bytes(whole)
    with open_recording(tmp_path / 'damaged.bag') as recording:
        for _ in range(2):
            assert len(list(recording.messages())) == MESSAGES - 1
        assert recording.notes == ('1 damaged messages of /name are left out',)


@pytest.mark.parametrize('length', [0, 5, 13, 500, 4200])
def test_a_bag_of_which_no_message_is_left_is_refused(length: int, tmp_path: Path) -> None:
    (tmp_path / 'cut.bag').write_bytes(write(tmp_path / 'whole.bag')[:length])
    with pytest.raises(RecordingError, match=r'cut\.bag is no readable ROS 1 bag \(.*\): '):
        open_recording(tmp_path / 'cut.bag')
