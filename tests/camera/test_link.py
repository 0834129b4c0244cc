import asyncio
import socket

import pytest

from nvr.camera.errors import CannotConnect, LinkError, LinkLost, LinkStalled, LoginRefused, Retry
from nvr.camera.link import Address, Link, translated
from tests.camera.wire import LOOPS, peer, run, saying, until

pytestmark = pytest.mark.parametrize("loop", LOOPS)

_REQUEST = b"GET / HTTP/1.1\r\n\r\n"


class Ear:
    """Somebody a link is for: keeps what it is given, and may break at a word."""

    def __init__(self, breaks_at: bytes | None = None) -> None:
        self.heard = b""
        self.takes = 0
        self._breaks_at = breaks_at

    def take(self, data: memoryview) -> None:
        self.takes += 1
        self.heard += data
        if self._breaks_at is not None and self._breaks_at in self.heard:
            raise ZeroDivisionError(self.heard.decode())

    def at_end(self) -> LinkError:
        return LinkLost(f"closed after {len(self.heard)} bytes")


async def listen(address: Address, ear: Ear) -> Exception | None:
    """Hears to the end; what ended it."""
    link = Link(ear)
    try:
        await link.connect(address, 2.0)
        link.send(_REQUEST)
        await link.ended()
    except Exception as trouble:  # noqa: BLE001 - what it is, is the question
        return trouble
    finally:
        await link.close()
    return None


def test_what_the_peer_says_is_heard_and_its_end_is_given_a_meaning(loop: str) -> None:
    async def story() -> None:
        ear = Ear()
        async with peer(saying(b"a" * 300_000, b"b" * 300_000)) as address:
            trouble = await listen(address, ear)
        assert (type(trouble), str(trouble)) == (LinkLost, "closed after 600000 bytes")
        assert ear.heard == b"a" * 300_000 + b"b" * 300_000

    run(loop, story())


def test_two_links_share_one_buffer_and_nothing_else(loop: str) -> None:
    async def story() -> None:
        ears = [Ear(), Ear()]
        async with (
            peer(saying(*[b"a" * 9999] * 50, pause_s=0.001)) as first,
            peer(saying(*[b"b" * 9999] * 50, pause_s=0.001)) as second,
        ):
            await asyncio.gather(listen(first, ears[0]), listen(second, ears[1]))
        assert [ear.heard for ear in ears] == [b"a" * 499_950, b"b" * 499_950]
        assert min(ear.takes for ear in ears) > 1

    run(loop, story())


def test_trouble_of_one_listener_ends_its_link_alone_and_reaches_the_owner_not_the_loop(loop: str) -> None:
    async def story() -> None:
        broken, well = Ear(breaks_at=b"boom"), Ear()
        pieces = [b"boom", *[b"on"] * 20]
        async with peer(saying(*pieces, pause_s=0.01)) as address:
            troubles = await asyncio.gather(listen(address, broken), listen(address, well))
        assert [type(trouble) for trouble in troubles] == [ZeroDivisionError, LinkLost]
        assert broken.takes == 1
        assert well.heard == b"".join(pieces)

    run(loop, story())


def test_a_reset_is_an_end_like_any_other(loop: str) -> None:
    async def story() -> None:
        async with peer(saying(b"hello", then="reset")) as address:
            trouble = await listen(address, Ear())
        assert str(trouble) == "closed after 5 bytes"

    run(loop, story())


def test_a_port_where_nobody_listens_is_named(loop: str) -> None:
    async def story() -> None:
        with socket.socket() as taken:  # bound and not listening: nobody else can come to listen there
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            trouble = await listen(("127.0.0.1", port), Ear())
        assert isinstance(trouble, CannotConnect)
        assert str(trouble) == f"connecting to 127.0.0.1 port {port}: Connection refused"
        assert (trouble.reason, trouble.retry) == ("camera-unreachable", Retry.SOON)

    run(loop, story())


@pytest.mark.parametrize("host", ["no such host", "", "a" * 300, "\udce4"])
def test_a_name_that_is_none_is_trouble_with_connecting(loop: str, host: str) -> None:
    async def story() -> None:
        trouble = await listen((host, 1), Ear())
        assert isinstance(trouble, CannotConnect), trouble

    run(loop, story())


