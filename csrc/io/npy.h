// NumPy's .npy files and raw files as arrays: opened by mapping, saved atomically.
//
// Owns: an opened View holds the only reference to its mapped block. Nothing is kept between calls.
// Threads: thread-safe. Attached: not needed; everything here may wait for the disk.
// Fails: OSError with the path; ValueError when the file's header lies about the file; TypeError
// for dtypes that spanflow or the format does not have, naming them; Code::kCancelled when told to
// stop.
//
// Reads versions 1.0, 2.0 and 3.0. The header is parsed by a strict reader of the few Python
// literals that NumPy writes; nothing is ever evaluated, and pickled objects are refused.
// This room counts as above array, whose View it gives and takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "array/view.h"
#include "base/dtype.h"
#include "base/layout.h"
#include "base/status.h"
#include "memory/mapped_file.h"
#include "platform/file.h"

namespace spanflow::io {

struct NpyHeader {
  base::Layout layout;
  int64_t data_offset = 0;  // bytes before element [0, …, 0]
};

// Checked against the size of the file: what it promises is there.
base::Result<NpyHeader> ReadNpyHeader(const std::string& path);

base::Result<array::View> OpenNpy(const std::string& path, memory::MapMode mode);

// A file without a header. Without `shape` all of it from `offset` on, one-dimensional; `fortran`
// says in which order the elements of a shape lie.
base::Result<array::View> OpenRaw(const std::string& path, memory::MapMode mode,
                                  const base::DType& dtype, const std::optional<base::Dims>& shape,
                                  int64_t offset, bool fortran = false);

// Elements of a raw file in any layout, of which [0, …, 0] lies at `offset`.
base::Result<array::View> OpenStrided(const std::string& path, memory::MapMode mode,
                                      base::Layout layout, int64_t offset);

// "w+": a new file of zeros, mapped for writing, that replaces an old one of that name as a whole.
// Its disk space is reserved, so that a full disk is an error here and not while writing.
base::Result<array::View> CreateNpy(const std::string& path, const base::DType& dtype,
                                    const base::Dims& shape, bool fortran = false,
                                    const platform::StopFn& stop = {});

// Writes any array, whatever its layout, so that NumPy reads it: data 64-byte aligned, Fortran
// order kept. The old file stays as it was unless everything succeeded. `stop` is asked about every
// 64 MiB and before the old file is replaced.
base::Status SaveNpy(const std::string& path, const array::View& view,
                     const platform::StopFn& stop = {});

}  // namespace spanflow::io
