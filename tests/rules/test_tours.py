"""When a camera patrols and when it goes back: told the time and where it looks, minute by minute."""

from dataclasses import dataclass

from nvr.rules.tours import Order, PatrolPlan, Return, ReturnPlan, StartPatrol, StopPatrol, Tours
from nvr.units import US, PanTiltZoom

MINUTE = 60 * US
REST = (0, 500, 0)


class Hours:
    """A window from one minute to another."""

    def __init__(self, begin: int, end: int) -> None:
        self._span = range(begin * MINUTE, end * MINUTE)

    def is_now(self, utc_us: int) -> bool:
        return utc_us in self._span


@dataclass
class Camera:
    """Told every ten seconds; `hand` moves it."""

    tours: Tours
    at_s: int = 0
    position: PanTiltZoom | None = REST

    def until(self, minute: int, *, patrols: bool = False) -> list[tuple[float, Order]]:
        """What is ordered meanwhile, with minutes. A camera that patrols moves once a minute."""
        told = []
        while self.at_s < minute * 60:
            if patrols and self.at_s % 60 == 0:
                self.hand()
            order = self.tours.tick(self.at_s * US, self.at_s * US, self.position)
            if order is not None:
                told.append((self.at_s / 60, order))
            self.at_s += 10
        return told

    def hand(self) -> None:
        pan, tilt, zoom = self.position or REST
        self.position = ((pan + 900) % 36_000, tilt, zoom)


def nights(begin: int = 10, end: int = 20) -> Camera:
    return Camera(Tours(PatrolPlan(1, Hours(begin, end)), None))


def test_a_patrol_begins_and_ends_with_its_window() -> None:
    camera = nights()
    assert camera.until(10) == [(0.0, StopPatrol(1))]
    assert camera.until(20, patrols=True)[:1] == [(10 + 1 / 2, StartPatrol(1))]
    assert camera.until(30) == [(20.0, StopPatrol(1))]


def test_a_life_that_begins_in_the_window_patrols() -> None:
    assert nights(0, 10).until(5)[:1] == [(0.5, StartPatrol(1))]


def test_a_patrol_that_a_hand_ended_begins_again_when_the_hand_has_gone() -> None:
    camera = nights(0, 100)
    camera.until(2)
    camera.hand()
    told = camera.until(10)
    assert told[0] == (5.0, StartPatrol(1))
    # It stands still all the same, say for want of presets: asked again, but not every moment.
    assert len(told) <= 2


def test_a_patrol_that_is_on_its_way_is_not_begun_again() -> None:
    camera = nights(0, 100)
    camera.until(1)
    assert camera.until(60, patrols=True) == []


def test_a_camera_that_nobody_moves_goes_back_once() -> None:
    camera = Camera(Tours(None, ReturnPlan(3, 10 * MINUTE)))
    assert camera.until(30) == [(10.0, Return(3))]
    camera.hand()
    assert camera.until(60) == [(40.0, Return(3))]


def test_the_way_back_itself_is_nobodys_hand() -> None:
    camera = Camera(Tours(None, ReturnPlan(3, 10 * MINUTE)))
    camera.until(10)
    assert camera.until(11)[:1] == [(10.0, Return(3))]
    camera.hand()  # it is under way, within the minute that this takes
    camera.tours.tick(camera.at_s * US - 30 * US, camera.at_s * US - 30 * US, camera.position)
    assert camera.until(60) == []


def test_what_failed_is_tried_again_after_a_minute() -> None:
    camera = Camera(Tours(None, ReturnPlan(3, 10 * MINUTE)))
    ((minute, order),) = camera.until(11)
    camera.tours.failed(order, camera.at_s * US)
    assert minute == 10
    assert camera.until(20) == [(12.0, Return(3))]


def test_a_camera_that_does_not_say_where_it_looks_is_left_alone() -> None:
    camera = Camera(Tours(None, ReturnPlan(3, 10 * MINUTE)), position=None)
    assert camera.until(60) == []


def test_while_it_patrols_it_does_not_go_back() -> None:
    camera = Camera(Tours(PatrolPlan(0, Hours(0, 20)), ReturnPlan(3, 5 * MINUTE)))
    assert {order for _, order in camera.until(20, patrols=True)} == {StartPatrol(0)}
    assert [order for _, order in camera.until(40)] == [StopPatrol(0), Return(3)]
