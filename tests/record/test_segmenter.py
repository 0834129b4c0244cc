from fractions import Fraction

from nvr.media.frame import Frame, Vol
from nvr.record.segmenter import Segmenter, Verdict, offset_of
from nvr.units import US

VGA = Vol(header=b"vga", width=640, height=480, resolution=30, fixed_increment=0)
QVGA = Vol(header=b"qvga", width=320, height=240, resolution=30, fixed_increment=0)


def frame(word: str) -> Frame:
    """`I12` is an I-VOP at second 12, `P9q` a P-VOP of a QVGA stream, `I3r` an I-VOP that begins a run."""
    second = int(word[1:].rstrip("qr"))
    return Frame(
        data=b"",
        key=word[0] == "I",
        ticks=second * 90_000,
        utc_us=second * US,
        vol=QVGA if word.endswith("q") else VGA,
        time_base=Fraction(1, 90_000),
        user_data=None,
        position=None,
        new_run="clock-step" if word.endswith("r") else None,
    )


def told(segmenter: Segmenter, story: str) -> str:
    said = []
    for word in story.split():
        match segmenter.on_frame(frame(word)):
            case Verdict.BEGIN:
                said.append(f"begin {word} {segmenter.reason}")
            case Verdict.APPEND:
                said.append(f"append {word}")
            case Verdict.SKIP:
                said.append(f"skip {word}")
    return ", ".join(said)


def test_a_segment_begins_at_the_first_i_vop_and_rotates_at_the_first_one_past_the_grid():
    assert told(Segmenter(10 * US), "P7 I8 P9 P11 I12 P13") == (
        "skip P7, begin I8 started, append P9, append P11, begin I12 rotated, append P13"
    )


def test_the_grid_is_shifted_by_the_cameras_own_offset():
    assert told(Segmenter(10 * US, 3 * US), "I8 I12 I13 I14") == (
        "begin I8 started, append I12, begin I13 rotated, append I14"
    )


def test_another_vol_begins_a_segment_and_waits_for_its_i_vop():
    assert told(Segmenter(60 * US), "I1 P2q P3q I4q P5q") == (
        "begin I1 started, skip P2q, skip P3q, begin I4q started, append P5q"
    )
    assert told(Segmenter(60 * US), "I1 I2q P3q") == "begin I1 started, begin I2q vol-changed, append P3q"


def test_a_new_run_begins_a_segment():
    assert told(Segmenter(60 * US), "I1 P2 I3r P4") == "begin I1 started, append P2, begin I3r clock-step, append P4"


def test_after_a_loss_everything_up_to_the_next_i_vop_is_skipped():
    segmenter = Segmenter(60 * US)
    assert told(segmenter, "I1 P2") == "begin I1 started, append P2"
    segmenter.lose()
    assert told(segmenter, "P3 P4 I5 P6") == "skip P3, skip P4, begin I5 started, append P6"


def test_a_clock_that_goes_back_across_the_grid_rotates_too():
    assert told(Segmenter(10 * US), "I12 I9") == "begin I12 started, begin I9 rotated"


def test_offsets_of_many_cameras_are_spread_over_the_grid():
    places = sorted(offset_of(number, 60 * US) for number in range(32))
    gaps = [after - before for before, after in zip(places, [*places[1:], places[0] + 60 * US], strict=True)]
    assert len(set(places)) == 32
    assert max(gaps) < 4 * US
