"""A unit of systemd, restarted by systemctl: argv as a list, the unit's name checked, an environment of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import msgspec
import trio

from meshkit_fastprobe.chaos.faults.base import Backing, Effect, FaultError, FaultHost, Way
from meshkit_fastprobe.chaos.restarting.base import Restarter
from meshkit_fastprobe.chaos.restarting.process import refuse_ourselves

PROGRAMS: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RUNS: Final = Path("/run/systemd/system")
ASK_S: Final = 5.0
PROPERTIES: Final = ("LoadState", "ActiveState", "MainPID", "InvocationID")


class SystemdRestarter(msgspec.Struct, frozen=True):
    """programs and runs: where systemctl is, and what there is where systemd runs."""

    unit: str
    ourselves: bool
    programs: str = PROGRAMS
    runs: Path = RUNS

    @property
    def manual(self) -> str:
        return f"systemctl restart {self.unit}"

    @staticmethod
    def way(host: FaultHost) -> Way:  # noqa: ARG004 - the machine is looked at
        runs = shutil.which("systemctl", path=PROGRAMS) is not None and RUNS.is_dir()
        return Way("systemd", available=runs, reason="systemd runs here" if runs else "systemd does not run here")

    async def usable(self, host: FaultHost) -> Backing:  # noqa: ARG002 - systemd is asked
        if shutil.which("systemctl", path=self.programs) is None or not self.runs.is_dir():
            return Backing("systemd", usable=False, why="systemd does not run here; use pid:, pidfile:, child: or callable:")
        try:
            shown = await self._show()
        except FaultError as error:
            return Backing("systemd", usable=False, why=str(error))
        loaded = shown["LoadState"] == "loaded"
        return Backing("systemd", usable=loaded, why=f"{self.unit} is {shown['LoadState']}, {shown['ActiveState']}")

    async def identify(self, host: FaultHost) -> dict[str, str]:  # noqa: ARG002 - systemd is asked
        shown = await self._show()
        if shown["LoadState"] != "loaded" or shown["ActiveState"] != "active":
            raise FaultError(f"{self.unit} is {shown['LoadState']}, {shown['ActiveState']}; only what runs is restarted")
        if shown["MainPID"].isdecimal():
            refuse_ourselves(int(shown["MainPID"]), self.unit, allowed=self.ourselves)
        return {"unit": self.unit, "invocation": shown["InvocationID"]}

    async def restart(self, host: FaultHost, was: dict[str, str], grace_s: float) -> None:  # noqa: ARG002 - the unit has its own
        if await self.identify(host) != was:
            raise FaultError(f"{self.unit} was restarted since it was planned; plan again")
        await self._systemctl("restart", "--no-block", "--", self.unit, within_s=ASK_S)

    async def seen(self, host: FaultHost, was: dict[str, str]) -> Effect:  # noqa: ARG002 - systemd is asked
        shown = await self._show()
        new = shown["InvocationID"] != was.get("invocation") and shown["ActiveState"] == "active"
        return Effect(in_force=new, touched=None, told=f"{self.unit} is {shown['ActiveState']}, process {shown['MainPID']}")

    async def _show(self) -> dict[str, str]:
        text = await self._systemctl("show", f"--property={','.join(PROPERTIES)}", "--", self.unit, within_s=ASK_S)
        pairs = (line.partition("=") for line in text.splitlines())
        return {**dict.fromkeys(PROPERTIES, ""), **{name: value for name, _, value in pairs}}

    async def _systemctl(self, *arguments: str, within_s: float) -> str:
        program = shutil.which("systemctl", path=self.programs)
        if program is None:
            raise FaultError("there is no systemctl")
        # With a token of polkit to ask for, systemctl would wait at a terminal that nobody looks at.
        command = [program, "--no-ask-password", "--no-pager", *arguments]
        environment = {"PATH": self.programs, "LC_ALL": "C.UTF-8"} | {
            name: os.environ[name] for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS") if name in os.environ
        }
        with trio.move_on_after(within_s):
            ended = await trio.run_process(
                command, capture_stdout=True, capture_stderr=True, stdin=subprocess.DEVNULL, check=False, env=environment
            )
            if ended.returncode == 0:
                return ended.stdout.decode(errors="replace")
            said = ended.stderr.decode(errors="replace").strip().partition("\n")[0][:200]
            raise FaultError(f"systemctl {arguments[0]} {self.unit}: {said or f'exit status {ended.returncode}'}")
        raise FaultError(f"systemctl {arguments[0]} {self.unit} did not end within {within_s:g} s")


_: type[Restarter] = SystemdRestarter
