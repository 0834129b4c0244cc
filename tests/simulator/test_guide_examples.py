"""The simulated camera answers what the guide sets as the guide prints the answer."""

from pathlib import Path

import pytest

from nvr.simulator.server import Simulator
from tests.simulator.client import asked, run, small
from tests.simulator.test_params import ADMIN

GUIDE = Path(__file__).parents[1] / "jvc/guide"
SETS = (GUIDE / "sets.txt").read_text().splitlines()
ANSWERS = dict(line.split("&", 1) for line in (GUIDE / "answers.txt").read_text().splitlines())
FIRST = {
    "camera.motion.auto_tracking(2).target": "camera.motion.auto_tracking(2).status=start",
    "camera.private_mask.area(0).status": "camera.private_mask.area(0).status=edit",
    "camera.private_mask.width": "camera.private_mask.area(0).status=edit",
    "camera.private_mask.height": "camera.private_mask.area(0).status=edit",
    "camera.motion.auto_pan.status=goto_start": "camera.motion.auto_pan.start_point=present",
    "camera.motion.auto_pan.status=goto_end": "camera.motion.auto_pan.end_point=present",
    "camera.motion.auto_trace.status=start": "camera.motion.auto_trace.record.status=start",
    "camera.position(3).status=goto": "camera.position(3).status=save",
    "network.ntp.interval": "network.ntp.unit=min",
}
"""What must go before, by the guide's text."""
ALSO = {
    "application.object.framerate": "200 OK",
    "application.object.prerec": "200 OK",
    "application.object.postrec": "200 OK",
    "application.pop.user": "200 OK",
    "camera.image.3ddnr": "202",  # guide 6.2 prints the answer of another
    "encode(1).status": "200 OK",
    "encode(2).status": "200 OK",
    "camera.position(3).comment": "200 OK",  # guide 6.6 prints the answer of another
    "camera.motion.auto_patrol(0).status=save": "202",  # guide 6.7
    "network.destination(1).framerate": "202",
    "network.destination(2).port": "202",
    "network.http(configuration).status": "200 OK",
    "network.interface.dscp.video.jpeg": "202",
    "network.interface.dscp.video.mpeg": "202",
    "system.password.operator": "200 OK",
    "system.password.user": "200 OK",
    "camera.private_mask.area(0).status": "200 OK",
    "camera.motion.auto_tracking(2).status": "200 OK",
    "camera.motion.auto_patrol(0).status": "200 OK",
    "camera.image.white_balance.b": "202",
    "camera.image.white_balance": "202",
    "camera.image.blc": "202",
    "application.event(6).action": "202 Accepted(application.event(6).status=restart)",
    "application.event(6).trigger": "202 Accepted(application.event(6).status=restart)",
}
"""Answers that the text copy lost, by the entry's text."""


LEAVES = ("system.password.admin", "system.status", "network.http(", "network.interface.status")
"""After these the camera is away, elsewhere, or asks for another password."""
GROUPS = [
    [one for one in SETS if one.startswith(group) and not one.startswith(LEAVES)] for group in ("a", "c", "e", "n")
]
ALONE = [[one] for one in SETS if one.startswith(LEAVES)]


async def _said(simulator: Simulator, query: str) -> str:
    answer = await asked(simulator.http_port, f"/api/param?{query}", "Accept: text/plain", ADMIN)
    return answer.body.decode().removesuffix("\r\n")


@pytest.mark.parametrize("examples", [*GROUPS, *ALONE], ids=lambda examples: examples[0])
def test_what_the_guide_sets_is_answered_as_it_prints(examples: list[str]) -> None:
    async def story() -> None:
        async with Simulator(small()) as simulator:
            for example in examples:
                name = example.partition("=")[0]
                before = FIRST.get(example) or FIRST.get(name)
                if before is not None and before != example:
                    await _said(simulator, before)
                    await _said(simulator, "camera.motion.auto_trace.record.status=stop")
                said = await _said(simulator, example)
                expected = ALSO.get(example) or ALSO.get(name) or ANSWERS[name]
                if expected == "202":
                    assert said.startswith(f"{name}&202 Accepted"), example
                else:
                    assert said == f"{name}&{expected}", example

    run(story())
