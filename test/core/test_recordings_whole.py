# SPDX-License-Identifier: Apache-2.0
"""Bags that are whole, but not as readers expect: all of their messages come, and once each."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import StoragePlugin, Writer

from monodepth2_ros.recordings import cdr, open_recording
from monodepth2_ros.recordings.writer import RecordingWriter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STRING_TYPE = 'std_msgs/msg/String'
EMPTY_TYPE = 'std_msgs/msg/Empty'

ABANDON = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute('PRAGMA journal_mode=WAL')
(topic, data) = database.execute('SELECT topic_id, data FROM messages LIMIT 1').fetchone()
for number in range(10, 10 + int(sys.argv[2])):
    row = topic, number * 10**8, data
    database.execute('INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)', row)
    database.commit()
os._exit(0)
"""
"""Records so many messages into a database and ends as a killed recorder does."""


def text(number: int) -> bytes:
    content = cdr.typestore().types[STRING_TYPE](data=f'number {number}')
    return cdr.serialize(content, STRING_TYPE)


def write_loose(path: Path, stamps: list[int]) -> Path:
    """An MCAP file without chunks whose messages lie in this order."""
    with path.open('wb') as stream:
        writer = McapWriter(stream, use_chunking=False, compression=CompressionType.NONE)
        writer.start(profile='ros2')
        schema = writer.register_schema(STRING_TYPE, 'ros2msg', b'string data')
        channels = [writer.register_channel(f'/{name}', 'cdr', schema) for name in 'ab']
        for number, stamp in enumerate(stamps):
            channel, stamp_ns = channels[number % 2], stamp * 10**8
            writer.add_message(channel, log_time=stamp_ns, publish_time=stamp_ns, data=text(stamp))
        writer.finish()
    return path


def write_chunks(path: Path, *, others: bool = False, **options: object) -> Path:
    """A whole MCAP file with ten messages, and what other tools than ROS record beside them."""
    with path.open('wb') as stream:
        writer = McapWriter(stream, compression=CompressionType.NONE, **options)
        writer.start(profile='ros2')
        schema = writer.register_schema(STRING_TYPE, 'ros2msg', b'string data')
        channels = [writer.register_channel('/a', 'cdr', schema)]
        if others:
            described = writer.register_schema('state', 'jsonschema', b'{}')
            channels += [writer.register_channel(f'/{n}', 'json', n) for n in (0, described)]
        for number in range(10):
            for channel in channels:
                data = text(number) if channel == channels[0] else b'{}'
                writer.add_message(channel, number * 10**8, data, number * 10**8)
        writer.finish()
    return path


