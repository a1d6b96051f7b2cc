"""The messages of `buoy.v1`, made from a compiled descriptor set when this module is imported.

Generated modules check that the installed runtime is at least as new as their compiler, and training environments pin
protobuf to whatever their framework wants. A descriptor set has no such gate: the same file loads from
protobuf 4.25 on. `v1.pyi` tells type checkers what is in here.
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

_PACKAGE = "buoy.v1"


def _load() -> dict[str, object]:
    """Every message class, enum and enum value of the file, by name."""
    data = Path(__file__).with_name("v1.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(file)  # type: ignore[no-untyped-call]
    file_descriptor = pool.FindFileByName("buoy/v1/buoy.proto")
    names: dict[str, object] = {"DESCRIPTOR": file_descriptor}
    for name, message in file_descriptor.message_types_by_name.items():
        names[name] = message_factory.GetMessageClass(message)
    for name, enum in file_descriptor.enum_types_by_name.items():
        names[name] = enum_type_wrapper.EnumTypeWrapper(enum)
        names.update((value.name, value.number) for value in enum.values)
    return names


globals().update(_load())
