// Pages of memory: their size, advice about them, and making them present.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed.
// Fails: Populate returns an OSError when bytes are gone behind a mapping; advice cannot fail.
//
// Addresses may be any: each function rounds to pages itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"

namespace spanflow::platform {

int64_t PageSize();

enum class Access { kRead, kWrite };

// Makes every page present, readable or writable without another fault. Where a mapped file has
// become shorter or its disk is full, the result is OSError EFAULT instead of a signal.
base::Status Populate(const std::byte* address, int64_t nbytes, Access access);

enum class Advice {
  kNormal,
  kSequential,  // read ahead far, drop behind
  kWillNeed,    // start reading now, in the background
  kHugePages,   // back by huge pages; only whole pages inside the range
};
void Advise(const std::byte* address, int64_t nbytes, Advice advice);

// Waits until the changed bytes of a shared mapping were handed to the device.
base::Status SyncPages(const std::byte* address, int64_t nbytes);

// mmap's flag for private writable mappings that may be larger than memory: only pages that are
// written count.
int NoReserveFlag();

}  // namespace spanflow::platform