def write_database(path: Path, messages: int = 10) -> Path:
    with Writer(path, version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        link = writer.add_connection('/a', STRING_TYPE, typestore=cdr.typestore())
        for number in range(messages):
            writer.write(link, number * 10**8, text(number))
    return next(path.glob('*.db3'))


def stamps_and_notes(path: Path) -> tuple[list[int], tuple[str, ...]]:
    with open_recording(path) as recording:
        first = [message.stamp_ns // 10**8 for message in recording.messages()]
        assert [message.stamp_ns // 10**8 for message in recording.messages()] == first
        return first, recording.notes


@pytest.mark.parametrize(
    'order',
    [
        [1, 2, 5, 3, 4, 6, 7],
        [*range(5000, 5010), *range(1000, 1099)],
        [n + (1 if n % 2 else -1) for n in range(1, 200)],
    ],
    ids=['one too early', 'the clock set back', 'two topics in turn'],
)
def test_messages_outside_of_chunks_come_in_time_order_and_none_is_missing(
    tmp_path: Path, order: list[int]
) -> None:
    path = write_loose(tmp_path / 'loose.mcap', order)
    assert stamps_and_notes(path) == (sorted(order), ())


@pytest.mark.parametrize('more', [3, 300])
def test_messages_in_the_journal_of_a_killed_recorder_are_read(tmp_path: Path, more: int) -> None:
    part = write_database(tmp_path / 'bag')
    subprocess.run([sys.executable, '-c', ABANDON, str(part), str(more)], check=True)
    journal = part.with_name(f'{part.name}-wal')
    assert journal.stat().st_size
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    before = part.read_bytes(), journal.read_bytes()
    found, notes = stamps_and_notes(tmp_path / 'bag')
    assert found == list(range(10 + more))
    assert any('is read from a copy with the messages of bag.db3-wal' in note for note in notes)
    assert (part.read_bytes(), journal.read_bytes()) == before


def test_a_database_whose_journal_holds_all_of_it_is_read(tmp_path: Path) -> None:
    whole = write_database(tmp_path / 'bag')
    path = tmp_path / 'all.db3'
    with sqlite3.connect(whole) as source:
        script = '\n'.join(source.iterdump())
    code = (
        'import os, sqlite3, sys; d = sqlite3.connect(sys.argv[1]); '
        "d.execute('PRAGMA journal_mode=WAL'); d.executescript(sys.stdin.read()); d.commit(); "
        'os._exit(0)'
    )
    subprocess.run([sys.executable, '-c', code, str(path)], input=script, text=True, check=True)
    assert path.stat().st_size < 10_000
    assert stamps_and_notes(path)[0] == list(range(10))


def test_chunks_that_nothing_counts_are_read(tmp_path: Path) -> None:
    path = write_chunks(tmp_path / 'a.mcap', use_statistics=False, index_types=IndexType.CHUNK)
    found, notes = stamps_and_notes(path)
    assert found == list(range(10))
    assert notes == ()


def test_messages_of_other_tools_are_no_damage(tmp_path: Path) -> None:
    found, notes = stamps_and_notes(write_chunks(tmp_path / 'a.mcap', others=True))
    assert found == list(range(10))
    assert [note for note in notes if 'damage' in note] == []
    assert notes[:2] == tuple(f'/{n} is not stored as CDR and cannot be read' for n in (0, 2))


@pytest.mark.parametrize('name', ['a#b', 'a?b', 'a%41b', 'with space'])
def test_a_database_is_read_whatever_its_folder_is_called(tmp_path: Path, name: str) -> None:
    folder = write_database(tmp_path / 'bag').parent.rename(tmp_path / name)
    assert stamps_and_notes(folder) == (list(range(10)), ())


def test_a_link_and_a_compressed_database_are_read_whatever_they_are_called(
    tmp_path: Path,
) -> None:
    part = write_database(tmp_path / 'bag')
    link = tmp_path / 'a%41b'
    link.symlink_to(part.parent)
    assert stamps_and_notes(link) == (list(range(10)), ())
    packed = tmp_path / 'a#b.db3.zstd'
    packed.write_bytes(zstd.compress(part.read_bytes()))
    assert stamps_and_notes(packed) == (list(range(10)), ())


def test_a_part_beside_its_compressed_form_is_read_once(tmp_path: Path) -> None:
    part = write_database(tmp_path / 'bag')
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    shutil.copy(part, part.with_name(f'{part.name}.zstd'))
    assert stamps_and_notes(tmp_path / 'bag')[0] == list(range(10))


def test_a_part_that_the_metadata_does_not_list_is_named(tmp_path: Path) -> None:
    part = write_database(tmp_path / 'bag')
    shutil.copy(part, part.with_name('later.db3'))
    found, notes = stamps_and_notes(tmp_path / 'bag')
    assert found == list(range(10))
    assert notes == ('not listed in metadata.yaml and therefore not read: later.db3',)


def test_of_a_topic_that_changes_its_type_only_the_first_is_read(tmp_path: Path) -> None:
    for number, (kind, data) in enumerate([(STRING_TYPE, text(0)), (EMPTY_TYPE, b'\0\1\0\0\0')]):
        with RecordingWriter(tmp_path / f'part_{number}') as writer:
            writer.add_topic('/x', kind)
            writer.write('/x', number * 10**8, data)
    folder = tmp_path / 'bag'
    folder.mkdir()
    for number in range(2):
        part = tmp_path / f'part_{number}' / f'part_{number}.mcap'
        part.rename(folder / f'{number}.mcap')
    with open_recording(folder) as recording:
        assert [message.type for message in recording.messages()] == [STRING_TYPE]
        assert any('only std_msgs/msg/String is read' in note for note in recording.notes)
