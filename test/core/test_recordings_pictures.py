# SPDX-License-Identifier: Apache-2.0
"""Videos and image folders play as one camera."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from monodepth2_ros.errors import RecordingError
from monodepth2_ros.geometry.camera import CameraCalibration
from monodepth2_ros.recordings import cdr, image_frames, open_recording, pictures
from monodepth2_ros.recordings.picture_stamps import container_stamps
from monodepth2_ros.recordings.playback import make_clip

CALIBRATION = CameraCalibration(width=64, height=48, K=(50.0, 0, 31.5, 0, 50, 23.5, 0, 0, 1))

KILLED_WRITER = """
import os, signal, sys, cv2, numpy as np
video = cv2.VideoWriter(sys.argv[1], cv2.VideoWriter_fourcc(*'MJPG'), 20, (640, 480))
noise = np.random.default_rng(0)
for _ in range(30 if video.isOpened() else 0):
    video.write(noise.integers(0, 256, (480, 640, 3), np.uint8))
os.kill(os.getpid(), signal.SIGKILL)
"""


def write_video(path, frames=12, fps=20.0, codec='MJPG'):
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), fps, (64, 48))
    if not video.isOpened():
        pytest.skip('this OpenCV cannot write videos')
    for index in range(frames):
        video.write(np.full((48, 64, 3), 20 * index, np.uint8))
    video.release()
    return path


def write_images(folder, names):
    folder.mkdir()
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((48, 64, 3), index, np.uint8))
    return folder


def stamps(path, **options):
    with open_recording(path, **options) as recording:
        return [stamp for stamp, _ in image_frames(recording)]


def test_a_video_plays_at_the_rate_of_its_container_or_the_given_one(tmp_path):
    path = write_video(tmp_path / 'drive.avi')
    assert np.diff(stamps(path)).tolist() == [50_000_000] * 11
    assert np.diff(stamps(path, fps=10.0)).tolist() == [100_000_000] * 11


def make_uneven(path):
    """Let the first 6 of 12 frames of an MP4 last half as long, and the others longer."""
    content = bytearray(path.read_bytes())
    at = content.rindex(b'stts')
    (period,) = struct.unpack_from('>I', content, at + 16)
    content[at - 4 : at + 20] = struct.pack(
        '>I4s6I', 32, b'stts', 0, 2, 6, period // 2, 6, period * 3 // 2
    )
    for name in (b'moov', b'trak', b'mdia', b'minf', b'stbl'):
        place = content.rindex(name) - 4
        (size,) = struct.unpack_from('>I', content, place)
        struct.pack_into('>I', content, place, size + 8)
    path.write_bytes(content)


def test_frames_of_a_video_come_when_the_container_says_unless_a_rate_is_given(tmp_path):
    path = write_video(tmp_path / 'a.mp4', codec='mp4v')
    make_uneven(path)
    assert np.diff(stamps(path)).tolist() == [25_000_000] * 6 + [75_000_000] * 5
    assert np.diff(stamps(path, fps=10.0)).tolist() == [100_000_000] * 11
    with open_recording(path) as recording:
        late = recording.messages(['/camera/image_raw'], start_ns=10**9 + 300_000_000)
        assert len(list(late)) == 4
        assert len(list(make_clip(recording, duration_s=0.15).messages())) == 6


def test_frames_whose_time_does_not_grow_follow_at_the_frame_rate():
    told = container_stamps([70, 90, 90, 0, 140], period_ns=10)
    assert [stamp - 10**9 for stamp in told] == [0, 20, 30, 40, 70]


def test_frames_of_a_video_lie_as_they_are_stored_whatever_its_rotation(tmp_path):
    write_video(tmp_path / 'a.mp4', codec='mp4v')
    upright, turned = (
        struct.pack('>9i', *(value << 16 for value in matrix), 1 << 30)
        for matrix in ((1, 0, 0, 0, 1, 0, 0, 0), (0, 1, 0, -1, 0, 0, 0, 0))
    )
    before, found, after = (tmp_path / 'a.mp4').read_bytes().rpartition(upright)
    assert found
    (tmp_path / 'a.mp4').write_bytes(before + turned + after)
    with open_recording(tmp_path / 'a.mp4') as recording:
        _, frame = next(image_frames(recording))
    assert (frame.width, frame.height) == (64, 48)


def test_video_frames_come_in_order_with_the_calibration(tmp_path):
    with open_recording(write_video(tmp_path / 'a.avi'), calibration=CALIBRATION) as recording:
        types = [message.type for message in recording.messages()]
        assert types == ['sensor_msgs/msg/CameraInfo', 'sensor_msgs/msg/Image'] * 12
        levels = [np.mean(frame.data) for _, frame in image_frames(recording)]
        assert np.allclose(levels, np.arange(12) * 20, atol=3)
        assert recording.calibration('/camera/image_raw') == CALIBRATION
        late = list(recording.messages(['/camera/image_raw'], start_ns=recording.end_ns))
        assert len(late) == 1


def test_a_video_whose_writer_was_killed_plays_all_its_frames(tmp_path):
    subprocess.run([sys.executable, '-c', KILLED_WRITER, tmp_path / 'a.mkv'], check=False)
    if not (tmp_path / 'a.mkv').exists():
        pytest.skip('this OpenCV cannot write videos')
    with open_recording(tmp_path / 'a.mkv') as recording:
        decoded = len(list(recording.messages()))
        assert decoded > 10
        assert recording.message_count == decoded
        assert recording.duration_s == pytest.approx((decoded - 1) / 20.0)
        assert len(list(make_clip(recording).messages())) == decoded


def test_a_video_that_claims_too_few_frames_plays_all_its_frames(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'a.avi')
    monkeypatch.setattr(pictures, '_probe_video', lambda path: (4, 20.0))
    with open_recording(path) as recording:
        assert recording.message_count == 4
        assert len(list(make_clip(recording).messages())) == 12
        assert len(list(make_clip(recording, duration_s=0.3).messages())) == 6


def test_images_play_in_name_order_at_ten_hertz(tmp_path):
    folder = write_images(tmp_path / 'images', ['b.png', 'a.png', 'c.png'])
    with open_recording(folder) as recording:
        frames = list(image_frames(recording))
    assert [frame.data[0] for _, frame in frames] == [1, 0, 2]
    assert np.diff([stamp for stamp, _ in frames]).tolist() == [100_000_000] * 2


def test_numbers_without_leading_zeros_play_by_their_value(tmp_path):
    """Else frame 10 would come before frame 2, and a drive would leap back and forth."""
    folder = write_images(tmp_path / 'images', [f'frame_{i}.png' for i in range(12)])
    with open_recording(folder) as recording:
        levels = [frame.data[0] for _, frame in image_frames(recording)]
    assert levels == list(range(12))


@pytest.mark.parametrize(
    ('numbers', 'places'),
    [
        ((7, 8, 9, 30, 31, 32), [0, 1, 2, 23, 24, 25]),
        ((0, 2, 4, 6, 26, 28), [0, 1, 2, 3, 13, 14]),
        ((0, 2, 4, 6, 9, 11), [0, 1, 2, 3, 4, 5]),
    ],
    ids=['every number', 'every second number', 'no usual step'],
)
def test_a_hole_in_the_numbers_of_images_is_one_in_time(tmp_path, numbers, places):
    folder = write_images(tmp_path / 'images', [f'a1_{number:04d}.png' for number in numbers])
    assert stamps(folder) == [10**9 + place * 10**8 for place in places]
    assert stamps(folder, fps=5.0) == [10**9 + place * 2 * 10**8 for place in places]


def test_names_without_one_running_number_have_no_holes(tmp_path):
    folder = write_images(tmp_path / 'images', ['a_1.png', 'a_2.png', 'b_9.png', 'c.png'])
    assert np.diff(stamps(folder)).tolist() == [100_000_000] * 3


def test_names_of_nanoseconds_are_stamps(tmp_path):
    names = ['1317045935602942464.png', '1317045935500923136.png']
    folder = write_images(tmp_path / 'images', names)
    assert stamps(folder) == [1317045935500923136, 1317045935602942464]
    assert np.diff(stamps(folder, fps=4.0)).tolist() == [250_000_000]


@pytest.mark.parametrize(
    ('first', 'second'),
    [
        ('1700000000.9', '1700000001.025'),
        ('1700000000900', '1700000001025'),
        ('1700000000900000', '1700000001025000'),
        ('1700000000900000000', '1700000001025000000'),
    ],
    ids=['seconds', 'milliseconds', 'microseconds', 'nanoseconds'],
)
def test_the_digits_of_a_time_give_its_unit(tmp_path, first, second):
    folder = write_images(tmp_path / 'images', [f'{second}.png', f'{first}.png'])
    assert stamps(folder) == [1_700_000_000_900_000_000, 1_700_000_001_025_000_000]


def test_the_time_of_a_simulator_begins_at_zero(tmp_path):
    names = [f'{index * 50_000_000:019d}.png' for index in range(4)]
    assert stamps(write_images(tmp_path / 'images', names)) == [0, 5 * 10**7, 10**8, 15 * 10**7]


@pytest.mark.parametrize('form', ['{:016d}', '20240131120000{:03d}', '{:021d}', '9{:020d}'])
def test_numbers_that_no_camera_could_give_as_times_are_refused_without_fps(tmp_path, form):
    folder = write_images(tmp_path / 'images', [f'{form}.png'.format(i) for i in range(3)])
    with pytest.raises(RecordingError, match=r'named like \d+\.png .* give the frame rate'):
        open_recording(folder)
    assert np.diff(stamps(folder, fps=4.0)).tolist() == [250_000_000] * 2


@pytest.mark.parametrize(
    ('pixels', 'encoding'),
    [
        (np.zeros((4, 5), np.uint8), 'mono8'),
        (np.zeros((4, 5), np.uint16), 'mono16'),
        (np.zeros((4, 5, 3), np.uint8), 'bgr8'),
    ],
)
def test_image_files_keep_their_channels_and_depth(tmp_path, pixels, encoding):
    cv2.imwrite(str(tmp_path / 'a.png'), pixels)
    with open_recording(tmp_path) as recording:
        _, frame = next(image_frames(recording))
    assert (frame.encoding, frame.height, frame.width) == (encoding, 4, 5)
    assert len(frame.data) == pixels.nbytes


def test_hidden_files_of_a_folder_are_no_pictures(tmp_path):
    cv2.imwrite(str(tmp_path / '1.png'), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / '._1.png').write_bytes(b'what macOS keeps beside it')
    assert pictures.image_files(tmp_path) == [tmp_path / '1.png']


def test_an_undecodable_picture_of_a_folder_is_left_out_and_counted(tmp_path):
    folder = write_images(tmp_path / 'images', ['a.png', 'b.png', 'c.png'])
    (folder / 'b.png').write_bytes(b'no picture')
    with open_recording(folder) as recording:
        stamps_ns = [stamp for stamp, _ in image_frames(recording)]
        assert stamps_ns == [10**9, 10**9 + 2 * 10**8]
        assert recording.notes == (
            '1 of 3 images cannot be decoded and are left out, the first is b.png',
        )


@pytest.mark.parametrize('kind', ['jpg', 'png', 'tif', 'webp', 'bmp', 'ppm'])
def test_a_picture_that_is_cut_short_is_left_out_and_not_filled_with_grey(tmp_path, kind):
    folder = write_images(tmp_path / 'images', [f'{name}.{kind}' for name in 'abc'])
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    whole = cv2.imencode(f'.{kind}', noise)[1].tobytes()
    (folder / f'b.{kind}').write_bytes(whole[: len(whole) // 2])
    with open_recording(folder) as recording:
        assert len(list(image_frames(recording))) == 2
        assert recording.damaged_files == (folder / f'b.{kind}',)
        assert f'the first is b.{kind}' in recording.notes[0]


@pytest.mark.parametrize(('shape', 'encoding'), [((48, 64), 'mono8'), ((48, 64, 3), 'bgr8')])
def test_a_jpeg_keeps_its_channels_and_colours(tmp_path, shape, encoding):
    pixels = np.full(shape, 90, np.uint8)
    pixels[..., 0] = 30
    cv2.imwrite(str(tmp_path / 'a.jpg'), pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])
    with open_recording(tmp_path) as recording:
        _, frame = next(image_frames(recording))
    assert frame.encoding == encoding
    assert np.abs(np.reshape(frame.data, shape).astype(int) - pixels).max() < 20


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'webp'])
def test_pictures_lie_as_they_are_stored_whatever_their_exif_rotation(tmp_path, suffix):
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new('RGB', (64, 48)).save(tmp_path / f'a.{suffix}', exif=turned)
    with open_recording(tmp_path) as recording:
        _, frame = next(image_frames(recording))
    assert (frame.width, frame.height) == (64, 48)


def png_that_claims(width, height):
    def chunk(kind, data):
        check = struct.pack('>I', zlib.crc32(kind + data))
        return struct.pack('>I', len(data)) + kind + data + check

    head = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(bytes(100))) + chunk(b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + chunks


@pytest.mark.parametrize(
    'odd',
    [
        cv2.imencode('.png', np.zeros((4, 5, 3), np.uint16))[1].tobytes(),
        png_that_claims(60_000, 60_000),
    ],
    ids=['16-bit colour', 'over the pixel limit'],
)
def test_a_picture_that_cannot_be_played_does_not_end_the_folder(tmp_path, odd):
    folder = write_images(tmp_path / 'images', ['a.png', 'b.png', 'c.png'])
    (folder / 'b.png').write_bytes(odd)
    with open_recording(folder) as recording:
        assert len(list(image_frames(recording))) == 2
        assert 'the first is b.png' in recording.notes[0]


def test_a_folder_that_holds_nothing_to_play_says_what_it_expects(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 5, 3), np.uint16))
    with (
        open_recording(tmp_path) as recording,
        pytest.raises(RecordingError, match=r'a\.png is no image .* expected 8-bit colour'),
    ):
        list(recording.messages())


def test_undecodable_pictures_are_named(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'no picture')
    with (
        open_recording(tmp_path) as recording,
        pytest.raises(RecordingError, match=r'a\.png is no'),
    ):
        list(recording.messages())
    (tmp_path / 'b.mp4').write_bytes(b'no video')
    with pytest.raises(RecordingError, match=r'b\.mp4 is no video that OpenCV can decode'):
        open_recording(tmp_path / 'b.mp4')


def test_a_generated_camera_info_says_what_was_given(tmp_path):
    folder = write_images(tmp_path / 'images', ['a.png'])
    with open_recording(folder, calibration=CALIBRATION) as recording:
        message = next(recording.messages(['/camera/camera_info']))
    assert cdr.parse_calibration(message) == CALIBRATION
