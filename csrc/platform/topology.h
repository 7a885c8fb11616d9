// What the machine offers this process: cores, caches, memory.
//
// Owns: nothing; the first call measures, later ones repeat its answer.
// Threads: thread-safe. Attached: not needed.
// Fails: never; what the system does not tell is answered with a usual value.
#pragma once

#include <cstdint>

namespace spanflow::platform {

// Cores that this process may keep busy: its affinity mask, and a container's CPU quota rounded up.
// At least 1.
int UsableCores();

struct CacheSizes {
  int64_t l1_data;     // bytes per core
  int64_t l2;          // bytes per core
  int64_t last_level;  // bytes of the outermost cache, shared or not
};
const CacheSizes& Caches();

// Bytes of memory: the machine's, or less where a container is limited.
int64_t UsableMemory();
// How much of it could be taken at this moment without pushing anybody else out.
int64_t AvailableMemory();

}  // namespace spanflow::platform
