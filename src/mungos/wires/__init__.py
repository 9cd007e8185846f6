"""What a manager runs on: the kernel's sockets, or a network in memory."""

from mungos.wires.clock import ManualClock
from mungos.wires.contract import Address, Wire
from mungos.wires.kernel import KernelWire
from mungos.wires.memory import MemoryNetwork, MemoryStream, MemoryWire

__all__ = ["Address", "KernelWire", "ManualClock", "MemoryNetwork", "MemoryStream", "MemoryWire", "Wire"]
