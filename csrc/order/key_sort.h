// Sorting of keys (see simd::KeyKernel), split over the threads.
//
// Owns: nothing; the caller gives the memory. Threads: thread-safe; parts are sorted side by side
// and merged. The result does not depend on how many there are, because equal keys are the same.
// Attached: not needed. Fails: std::bad_alloc for the counters of long runs of small keys.
#pragma once

#include <cstdint>

#include "array/run.h"

namespace spanflow::order {

using array::RunOptions;

// Sorts n keys of 1, 2, 4 or 8 bytes. Returns `keys` or `spare`, which has room for as many:
// whichever holds the result.
template <class Key>
Key* SortKeys(Key* keys, Key* spare, int64_t n, const RunOptions& options);

// The same on the calling thread, in place.
template <class Key>
void SortKeys(Key* keys, int64_t n);

// Puts the key that sorting puts at place `kth` there, and no larger ones before it and no smaller
// ones behind. `spare` has room for n keys.
template <class Key>
void SelectKey(Key* keys, Key* spare, int64_t n, int64_t kth);

// work(Key{}) for the unsigned integer of so many bytes.
template <class Work>
auto WithKey(int64_t bytes, const Work& work) {
  switch (bytes) {
    case 1:
      return work(uint8_t{});
    case 2:
      return work(uint16_t{});
    case 4:
      return work(uint32_t{});
    default:
      return work(uint64_t{});
  }
}

}  // namespace spanflow::order
