// The places of keys in sorted order.
//
// Owns: nothing. Threads: thread-safe. Attached: not needed. Fails: std::bad_alloc.
#pragma once

#include <cstdint>

#include "array/run.h"

namespace spanflow::order {

using array::RunOptions;

// places[i] = where the key number i of the sorted ones lies; those of equal keys ascend.
template <class Key>
void RankKeys(const Key* keys, int64_t n, int64_t* places, const RunOptions& options);

}  // namespace spanflow::order
