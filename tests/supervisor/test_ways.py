from nvr.supervisor.ways import Way, Ways


def ways() -> tuple[Ways, list[str]]:
    """Those of a camera that is wanted by multicast, and what is begun on them."""
    begun: list[str] = []

    def over_http(on_frame: object) -> object:
        return begun.append("http")

    def by_multicast(on_frame: object) -> object:
        return begun.append("multicast")

    return Ways(over_http, by_multicast), begun  # type: ignore[arg-type]


def test_a_camera_without_multicast_goes_one_way() -> None:
    begun: list[str] = []
    only = Ways(lambda on_frame: begun.append("http"))  # type: ignore[arg-type,func-returns-value]
    assert only.way is Way.HTTP
    only.feed(lambda frame: None)
    assert not only.ended("whatever", pictures=0)
    only.feed(lambda frame: None)
    assert begun == ["http", "http"]
    assert only.fell_back_since is None


def test_multicast_that_brings_nothing_gives_way_at_once_and_is_tried_again_after_http() -> None:
    both, begun = ways()
    both.feed(lambda frame: None)
    assert both.ended("no packet came", pictures=0), "another way is tried at once"
    assert (both.way, both.fell_back_since) == (Way.HTTP, "no packet came")
    both.feed(lambda frame: None)
    assert not both.ended("cut", pictures=1000)
    assert (both.way, both.fell_back_since) == (Way.MULTICAST, None)
    both.feed(lambda frame: None)
    assert begun == ["multicast", "http", "multicast"]


def test_multicast_that_brought_pictures_is_tried_again_first() -> None:
    both, begun = ways()
    both.feed(lambda frame: None)
    assert not both.ended("stalled", pictures=5)
    both.feed(lambda frame: None)
    assert begun == ["multicast", "multicast"]
