# SPDX-License-Identifier: Apache-2.0
"""Damaged bags: all that is whole is read and equals the original, and what is lost is said."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode
from support import make_bag

from monodepth2_ros.errors import ImageError, RecordingError
from monodepth2_ros.recordings import RecordingWriter, cdr, open_recording
from monodepth2_ros.recordings.cameras import decode_frame
from monodepth2_ros.recordings.messages import (
    CAMERA_INFO_TYPE,
    COMPRESSED_IMAGE_TYPE,
    IMAGE_TYPE,
)

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'
TOPIC = '/camera/image_raw/compressed'
FRAMES = 300
FRAME_BYTES = 9200
STEP_NS = 10**8
START_NS = 10**18
SHARES = (0.999, 0.9, 0.5, 0.1)
ZEROS = 65536
WRITERS = ('mcap', 'mcap zstd', 'mcap lz4', 'mcap unchunked', 'mcap crc', 'db3')


def message(index):
    """An image message that no other equals."""
    content = cdr.typestore().types[COMPRESSED_IMAGE_TYPE](
        header=cdr.header(stamp_ns(index), 'camera'),
        format='jpeg',
        data=np.random.default_rng(index).integers(0, 256, FRAME_BYTES, np.uint8),
    )
    return cdr.serialize(content, COMPRESSED_IMAGE_TYPE)


def stamp_ns(index):
    return START_NS + index * STEP_NS


def write(path, kind, frames=FRAMES):
    """Write a bag; its storage file."""
    if kind in ('mcap lz4', 'mcap unchunked'):
        return write_by_mcap(path, kind, frames)
    if kind == 'mcap crc':
        return write_by_recorder(path, frames)
    plugin = StoragePlugin.SQLITE3 if kind == 'db3' else StoragePlugin.MCAP
    packed = kind.endswith('zstd')
    writer = Writer(path, version=8, storage_plugin=plugin)
    writer.set_compression(
        CompressionMode.STORAGE if packed else CompressionMode.NONE, CompressionFormat.ZSTD
    )
    with writer:
        link = writer.add_connection(TOPIC, COMPRESSED_IMAGE_TYPE, typestore=cdr.typestore())
        for index in range(frames):
            writer.write(link, stamp_ns(index), message(index))
    return storage_file(path)


def write_by_recorder(path, frames):
    with RecordingWriter(path) as writer:
        writer.add_topic(TOPIC, COMPRESSED_IMAGE_TYPE)
        for index in range(frames):
            writer.write(TOPIC, stamp_ns(index), message(index))
    return storage_file(path)


def write_by_mcap(path, kind, frames):
    path.mkdir()
    chunked = kind == 'mcap lz4'
    with (path / 'bag.mcap').open('wb') as stream:
        writer = McapWriter(
            stream,
            use_chunking=chunked,
            compression=CompressionType.LZ4 if chunked else CompressionType.NONE,
        )
        writer.start(profile='ros2')
        schema = writer.register_schema(COMPRESSED_IMAGE_TYPE, 'ros2msg', b'')
        channel = writer.register_channel(TOPIC, 'cdr', schema)
        for index in range(frames):
            stamp = stamp_ns(index)
            writer.add_message(channel, log_time=stamp, publish_time=stamp, data=message(index))
        writer.finish()
    return path / 'bag.mcap'


def storage_file(path):
    (part,) = (file for file in path.iterdir() if file.suffix in ('.mcap', '.db3'))
    return part


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    """An intact bag of each kind, written once."""
    folder = tmp_path_factory.mktemp('intact')
    return {kind: write(folder / kind.replace(' ', '_'), kind) for kind in WRITERS}


@pytest.fixture(scope='module')
def originals():
    return {stamp_ns(index): message(index) for index in range(FRAMES)}


def damaged(tmp_path, part, content):
    """A storage file of such content, without metadata."""
    path = tmp_path / f'bag{part.suffix}'
    path.write_bytes(content)
    return path


def read(path):
    """All messages, and what is said about them in the end."""
    with open_recording(path) as recording:
        return list(recording.messages()), ' | '.join(recording.notes)


def assert_equal_to(originals, messages):
    stamps = [item.stamp_ns for item in messages]
    assert stamps == sorted(set(stamps))
    assert [item for item in messages if originals[item.stamp_ns] != item.data] == []


def zeroed(content, middle):
    return content[:middle] + bytes(ZEROS) + content[middle + ZEROS :]


@pytest.mark.parametrize('share', SHARES)
@pytest.mark.parametrize('kind', WRITERS)
def test_a_cut_off_bag_gives_what_lies_before_the_cut(tmp_path, bags, originals, kind, share):
    content = bags[kind].read_bytes()
    content = content[: int(len(content) * share)]
    messages, note = read(damaged(tmp_path, bags[kind], content))
    assert_equal_to(originals, messages)
    # lz4 packs 64 KiB and more at once; sqlite puts eight rows into one leaf page.
    assert len(messages) >= FRAMES * share - {'mcap lz4': 15, 'db3': 8}.get(kind, 3)
    assert f'is cut off after {len(content) / 1e6:.2f} MB: {len(messages)} messages of' in note


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('kind', WRITERS)
def test_a_cut_at_any_place_loses_only_what_it_hits(tmp_path, bags, originals, kind, seed):
    content = bags[kind].read_bytes()
    cut = int(np.random.default_rng(seed).integers(len(content) // 50, len(content)))
    messages, _ = read(damaged(tmp_path, bags[kind], content[:cut]))
    assert_equal_to(originals, messages)
    if kind in ('mcap', 'mcap unchunked', 'mcap crc'):
        whole = [data for data in originals.values() if data in content[:cut]]
        assert [item.data for item in messages] == whole
    assert len(messages) >= FRAMES * cut / len(content) - 15


@pytest.mark.parametrize('kind', ['mcap', 'db3'])
def test_a_compressed_file_that_is_cut_off_is_unpacked_as_far_as_it_goes(
    tmp_path, originals, kind
):
    plugin = StoragePlugin.MCAP if kind == 'mcap' else StoragePlugin.SQLITE3
    writer = Writer(tmp_path / 'bag', version=8, storage_plugin=plugin)
    writer.set_compression(CompressionMode.FILE, CompressionFormat.ZSTD)
    with writer:
        link = writer.add_connection(TOPIC, COMPRESSED_IMAGE_TYPE, typestore=cdr.typestore())
        for index in range(FRAMES):
            writer.write(link, stamp_ns(index), message(index))
    (part,) = (tmp_path / 'bag').glob('*.zstd')
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    messages, note = read(tmp_path / 'bag')
    assert_equal_to(originals, messages)
    assert len(messages) >= FRAMES // 2 - 16
    assert 'cannot be unpacked to its end' in note
    assert f'{len(messages)} of the {FRAMES} messages that metadata.yaml counts' in note


@pytest.mark.parametrize('kind', WRITERS)
@pytest.mark.parametrize('indexed', [True, False])
def test_zeros_in_the_middle_cost_no_more_than_they_cover(
    tmp_path, bags, originals, kind, indexed
):
    content = bags[kind].read_bytes()
    content = zeroed(content, len(content) // 2)
    content = content if indexed else content[:-100]
    messages, note = read(damaged(tmp_path, bags[kind], content))
    assert [item.stamp_ns for item in messages] == sorted(item.stamp_ns for item in messages)
    changed = [item for item in messages if originals[item.stamp_ns] != item.data]
    # A chunk of 1 MB holds 114 of them; without a checksum the last one hit looks whole.
    worst = 230 if 'zstd' in kind or 'crc' in kind or 'lz4' in kind else 12
    assert len(messages) >= FRAMES - worst
    assert messages[-1].stamp_ns >= stamp_ns(FRAMES - 3)
    assert len(changed) <= (8 if kind in ('mcap', 'mcap zstd') else 1)
    assert not changed or kind in ('mcap', 'mcap unchunked', 'mcap zstd', 'db3')
    assert len(messages) == FRAMES or 'messages of' in note


def test_a_damaged_length_inside_a_chunk_costs_its_message_alone(tmp_path, bags, originals):
    content = bytearray(bags['mcap'].read_bytes())
    hit = content.index(originals[stamp_ns(150)])
    content[hit - 30 : hit - 22] = b'\xff' * 8
    messages, note = read(damaged(tmp_path, bags['mcap'], content))
    assert_equal_to(originals, messages)
    assert [item.stamp_ns for item in messages] == [
        stamp for stamp in originals if stamp != stamp_ns(150)
    ]
    assert 'is damaged in 1 place: 299 of 300 messages' in note


def test_a_wrong_stamp_is_noticed_without_a_checksum(tmp_path, bags, originals):
    content = bytearray(bags['mcap'].read_bytes())
    hit = content.index(originals[stamp_ns(20)])
    content[hit - 10] ^= 0x40
    messages, note = read(damaged(tmp_path, bags['mcap'], content))
    assert_equal_to(originals, messages)
    assert len(messages) == FRAMES - 1
    assert '299 of 300 messages' in note


def test_a_wrong_checksum_drops_its_chunk_and_says_how_much(tmp_path, bags, originals):
    content = bytearray(bags['mcap crc'].read_bytes())
    content[len(content) // 2] ^= 1
    messages, note = read(damaged(tmp_path, bags['mcap crc'], content))
    assert_equal_to(originals, messages)
    lost = FRAMES - len(messages)
    assert 0 < lost < 120
    assert f'is damaged in 1 place: {len(messages)} of 300 messages of' in note
    assert f'{lost} incomplete or damaged ones left out' in note


def test_what_precedes_a_wrong_checksum_is_not_given_twice(tmp_path, bags):
    content = bytearray(bags['mcap crc'].read_bytes())
    content[-len(content) // 3] ^= 1
    path = damaged(tmp_path, bags['mcap crc'], content)
    with open_recording(path) as recording:
        before = len(recording.notes)
        first = [item.stamp_ns for item in recording.messages()]
        again = [item.stamp_ns for item in recording.messages([TOPIC], start_ns=stamp_ns(50))]
        assert before == 0
        assert len(recording.notes) == 1
    assert first == sorted(set(first))
    assert again == [stamp for stamp in first if stamp >= stamp_ns(50)]


@pytest.mark.parametrize('seed', range(12))
def test_flipped_bytes_never_change_a_message_of_our_own_recorder(tmp_path, bags, originals, seed):
    content = np.frombuffer(bags['mcap crc'].read_bytes(), np.uint8).copy()
    generator = np.random.default_rng(seed)
    content[generator.integers(0, content.size, 2)] ^= np.uint8(0x10)
    messages, _ = read(damaged(tmp_path, bags['mcap crc'], content.tobytes()))
    assert {item.data for item in messages} <= set(originals.values())
    assert len(messages) > 60


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('kind', WRITERS)
def test_any_damage_gives_messages_or_a_recording_error(tmp_path, bags, kind, seed):
    content = np.frombuffer(bags[kind].read_bytes(), np.uint8).copy()
    generator = np.random.default_rng(seed)
    places = generator.integers(0, content.size, 1000)
    content[places] ^= generator.integers(1, 256, 1000).astype(np.uint8)
    content = content[: int(content.size * generator.uniform(0.5, 1.0))]
    try:
        read(damaged(tmp_path, bags[kind], content.tobytes()))
    except RecordingError as err:
        assert str(tmp_path) in str(err)


@pytest.mark.parametrize('share', SHARES)
def test_no_fewer_rows_are_found_than_sqlite_finds_with_its_header_patched(tmp_path, bags, share):
    content = bytearray(bags['db3'].read_bytes())
    content = content[: int(len(content) * share)]
    messages, _ = read(damaged(tmp_path, bags['db3'], content))
    content[28:32] = (len(content) // 4096).to_bytes(4, 'big')
    count = 0
    database = sqlite3.connect(damaged(tmp_path, bags['db3'], content))
    with contextlib.closing(database), contextlib.suppress(sqlite3.DatabaseError):
        for _ in database.execute('SELECT data FROM messages'):
            count += 1
    assert len(messages) >= count > 0


@pytest.mark.parametrize(
    ('page_bytes', 'share'), [(512, 0.05), (512, 0.5), (4096, 0.05), (4096, 0.5), (65536, 0.5)]
)
def test_rows_are_found_without_the_tree_at_every_page_size(
    tmp_path, bags, originals, page_bytes, share
):
    path = tmp_path / 'whole.db3'
    shutil.copy(bags['db3'], path)
    with sqlite3.connect(path) as database:
        database.execute(f'PRAGMA page_size={page_bytes}')
        database.execute('VACUUM')
    database.close()
    content = path.read_bytes()
    cut = damaged(tmp_path, path, content[: int(len(content) * share)])
    messages, _ = read(cut)
    assert_equal_to(originals, messages)
    assert len(messages) >= FRAMES * share - 8 - 4 * page_bytes // FRAME_BYTES


def test_a_long_table_cut_near_its_start_is_read_though_its_tree_is_lost(tmp_path):
    count = 20_000
    writer = Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.SQLITE3)
    with writer:
        link = writer.add_connection('/text', 'std_msgs/msg/String', typestore=cdr.typestore())
        for index in range(count):
            writer.write(link, index, b'\x00\x01\x00\x00' + index.to_bytes(4, 'little') * 20)
    part = storage_file(tmp_path / 'bag')
    content = part.read_bytes()
    messages, _ = read(damaged(tmp_path, part, content[: len(content) // 10]))
    assert len(messages) > count // 10 * 0.8
    assert [item.stamp_ns for item in messages] == list(range(len(messages)))
    assert all(item.data[4:8] == item.stamp_ns.to_bytes(4, 'little') for item in messages)


def test_recovered_messages_come_in_time_order(tmp_path):
    order = [*range(10, 20), *range(10), *range(20, 30)]
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/a', IMAGE_TYPE)
        writer.add_topic('/b', IMAGE_TYPE)
        for index in order:
            pixels = np.full((200, 500, 3), index, np.uint8)
            data = cdr.image(pixels, encoding='rgb8', stamp_ns=index, frame_id='c')
            writer.write('/b' if index % 2 else '/a', index, data)
    part = storage_file(tmp_path / 'bag')
    part.write_bytes(part.read_bytes()[:-50])
    assert [item.stamp_ns for item in read(part)[0]] == sorted(order)
    with open_recording(part) as recording:
        assert (recording.start_ns, recording.end_ns) == (0, 29)
        assert [topic.count for topic in recording.topics] == [15, 15]
        some = recording.messages(['/a'], start_ns=4, end_ns=9)
        assert [item.stamp_ns for item in some] == [4, 6, 8]


def test_a_damaged_first_chunk_does_not_take_the_topics_along(tmp_path, bags, originals):
    content = bytearray(bags['mcap crc'].read_bytes())
    content[300_000] ^= 1
    messages, note = read(damaged(tmp_path, bags['mcap crc'], content[:-40]))
    assert_equal_to(originals, messages)
    assert len(messages) > 150
    assert 'is cut off' in note
    assert 'and is damaged in 1 place' in note


@pytest.mark.parametrize('kind', ['mcap', 'db3'])
def test_memory_does_not_grow_with_a_damaged_file(tmp_path, kind):
    path = write(tmp_path / 'bag', kind, frames=1500)
    with path.open('r+b') as stream:
        stream.truncate(path.stat().st_size - 30_000)
    tracemalloc.start()
    with open_recording(path) as recording:
        count = sum(1 for _ in recording.messages())
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count > 1490
    assert peak < 6e6 < path.stat().st_size / 2


def test_a_message_that_cannot_be_unpacked_is_left_out_and_counted(tmp_path):
    writer = Writer(tmp_path / 'bag', version=8, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        link = writer.add_connection(TOPIC, COMPRESSED_IMAGE_TYPE, typestore=cdr.typestore())
        for index in range(3):
            writer.write(link, stamp_ns(index), message(index))
    part = storage_file(tmp_path / 'bag')
    content = bytearray(part.read_bytes())
    second = content.index(b'\x28\xb5\x2f\xfd', content.index(b'\x28\xb5\x2f\xfd') + 4)
    content[second + 4 : second + 12] = b'\xff' * 8
    part.write_bytes(content)
    with open_recording(tmp_path / 'bag') as recording:
        for _ in range(2):
            found = [item.stamp_ns for item in recording.messages()]
            assert found == [stamp_ns(0), stamp_ns(2)]
        (note,) = recording.notes
    assert f'1 messages of {TOPIC} cannot be decompressed' in note


def test_a_frame_that_is_no_image_is_one_to_skip(bags):
    with open_recording(bags['mcap'].parent) as recording:
        first = next(recording.messages())
    with pytest.raises(ImageError, match=r'JPEG|PNG'):
        decode_frame(first)
    cut = type(first)(topic=TOPIC, type=first.type, stamp_ns=0, data=first.data[:50])
    with pytest.raises(ImageError, match='50 bytes at 0 ns are no sensor_msgs'):
        decode_frame(cut)


def test_a_damaged_first_message_hides_neither_camera_nor_calibration(tmp_path):
    with RecordingWriter(tmp_path / 'bag') as writer:
        writer.add_topic('/camera/image_raw', IMAGE_TYPE)
        writer.add_topic('/camera/camera_info', CAMERA_INFO_TYPE)
        for index in range(2):
            image, info = make_bag.image(index, index), make_bag.camera_info(index)
            writer.write('/camera/image_raw', index, image if index else image[:30])
            writer.write('/camera/camera_info', index, info if index else info[:30])
    with open_recording(tmp_path / 'bag') as recording:
        assert recording.image_topics() == ('/camera/image_raw',)
        assert recording.calibration('/camera/image_raw') == make_bag.CALIBRATION


@pytest.mark.parametrize('share', SHARES)
def test_a_real_drive_is_recovered_from_a_cut(tmp_path, share):
    folder = SHARED / 'hololens_rgbd'
    if not folder.exists():
        pytest.skip('the real recording hololens_rgbd is not on this machine')
    with open_recording(folder) as recording:
        originals = {(item.topic, item.stamp_ns): item.data for item in recording.messages()}
    part = storage_file(folder)
    content = part.read_bytes()
    messages, _ = read(damaged(tmp_path, part, content[: int(len(content) * share)]))
    assert all(originals[item.topic, item.stamp_ns] == item.data for item in messages)
    assert len(messages) >= 0.95 * len(originals) * share - 10
