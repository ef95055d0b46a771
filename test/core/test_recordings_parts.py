# SPDX-License-Identifier: Apache-2.0
"""Bags in many parts: read one after the other, whatever form the parts are in."""

from __future__ import annotations

import errno
import sys
import tempfile
from pathlib import Path

import pytest

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.recordings import cdr, open_recording, storage_file
from monodepth2_ros.recordings.writer import RecordingWriter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STRING_TYPE = 'std_msgs/msg/String'


def text(content: str) -> bytes:
    message = cdr.typestore().types[STRING_TYPE](data=content)
    return cdr.serialize(message, STRING_TYPE)


def write_parts(folder: Path, parts: list[list[int]]) -> Path:
    """A bag of parts with messages of these stamps, in tenths of a second."""
    folder.mkdir()
    for number, stamps in enumerate(parts):
        with RecordingWriter(folder / 'part') as writer:
            writer.add_topic('/a', STRING_TYPE)
            for stamp in stamps:
                writer.write('/a', stamp * 10**8, text(f'{stamp} of {number}'))
        (folder / 'part' / 'part.mcap').rename(folder / f'bag_{number}.mcap')
        (folder / 'part' / 'metadata.yaml').unlink()
        (folder / 'part').rmdir()
    names = [f'bag_{number}.mcap' for number in range(len(parts))]
    (folder / 'metadata.yaml').write_text(
        f'rosbag2_bagfile_information:\n  relative_file_paths: [{", ".join(names)}]\n'
    )
    return folder


def test_of_many_parts_only_those_that_are_being_read_are_open(tmp_path: Path) -> None:
    folder = write_parts(tmp_path / 'bag', [[2 * n, 2 * n + 1] for n in range(20)])
    held = Path('/proc/self/fd')
    before = len(list(held.iterdir()))
    with open_recording(folder) as recording:
        opened = [len(list(held.iterdir())) - before for _ in recording.messages()]
    assert len(opened) == 40
    assert max(opened) <= 2


@pytest.mark.parametrize(
    'parts',
    [
        [[0, 3, 4], [1, 3, 5], [3, 6]],
        [[5, 6], [0, 9], [5, 5, 7]],
        [[0, 1], [1, 2], [2, 3]],
    ],
    ids=['overlapping', 'in another order', 'end to end'],
)
def test_messages_of_parts_come_in_time_order_and_of_one_time_in_the_order_of_parts(
    tmp_path: Path, parts: list[list[int]]
) -> None:
    with open_recording(write_parts(tmp_path / 'bag', parts)) as recording:
        found = [cdr.parse(message).data for message in recording.messages()]
    expected = sorted((stamp, number) for number, stamps in enumerate(parts) for stamp in stamps)
    assert found == [f'{stamp} of {number}' for stamp, number in expected]


@pytest.mark.parametrize('listed', ['as they were', 'compressed'])
def test_parts_compressed_or_unpacked_by_hand_are_found(tmp_path: Path, listed: str) -> None:
    folder = write_parts(tmp_path / 'bag', [[0, 1], [2, 3], [4]])
    metadata = folder / 'metadata.yaml'
    if listed == 'compressed':
        metadata.write_text(metadata.read_text().replace('.mcap', '.mcap.zstd'))
    packed = zstd.compress((folder / 'bag_1.mcap').read_bytes())
    (folder / 'bag_1.mcap.zstd').write_bytes(packed)
    (folder / 'bag_1.mcap').unlink()
    with open_recording(folder) as recording:
        assert [message.stamp_ns // 10**8 for message in recording.messages()] == list(range(5))
        assert recording.notes == ()


def test_parts_are_not_left_out_because_a_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_parts(tmp_path / 'bag', [[0], [1]])
    packed = zstd.compress((folder / 'bag_1.mcap').read_bytes())
    (folder / 'bag_1.mcap.zstd').write_bytes(packed)
    (folder / 'bag_1.mcap').unlink()

    def full(packed: Path, target: Path) -> bool:
        target.write_bytes(b'all that fits')
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(storage_file, '_unpack', full)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    with pytest.raises(RecordingError) as caught:
        open_recording(folder)
    text = f'bag_1.mcap.zstd cannot be unpacked in {tmp_path}: No space left on device; make room'
    assert str(caught.value).startswith(text)
    assert [path.name for path in tmp_path.iterdir()] == ['bag']
