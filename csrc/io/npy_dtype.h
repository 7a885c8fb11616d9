// Between a .npy header's 'descr' and a DType, both ways.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed.
// Fails: TypeError naming a dtype that spanflow, or NumPy's format, does not have.
#pragma once

#include <string>

#include "base/dtype.h"
#include "base/status.h"
#include "io/literal.h"

namespace spanflow::io {

// '<f4', or a list of ('name', descr) and ('name', descr, shape) tuples.
base::Result<base::DType> DTypeFromDescr(const Literal& descr);

// The same as NumPy would write it; gaps between fields become unnamed void fields.
base::Result<std::string> DescrOf(const base::DType& dtype);

}  // namespace spanflow::io
