#include "order/key_sort.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <utility>
#include <vector>

#include "array/split.h"
#include "runtime/pool.h"
#include "simd/kernels.h"

namespace spanflow::order {
namespace {

// A thread's part of a run that is sorted by several.
constexpr int64_t kPartKeys = int64_t{1} << 16;
// Keys of one or two bytes are counted where there are many of them, else sorted as wider ones.
constexpr int64_t kCounted = 4096;

template <class Key>
void Count(const Key* keys, int64_t n, int64_t* counts) {
  for (int64_t i = 0; i < n; ++i) ++counts[keys[i]];
}

template <class Key>
void SortByCounting(Key* keys, int64_t n, const RunOptions& options) {
  constexpr size_t kValues = size_t{1} << (8 * sizeof(Key));
  std::vector<int64_t> counts(kValues);
  std::mutex mutex;
  Split(n, sizeof(Key), options, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> own(kValues);
    Count(keys + begin, end - begin, own.data());
    const std::lock_guard lock(mutex);
    for (size_t value = 0; value < kValues; ++value) counts[value] += own[value];
  });
  for (size_t value = 0; value < kValues; ++value) {
    keys = std::fill_n(keys, counts[value], static_cast<Key>(value));
  }
}

template <class Key>
void SortWidened(Key* keys, int64_t n) {
  uint32_t wide[kCounted];
  std::copy_n(keys, n, wide);
  simd::FindSort(sizeof(uint32_t))(wide, static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) keys[i] = static_cast<Key>(wide[i]);
}

// Two sorted runs.
template <class Key>
struct Pair {
  const Key* a;
  int64_t a_count;
  const Key* b;
  int64_t b_count;

  // How many of the first n merged keys come from a.
  int64_t FromA(int64_t n) const {
    int64_t low = std::max<int64_t>(0, n - b_count), high = std::min(n, a_count);
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (a[middle] < b[n - middle - 1])
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }

  // Writes the merged keys number `begin` to `end`.
  void Merge(int64_t begin, int64_t end, Key* out) const {
    int64_t i = FromA(begin), j = begin - i;
    const int64_t i_end = FromA(end), j_end = end - i_end;
    while (i < i_end && j < j_end) {  // without a branch, which would be guessed wrong
      const bool second = b[j] < a[i];
      *out++ = second ? b[j] : a[i];
      j += second;
      i += !second;
    }
    out = std::copy(a + i, a + i_end, out);
    std::copy(b + j, b + j_end, out);
  }
};

// Neighbouring sorted runs of `width` keys become runs of twice that.
template <class Key>
void MergeRuns(const Key* keys, int64_t n, int64_t width, Key* out, const RunOptions& options) {
  const auto body = [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t start = begin / (2 * width) * (2 * width);
      const int64_t middle = std::min(start + width, n), stop = std::min(middle + width, n);
      const Pair<Key> pair{keys + start, middle - start, keys + middle, stop - middle};
      const int64_t last = std::min(end, stop);
      pair.Merge(begin - start, last - start, out + begin);
      begin = last;
    }
  };
  runtime::ParallelFor(n, kPartKeys, body, options.threads);
}

template <class Key>
Key* SortInParts(Key* keys, Key* spare, int64_t n, const RunOptions& options) {
  const auto threads =
      static_cast<uint64_t>(options.threads > 0 ? options.threads : runtime::NumThreads());
  const auto parts = static_cast<int64_t>(
      std::bit_ceil(std::min(threads, static_cast<uint64_t>(n / kPartKeys + 1))));
  const int64_t size = (n + parts - 1) / parts;
  const auto body = [&](int64_t begin, int64_t end) { SortKeys(keys + begin, end - begin); };
  runtime::ParallelFor(n, size, body, options.threads);
  for (int64_t width = size; width < n; width *= 2) {
    MergeRuns(keys, n, width, spare, options);
    std::swap(keys, spare);
  }
  return keys;
}

constexpr int64_t kSample = 1024;
constexpr int64_t kAround = 32;         // of the sample, on either side of what is selected
constexpr int64_t kSelected = 1 << 14;  // fewer keys than so many are sorted as a whole
constexpr int kRounds = 4;              // so many bad samples mean that no better one is to be had

// Keys between which that of place `kth` nearly surely lies.
template <class Key>
std::pair<Key, Key> Bounds(const Key* keys, int64_t n, int64_t kth) {
  Key sample[kSample];
  for (int64_t i = 0; i < kSample; ++i) sample[i] = keys[i * (n / kSample)];
  SortKeys(sample, kSample);
  const int64_t place = std::min(kth / (n / kSample), kSample - 1);
  return {sample[std::max<int64_t>(place - kAround, 0)],
          sample[std::min(place + kAround, kSample - 1)]};
}

// Where the middle part begins and ends.
struct Parts {
  int64_t begin, end;
};

// Moves keys below `low` to the front and those above `high` to the back.
template <class Key>
Parts SplitKeys(Key* keys, Key* spare, int64_t n, Key low, Key high) {
  int64_t below = 0, middle = 0, above = n;
  for (int64_t i = 0; i < n; ++i) {  // without a branch: what is not kept is written over
    const Key key = keys[i];
    const int64_t is_below = key < low;
    const int64_t is_above = key > high;
    keys[below] = key;
    spare[above - 1] = key;  // never before the end of the middle part
    spare[middle] = key;
    below += is_below;
    above -= is_above;
    middle += 1 - is_below - is_above;
  }
  std::copy_n(spare, middle, keys + below);
  std::copy(spare + above, spare + n, keys + above);
  return {below, above};
}

}  // namespace

template <class Key>
void SelectKey(Key* keys, Key* spare, int64_t n, int64_t kth) {
  for (int round = 0; round < kRounds && n > kSelected; ++round) {
    const auto [low, high] = Bounds(keys, n, kth);
    const Parts middle = SplitKeys(keys, spare, n, low, high);
    int64_t begin = 0, end = middle.begin;
    if (kth >= middle.end) {
      begin = middle.end;
      end = n;
    } else if (kth >= middle.begin) {
      begin = middle.begin;
      end = middle.end;
      round = kRounds;
    }
    keys += begin;
    kth -= begin;
    n = end - begin;
  }
  SortKeys(keys, n);
}

template <class Key>
void SortKeys(Key* keys, int64_t n) {
  if constexpr (sizeof(Key) >= 4) {
    simd::FindSort(sizeof(Key))(keys, static_cast<size_t>(n));
  } else if (n <= kCounted) {
    SortWidened(keys, n);
  } else {
    SortByCounting(keys, n, RunOptions{1});
  }
}

template <class Key>
Key* SortKeys(Key* keys, Key* spare, int64_t n, const RunOptions& options) {
  if constexpr (sizeof(Key) >= 4) {
    return SortInParts(keys, spare, n, options);
  } else {
    SortByCounting(keys, n, options);
    return keys;
  }
}

#define SPANFLOW_KEY(Key)                                     \
  template void SelectKey<Key>(Key*, Key*, int64_t, int64_t); \
  template void SortKeys<Key>(Key*, int64_t);                 \
  template Key* SortKeys<Key>(Key*, Key*, int64_t, const RunOptions&);
SPANFLOW_KEY(uint8_t)
SPANFLOW_KEY(uint16_t)
SPANFLOW_KEY(uint32_t)
SPANFLOW_KEY(uint64_t)
#undef SPANFLOW_KEY

}  // namespace spanflow::order
