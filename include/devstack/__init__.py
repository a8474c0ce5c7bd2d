"""The local stack: real servers and emulators, each a process of its own, started and stopped together."""

from devstack.stack import Stack, StackError

__all__ = ["Stack", "StackError"]
