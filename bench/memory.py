"""What the daemon weighs before it has a camera: Python alone, and Python with everything the daemon imports.

    python -m bench.memory

The figure stands beside the memory per camera of `bench.run`: it is paid once, however many cameras there are.
"""

import json
import subprocess
import sys

from bench import procs

_DAEMON = "nvr.supervisor.daemon"


def weighed(imports: str | None) -> tuple[int, int, list[str]]:
    """PSS and private bytes of a fresh Python with that import, and the packages it brought in from outside nvr."""
    wanted = f"import {imports}" if imports else "pass"
    script = (
        f"import sys; {wanted}; import json; "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))); "
        "sys.stdout.flush(); sys.stdin.read()"
    )
    # -I: neither this directory nor the environment adds anything to what an installed nvr imports.
    with subprocess.Popen(
        [sys.executable, "-I", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as python:
        assert python.stdout is not None
        packages = json.loads(python.stdout.readline() or "null")
        if packages is None:
            raise SystemExit(f"{imports} could not be imported")
        return procs.pss_bytes(python.pid), procs.private_bytes(python.pid), packages


def main() -> None:
    """Prints both and the difference."""
    bare_pss, bare_private, already = weighed(None)
    pss, private, packages = weighed(_DAEMON)
    outside = [name for name in packages if name not in already and not name.startswith("_") and name != "nvr"]
    print(f"python alone     {bare_pss / 1e6:6.1f} MB PSS  {bare_private / 1e6:6.1f} MB private")
    print(f"daemon imported  {pss / 1e6:6.1f} MB PSS  {private / 1e6:6.1f} MB private")
    print(f"its imports      {(pss - bare_pss) / 1e6:6.1f} MB PSS, with {', '.join(outside)}")


if __name__ == "__main__":
    main()
