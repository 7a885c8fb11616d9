// The header of a .npy file: bytes to NpyHeader and back.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed.
// Fails: ValueError or TypeError naming the file and what is wrong with it; OSError from reading.
#pragma once

#include <string>

#include "base/layout.h"
#include "base/status.h"
#include "io/npy.h"
#include "platform/file.h"

namespace spanflow::io {

base::Result<NpyHeader> ReadNpyHeader(const platform::File& file);

// Everything in front of the data; its length is a multiple of 64.
base::Result<std::string> FormatNpyHeader(const base::DType& dtype, const base::Dims& shape,
                                          bool fortran);

}  // namespace spanflow::io
