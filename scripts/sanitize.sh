#!/usr/bin/env bash
# Runs the core's tests, the property tests of its readers and the corpus of `make fuzz` on the core that was built with
# the address and undefined-behaviour sanitizers (`BUOY_CORE_SANITIZE=1 python core/build_core.py`).
#
# The interpreter is not built with them, so their libraries are loaded before it, its own allocator is put aside (its
# arenas hide overflows), and leaks are not looked for: it never frees everything.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
cc=${CC:-cc}

libraries=()
for name in libasan.so libubsan.so libstdc++.so; do
  libraries+=("$($cc -print-file-name=$name)")
done

sanitized() {
  LD_PRELOAD="${libraries[*]}" PYTHONMALLOC=malloc PYTHONPATH=.cache/sanitize BUOY_CORE=compiled \
    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1 \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 "$python" "$@"
}

echo "the sanitizer notices what it should"
overflow='import ctypes; buffer = ctypes.create_string_buffer(8); ctypes.memmove(buffer, b"x" * 64, 64)'
if sanitized -c "$overflow" 2>/dev/null; then
  echo "an overflow went unnoticed: the sanitizer is not at work" >&2
  exit 1
fi
sanitized -c 'import buoy_core._compiled.frames as frames; assert ".cache/sanitize" in frames.__file__, frames.__file__'

sanitized -m pytest -q -x --timeout 600 -p no:cacheprovider tests/core tests/fuzz/test_readers.py "$@"
sanitized -m tests.fuzz --replay
