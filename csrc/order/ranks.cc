// A key and its place are packed into one integer, which is sorted: equal keys come out in order of
// their places. Where both do not fit, the keys, counted from the smallest, lose their last bits;
// what those leave undecided is ranked once more.
#include "order/ranks.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <mutex>

#include "array/split.h"
#include "order/key_sort.h"
#include "order/lines.h"

namespace spanflow::order {
namespace {

constexpr int64_t kFewKeys = 24;  // sorted by insertion

int BitsOf(uint64_t value) { return static_cast<int>(std::bit_width(value)); }

struct Packing {
  uint64_t low;    // the smallest key
  int place_bits;  // at least 1, so that no shift is as wide as an integer
  int dropped;     // last bits of a key that do not fit

  template <class Key>
  uint64_t Pack(Key key, int64_t place) const {
    return (key - low) >> dropped << place_bits | static_cast<uint64_t>(place);
  }
  int64_t PlaceOf(uint64_t packed) const {
    return static_cast<int64_t>(packed & ((uint64_t{1} << place_bits) - 1));
  }
  bool Tied(uint64_t a, uint64_t b) const { return (a ^ b) >> place_bits == 0; }
};

template <class Key>
Packing MakePacking(const Key* keys, int64_t n, const RunOptions& options) {
  Packing packing{0, std::max(BitsOf(static_cast<uint64_t>(n - 1)), 1), 0};
  const int room = 64 - packing.place_bits;
  if (static_cast<int>(8 * sizeof(Key)) <= room) return packing;
  Key low = keys[0], high = keys[0];
  std::mutex mutex;
  Split(n, sizeof(Key), options, [&](int64_t begin, int64_t end) {
    Key least = keys[begin], greatest = keys[begin];
    for (int64_t i = begin; i < end; ++i) {
      least = std::min(least, keys[i]);
      greatest = std::max(greatest, keys[i]);
    }
    const std::lock_guard lock(mutex);
    low = std::min(low, least);
    high = std::max(high, greatest);
  });
  packing.low = low;
  packing.dropped = std::max(BitsOf(static_cast<uint64_t>(high - low)) - room, 0);
  return packing;
}

template <class Key>
void RankFew(const Key* keys, int64_t* places, int64_t n) {
  for (int64_t i = 1; i < n; ++i) {
    const int64_t place = places[i];
    int64_t to = i;
    for (; to > 0 && keys[place] < keys[places[to - 1]]; --to) places[to] = places[to - 1];
    places[to] = place;
  }
}

// Places that ascend, put into the order of their keys.
template <class Key>
void Rerank(const Key* keys, int64_t* places, int64_t n) {
  if (n <= kFewKeys) return RankFew(keys, places, n);
  const auto own = std::make_unique_for_overwrite<Key[]>(static_cast<size_t>(n));
  const auto ranks = std::make_unique_for_overwrite<int64_t[]>(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) own[static_cast<size_t>(i)] = keys[places[i]];
  RankKeys(own.get(), n, ranks.get(), RunOptions{1});
  for (int64_t i = 0; i < n; ++i)
    ranks[static_cast<size_t>(i)] = places[ranks[static_cast<size_t>(i)]];
  std::copy_n(ranks.get(), n, places);
}

// Ranks the runs of ties that begin in [begin, end), whose places are written.
template <class Key>
void RankTies(const Key* keys, int64_t n, const Packing& packing, const uint64_t* sorted,
              int64_t begin, int64_t end, int64_t* places) {
  while (begin < end && begin > 0 && packing.Tied(sorted[begin], sorted[begin - 1])) ++begin;
  while (begin < end) {
    int64_t next = begin + 1;
    while (next < n && packing.Tied(sorted[begin], sorted[next])) ++next;
    if (next - begin > 1) Rerank(keys, places + begin, next - begin);
    begin = next;
  }
}

}  // namespace

template <class Key>
void RankKeys(const Key* keys, int64_t n, int64_t* places, const RunOptions& options) {
  if (n == 0) return;
  const Packing packing = MakePacking(keys, n, options);
  const auto memory = std::make_unique_for_overwrite<uint64_t[]>(static_cast<size_t>(n));
  uint64_t* const packed = memory.get();
  Split(n, 16, options, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) packed[i] = packing.Pack(keys[i], i);
  });
  const uint64_t* sorted = packed;
  if (n < kLongLine) {
    SortKeys(packed, n);
  } else {
    sorted = SortKeys(packed, reinterpret_cast<uint64_t*>(places), n, options);
    // Neighbours look at each other's ties, which must not be overwritten meanwhile.
    if (packing.dropped != 0 && sorted != packed) {
      std::copy_n(sorted, n, packed);
      sorted = packed;
    }
  }
  Split(n, 16, options, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) places[i] = packing.PlaceOf(sorted[i]);
  });
  if (packing.dropped == 0) return;
  Split(n, 16, options, [&](int64_t begin, int64_t end) {
    RankTies(keys, n, packing, sorted, begin, end, places);
  });
}

#define SPANFLOW_KEY(Key) \
  template void RankKeys<Key>(const Key*, int64_t, int64_t*, const RunOptions&);
SPANFLOW_KEY(uint8_t)
SPANFLOW_KEY(uint16_t)
SPANFLOW_KEY(uint32_t)
SPANFLOW_KEY(uint64_t)
#undef SPANFLOW_KEY

}  // namespace spanflow::order
