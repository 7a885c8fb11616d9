"""What `spanflow info` says: this installation, the interpreter it runs in, and the machine."""

from __future__ import annotations

import platform
import sys
from typing import Any

import spanflow as sf
from spanflow import _core


def info() -> dict[str, Any]:
    """A dictionary of plain values, the content of `spanflow info --json`; sizes are in bytes."""
    machine = _core._machine()
    return {
        "version": sf.__version__,
        "simd": {"target": sf.simd.target(), "available": sf.simd.targets()},
        "allocator": machine["allocator"],
        "threads": sf.get_num_threads(),
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "free_threaded_build": "t" in sys.abiflags,
            "gil_enabled": getattr(sys, "_is_gil_enabled", lambda: True)(),
        },
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "cores": machine["cores"],
            "memory": machine["memory"],
            "l1_data_cache": machine["l1d"],
            "l2_cache": machine["l2"],
            "last_level_cache": machine["last_level_cache"],
        },
        "memory": sf.memory_stats(),
    }


def text(answer: dict[str, Any]) -> str:
    """The same for people."""
    simd, python, machine = answer["simd"], answer["python"], answer["machine"]
    build = "free-threaded" if python["free_threaded_build"] else "default"
    gil = "on" if python["gil_enabled"] else "off"
    caches = [machine[key] for key in ("l1_data_cache", "l2_cache", "last_level_cache")]
    rows = [
        ("spanflow", answer["version"]),
        ("SIMD target", f"{simd['target']}  (available: {', '.join(simd['available'])})"),
        ("allocator", answer["allocator"]),
        ("threads", f"{answer['threads']} per call, of {machine['cores']} usable cores"),
        ("Python", f"{python['implementation']} {python['version']}, {build} build, GIL {gil}"),
        ("machine", f"{machine['system']} {machine['architecture']}, "
                    f"{size(machine['memory'])} of memory usable"),
        ("caches", f"L1 data {size(caches[0])}, L2 {size(caches[1])}, last level "
                   f"{size(caches[2])}"),
        ("arrays", f"{size(answer['memory']['live_bytes'])} on the heap now, "
                   f"{size(answer['memory']['peak_bytes'])} at the peak, "
                   f"{size(answer['memory']['cached_bytes'])} kept for reuse"),
        ("process", f"{size(answer['memory']['peak_rss'])} resident at the peak"),
    ]  # fmt: skip
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def size(nbytes: float) -> str:
    """Bytes in binary units: 1536 -> '1.5 KiB'."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(nbytes) < 1024:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.4g} {unit}"
        nbytes /= 1024
    return f"{nbytes:.4g} TiB"
