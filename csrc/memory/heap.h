// Heap blocks: 64-byte aligned memory from mimalloc, with large blocks recycled.
//
// Giving 64 MiB back to the system and taking it again costs 50 ms in page faults; a block whose
// pages are already there costs nothing. So blocks of 1 MiB and more go to a bounded cache when
// they are released and serve the next request of their size class (steps of one eighth).
//
// Owns: a block owns its bytes; the process owns the cache.
// Threads: thread-safe. Attached: not needed.
// Fails: Code::kMemory that names the bytes; the cache is emptied and the request tried again
// first.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "memory/block.h"

namespace spanflow::memory {

inline constexpr int64_t kHeapAlignment = 64;

// `nbytes` may be 0: the address is not null and aligned all the same. Contents are undefined
// unless `zeroed`.
base::Result<BlockRef> AllocateHeap(int64_t nbytes, bool zeroed = false);

const char* AllocatorName();  // "mimalloc"; "system" in builds for sanitizers

struct HeapStats {
  int64_t live_bytes = 0;  // asked for and not released yet
  int64_t peak_bytes = 0;  // the most that live_bytes ever was
  int64_t live_blocks = 0;
  int64_t cached_bytes = 0;  // released, kept for the next request
};
HeapStats GetHeapStats();

// Gives the cached blocks back to the system.
void TrimHeap();

// The most bytes that the cache may hold; 0 turns it off. Default: 1/16 of the memory, at most 1
// GiB; always 0 in builds for sanitizers.
void SetHeapCacheLimit(int64_t nbytes);
int64_t HeapCacheLimit();

}  // namespace spanflow::memory
