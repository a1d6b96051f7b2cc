from array import array

from buoy_core.chunk import Rows

def decode_rows(
    payload: bytes | bytearray | memoryview, *, system: bool = False, objects_max: int = -1
) -> Rows: ...
def definitions(
    payload: bytes | bytearray | memoryview, *, objects_max: int = -1
) -> list[tuple[int, bytes]]: ...
def first_unnamed(rows: Rows, named: array[int]) -> int: ...