def full_listener() -> tuple[socket.socket, list[socket.socket]]:
    """A listener whose queue is full: whoever connects now hears nothing, as from a host that is switched off."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    queued = []
    for _ in range(3):
        waiting = socket.socket()
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
        queued.append(waiting)
    return listener, queued


def test_a_host_that_does_not_answer_is_given_up_in_time(loop: str) -> None:
    async def story() -> None:
        listener, queued = full_listener()
        with listener:
            link = Link(Ear())
            with pytest.raises(CannotConnect, match=r"no answer in 0\.2 s"):
                await link.connect(listener.getsockname(), 0.2)
            await link.close()
            for waiting in queued:
                waiting.close()

    run(loop, story())


def test_a_link_that_is_ended_while_it_connects_gives_up_at_once(loop: str) -> None:
    async def story() -> None:
        listener, queued = full_listener()
        with listener:
            link = Link(Ear())
            asyncio.get_running_loop().call_later(0.1, link.end)
            async with asyncio.timeout(5):
                await link.connect(listener.getsockname(), 60)
                await link.ended()
                await link.close()
            for waiting in queued:
                waiting.close()

    run(loop, story())


def test_what_the_kernel_holds_below_the_mark_can_be_drained(loop: str) -> None:
    async def story() -> None:
        ear = Ear()
        more = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"first")
            await more.wait()
            writer.write(b"second")
            await reader.read()

        async with peer(talk) as address:
            link = Link(ear)
            await link.connect(address, 2.0)
            link.send(_REQUEST)
            await until(lambda: ear.heard == b"first")
            link.set_low_water(60_000)
            more.set()
            await asyncio.sleep(0.2)
            assert ear.heard == b"first"
            link.drain()
            assert ear.heard == b"firstsecond"
            await link.close()

    run(loop, story())


def test_lowering_the_mark_wakes_for_what_the_kernel_holds(loop: str) -> None:
    async def story() -> None:
        ear = Ear()
        more = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await more.wait()
            writer.write(b"held")
            await reader.read()

        async with peer(talk) as address:
            link = Link(ear)
            await link.connect(address, 2.0)
            link.send(_REQUEST)
            link.set_low_water(60_000)
            more.set()
            await asyncio.sleep(0.1)
            assert ear.heard == b""
            link.set_low_water(1)
            await until(lambda: ear.heard == b"held")
            await link.close()

    run(loop, story())


def test_the_end_is_heard_at_once_whatever_the_mark(loop: str) -> None:
    async def story() -> None:
        ear = Ear()
        more = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await more.wait()
            writer.write(b"last words")

        async with peer(talk) as address:
            link = Link(ear)
            await link.connect(address, 2.0)
            link.send(_REQUEST)
            link.set_low_water(60_000)
            more.set()
            async with asyncio.timeout(3):
                with pytest.raises(LinkLost, match="closed after 10 bytes"):
                    await link.ended()
            await link.close()
        assert ear.heard == b"last words"

    run(loop, story())


def test_only_the_first_trouble_counts_and_an_ended_link_does_nothing_more(loop: str) -> None:
    async def story() -> None:
        async with peer(saying(b"hello", then="wait")) as address:
            link = Link(Ear())
            await link.connect(address, 2.0)
            link.end(LinkStalled("first"))
            link.end(LinkLost("second"))
            link.send(_REQUEST)
            link.set_low_water(100)
            link.drain()
            for _ in range(2):
                with pytest.raises(LinkStalled, match="first"):
                    await link.ended()
            await link.close()
            await link.close()

    run(loop, story())


def test_the_kernel_is_told_to_notice_a_camera_that_lost_its_power(loop: str) -> None:
    async def story() -> None:
        async with peer(saying(then="wait")) as address:
            link = Link(Ear())
            await link.connect(address, 2.0)
            sock = link._socket
            assert sock is not None
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 60
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) > 0
            await link.close()
            assert sock.fileno() == -1

    run(loop, story())


def test_foreign_errors_become_the_most_special_kind_named_for_them(loop: str) -> None:
    async def story() -> None:
        with (
            pytest.raises(LinkStalled, match=r"^asking the time: too late$") as raised,
            translated({TimeoutError: LinkStalled, OSError: LinkLost}, "asking the time"),
        ):
            raise TimeoutError("too late")
        assert isinstance(raised.value.__cause__, TimeoutError)
        with pytest.raises(LinkLost, match=r"^asking: No route to host$"), translated({OSError: LinkLost}, "asking"):
            raise OSError(113, "No route to host")
        with pytest.raises(KeyError), translated({OSError: LoginRefused}, "asking"):
            raise KeyError

    run(loop, story())
