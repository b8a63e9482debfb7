"""
NVIDIA's GPU by its driver alone: is there one, memory on it, and copies there and back.

The driver's library comes with the GPU; XGBoost has all else that it needs inside. So no package of CUDA's is needed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

_LIBRARY = "libcuda.so.1"
_NAME_BYTES = 100


class CudaFailed(Exception):
    """There is no GPU to compute on, or it has refused; the text says what the driver said."""


class Gpu:
    """
    The first GPU that the process may see (``CUDA_VISIBLE_DEVICES``).

    Attributes
    ----------
    name : str
        As its maker calls it.
    """

    def __init__(self) -> None:
        """
        Open it. What memory a process needs on a GPU in any case is only taken by `upload`.

        Raises
        ------
        CudaFailed
            If there is none, or no driver.
        """
        try:
            self._driver = ctypes.CDLL(_LIBRARY)
        except OSError:
            raise CudaFailed(f"there is no NVIDIA driver ({_LIBRARY} is not found)") from None
        self._call("cuInit", 0)
        n_gpus = ctypes.c_int()
        self._call("cuDeviceGetCount", ctypes.byref(n_gpus))
        if not n_gpus.value:
            raise CudaFailed("NVIDIA's driver finds no GPU")
        device = ctypes.c_int()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        name = ctypes.create_string_buffer(_NAME_BYTES)
        self._call("cuDeviceGetName", name, _NAME_BYTES, device)
        self.name = name.value.decode()
        self._device = device
        self._context: ctypes.c_void_p | None = None

    @contextmanager
    def upload(self, rows: npt.NDArray[np.float32]) -> Iterator[int]:
        """
        Copy rows to the GPU's memory.

        Parameters
        ----------
        rows : numpy.ndarray of float32
            In C order.

        Yields
        ------
        int
            Where they are there, as long as the block lasts.

        Raises
        ------
        CudaFailed
            If there is no room, or the GPU fails.
        """
        self._enter()
        place = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(place), ctypes.c_size_t(max(1, rows.nbytes)))
        try:
            source = ctypes.c_void_p(rows.ctypes.data)
            self._call("cuMemcpyHtoD_v2", place, source, ctypes.c_size_t(rows.nbytes))
            yield place.value
        finally:
            self._call("cuMemFree_v2", place)

    def download(self, place: int, n_values: int) -> npt.NDArray[np.float32]:
        """
        Copy numbers from the GPU's memory, once it has computed them.

        Raises
        ------
        CudaFailed
            If it fails.
        """
        self._call("cuCtxSynchronize")
        values = np.empty(n_values, np.float32)
        target = ctypes.c_void_p(values.ctypes.data)
        self._call("cuMemcpyDtoH_v2", target, ctypes.c_uint64(place), ctypes.c_size_t(values.nbytes))
        return values

    def _enter(self) -> None:
        """Let the calling thread use the same context as CUDA's runtime in XGBoost does, the device's primary one."""
        if self._context is None:
            context = ctypes.c_void_p()
            self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self._device)
            self._context = context
        self._call("cuCtxSetCurrent", self._context)

    def _call(self, name: str, *arguments: Any) -> None:
        if status := getattr(self._driver, name)(*arguments):
            text = ctypes.c_char_p()
            self._driver.cuGetErrorString(status, ctypes.byref(text))
            raise CudaFailed(f"{name}: {(text.value or b'unknown error').decode()} ({status})")
