"""`python -m devstack stack|up|down|status`: the local servers, with or without Airflow."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from devstack.stack import Stack, StackError


def main() -> int:
    """Run one command; 1 when a part does not start."""
    parser = argparse.ArgumentParser(prog="devstack", description=__doc__)
    parser.add_argument("command", choices=["stack", "up", "down", "status"])
    parser.add_argument("--home", type=Path, default=Path(".devstack"))
    options = parser.parse_args()
    stack = Stack(options.home, say=lambda line: print(f"  {line}", flush=True))
    try:
        return {"stack": _stack, "up": _up, "down": _down, "status": _status}[options.command](stack)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1


def _stack(stack: Stack) -> int:
    stack.start()
    print(f"The servers answer. Their addresses: set -a; . {stack.home.path}/env")
    return 0


def _up(stack: Stack) -> int:
    env = stack.start(with_airflow=True)
    print(f"Airflow: {env['AIRFLOW_URL']}   login: {env['AIRFLOW_USERNAME']} / {env['AIRFLOW_PASSWORD']}")
    print(f"Addresses of everything: set -a; . {stack.home.path}/env     Stop: make down")
    return 0


def _down(stack: Stack) -> int:
    stopped = stack.stop()
    print(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
    return 0


def _status(stack: Stack) -> int:
    states = stack.running()
    for name, running in states.items():
        print(f"{name:15} {'running' if running else 'stopped'}")
    return 0 if states and all(states.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
