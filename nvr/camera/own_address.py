"""From which address this machine reaches a camera."""

import socket

from nvr.camera.link import Address


def own_address(camera: Address) -> str | None:
    """None where it reaches none. A camera's name is looked up, which may take a while; an address is not."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(*camera, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.connect(address)  # of UDP: nothing is sent
            return str(sock.getsockname()[0])
    except OSError:
        return None
